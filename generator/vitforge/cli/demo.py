# SPDX-License-Identifier: Apache-2.0
"""`vitforge demo`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vitforge.cli.common import debug_option, json_option, output_option, print_facts, print_json, progress_bars


@click.command(epilog="Example: vitforge demo --json")
@click.option("--board", default="zcu104", show_default=True, metavar="NAME", help="Board to build for.")
@output_option("vitforge-demo", "Directory of the project and the picture.")
@json_option
@debug_option
def demo(board: str, output: Path | None, as_json: bool) -> None:
    """The whole way on the model that ships: quantise it, generate the project, prove it bit-exact by csim, and
    classify 1,000 handwritten digits through the PYNQ driver on a simulated board.

    Exit code 1 if any result differs from the golden model.
    """
    from vitforge.boards import load_board
    from vitforge.output import check_output

    output = output or Path("vitforge-demo")
    target = load_board(board)
    check_output(output)

    from vitforge.demo import demo as run  # after the checks: it imports everything

    with progress_bars(as_json) as progress:
        result = run(board=target, output=output, progress=progress)
    facts = result.to_json()
    if as_json:
        print_json(facts)
    else:
        print_facts(
            f"vitforge demo on a simulated {target.title}",
            {
                "held-out digits": facts["images"],
                "float top-1": f"{facts['float_top1']:.2%}",
                "INT8 top-1, simulated board": f"{facts['int8_top1']:.2%}",
                "csim mismatches, our headers": facts["csim_mismatches"],
                "csim mismatches, AMD's headers": facts["csim_mismatches_amd"],
                "driver mismatches": facts["driver_mismatches"],
                "DSPs": f"{facts['dsp']:,} of {target.dsp:,} (limit {facts['dsp_limit']:,})",
                "cycles per image, modelled": facts["cycles_per_image"],
                f"images per second at {facts['clock_mhz']:g} MHz, modelled": facts["fps"],
                "picture": facts["picture"],
                "project": facts["directory"],
            },
        )
    if not result.passed:
        click.echo(
            "vitforge: a result differs from the golden model; vitforge csim names the first difference", err=True
        )
        sys.exit(1)
