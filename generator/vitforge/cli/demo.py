# SPDX-License-Identifier: Apache-2.0
"""`vitforge demo`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitforge.cli.common import (
    ProgressCallback,
    debug_option,
    json_option,
    output_option,
    print_facts,
    print_json,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from vitforge.a3_demo import A3DemoResult
    from vitforge.boards import Board
    from vitforge.demo import DemoResult

_DEFAULT = {"vit": Path("vitforge-demo"), "a3": Path("vitforge-demo-a3")}


@click.command(epilog="Example: vitforge demo a3 --json")
@click.argument("kernel", type=click.Choice(list(_DEFAULT)), default="vit")
@click.option("--board", default="zcu104", show_default=True, metavar="NAME", help="Board to build for.")
@output_option("vitforge-demo", "Directory of the project and the picture.")
@json_option
@debug_option
def demo(kernel: str, board: str, output: Path | None, as_json: bool) -> None:
    """The whole way on a model that ships, through the PYNQ driver on a simulated board.

    \b
    vitforge demo      quantises a Vision Transformer, generates the project, proves it bit-exact by csim, and
                       classifies 1,000 handwritten digits.
    vitforge demo a3   does the same with the A3 attention accelerator: it answers questions about stories, and
                       shows which statements it attended to.

    Exit code 1 if any result differs from the golden model.
    """
    from vitforge.boards import load_board
    from vitforge.output import check_output

    output = output or _DEFAULT[kernel]
    target = load_board(board)
    check_output(output)
    run = _run_vit if kernel == "vit" else _run_a3
    with progress_bars(as_json) as progress:
        result = run(target, output, progress)
    if as_json:
        print_json(result.to_json())
    elif kernel == "vit":
        _print_vit(result, target)  # type: ignore[arg-type]
    else:
        _print_a3(result, target)  # type: ignore[arg-type]
    if not result.passed:
        click.echo(
            "vitforge: a result differs from the golden model; vitforge csim names the first difference", err=True
        )
        sys.exit(1)


def _run_vit(board: Board, output: Path, progress: ProgressCallback) -> DemoResult | A3DemoResult:
    from vitforge.demo import demo as run  # after the checks: it imports everything

    return run(board=board, output=output, progress=progress)


def _run_a3(board: Board, output: Path, progress: ProgressCallback) -> DemoResult | A3DemoResult:
    from vitforge.a3_demo import a3_demo

    return a3_demo(board=board, output=output, progress=progress)


def _print_vit(result: DemoResult, board: Board) -> None:
    facts = result.to_json()
    print_facts(
        f"vitforge demo on a simulated {board.title}",
        {
            "held-out digits": facts["images"],
            "float top-1": f"{facts['float_top1']:.2%}",
            "INT8 top-1, simulated board": f"{facts['int8_top1']:.2%}",
            "csim mismatches, our headers": facts["csim_mismatches"],
            "csim mismatches, AMD's headers": facts["csim_mismatches_amd"],
            "driver mismatches": facts["driver_mismatches"],
            "DSPs": f"{facts['dsp']:,} of {board.dsp:,} (limit {facts['dsp_limit']:,})",
            "cycles per image, modelled": facts["cycles_per_image"],
            f"images per second at {facts['clock_mhz']:g} MHz, modelled": facts["fps"],
            "picture": facts["picture"],
            "project": facts["directory"],
        },
    )


def _print_a3(result: A3DemoResult, board: Board) -> None:
    click.echo(f"A story of {len(result.statements)} statements; the last ones:")
    for number, text in list(enumerate(result.statements, 1))[-8:]:
        click.echo(f"  {number:2}  {text}")
    for example in result.examples:
        click.echo()
        note = "right" if example.answer == example.expected else f"wrong: {example.expected}"
        rows = [(one.hop, f"{one.weight:.0%}", one.statement, one.text) for one in example.attended]
        print_table(f"{example.question} {example.answer} ({note})", ("hop", "weight", "statement", ""), rows)
    facts = result.to_json()
    print_facts(
        f"vitforge demo a3 on a simulated {board.title}",
        {
            "questions about held-out stories": f"{result.questions:,}",
            "right, exact attention": f"{result.accuracy['exact']:.1%}",
            "right, conservative (M = n/2, T = 5 %)": f"{result.accuracy['conservative']:.1%}",
            "right, aggressive (M = n/8, T = 10 %)": f"{result.accuracy['aggressive']:.1%}",
            "queries to the accelerator": f"{result.queries:,}",
            "csim mismatches, our headers": facts["csim_mismatches"],
            "csim mismatches, AMD's headers": facts["csim_mismatches_amd"],
            "driver mismatches": result.driver_mismatches,
            "DSPs": f"{facts['dsp']:,} of {board.dsp:,} (limit {facts['dsp_limit']:,})",
            "project": facts["directory"],
        },
    )
