# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitforge.cli.common import (
    PATH,
    config_option,
    debug_option,
    json_option,
    output_option,
    print_facts,
    print_json,
    progress_bars,
)

if TYPE_CHECKING:
    from vitforge.generate import GenerateResult


@click.command(epilog="Example: vitforge generate --board zcu104 -o my-project")
@click.option("--board", metavar="NAME", help="Board to build for; `vitforge boards` lists them.")
@click.option("--board-file", type=PATH, metavar="TOML", help="A board of your own instead.")
@config_option
@click.option(
    "--model",
    metavar="PATH",
    help="Quantised directory, .safetensors file, or deit_tiny, deit_small or deit_base: the published shapes with "
    "random weights, for figures of speed.  [default: the model that ships]",
)
@click.option("--calibration", metavar="PATH", help="Images to quantise a .safetensors model with.")
@click.option("--clock-mhz", type=float, metavar="MHZ", help="PL clock.  [default: the board's]")
@output_option("vitforge-BOARD", "Directory of the project.")
@json_option
@debug_option
def generate(
    board: str | None,
    board_file: Path | None,
    config: Path | None,
    model: str | None,
    calibration: str | None,
    clock_mhz: float | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Choose a folding for model and board, and write the complete HLS project."""
    from vitforge.boards import load_board, load_board_file
    from vitforge.config import load_config
    from vitforge.errors import ConfigError
    from vitforge.output import check_output

    if board and board_file:
        raise ConfigError("--board and --board-file both name a board; give one of them")
    settings = load_config(config).with_options(
        board=board,
        board_file=str(board_file) if board_file else None,
        model=model,
        calibration=calibration,
        clock_mhz=clock_mhz,
    )
    if settings.board_file:
        target = load_board_file(Path(settings.board_file))
    elif settings.board:
        target = load_board(settings.board)
    else:
        raise ConfigError('no board is given; add --board zcu104, or board = "zcu104" to the config file')
    output = output or Path(f"vitforge-{target.name}")
    check_output(output)

    from vitforge.generate import generate as run  # after the checks: it imports everything

    with progress_bars(as_json) as progress:
        result = run(board=target, output=output, config=settings, progress=progress)
    if as_json:
        print_json(result.to_json())
    else:
        print_result(result)
        click.echo(f"\nproject: {output}   next: vitforge csim {output}")


def print_result(result: GenerateResult) -> None:
    """The choice, its reasons and the predicted figures, as a table on stdout."""
    facts = result.to_json()
    design = result.fitted.design
    board = design.board
    used = {
        name: f"{facts[key]:,} of {getattr(board, key):,} (limit {board.limit(key):,})"
        for name, key in (("DSP", "dsp"), ("BRAM36", "bram36"), ("URAM", "uram"), ("LUT", "lut"), ("FF", "ff"))
    }
    folding = ", ".join(f"{name} {value}" for name, value in facts["folding"].items())  # type: ignore[attr-defined]
    print_facts(
        f"{design.name} on {board.title}, {design.clock_mhz:g} MHz",
        {
            "folding": folding,
            "why": "\n".join(str(reason) for reason in result.fitted.reasons),
            **used,
            "cycles per image, modelled": facts["cycles_per_image"],
            "images per second, modelled": facts["fps"],
        },
    )
