# SPDX-License-Identifier: Apache-2.0
"""`vitforge package`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import PATH, debug_option, json_option, output_option, print_facts, print_json, progress_bars

DEFAULT_OUTPUT = Path("dist")


@click.command(epilog="Example: vitforge package my-vit my-a3 -o dist")
@click.argument("directories", type=PATH, nargs=-1, required=True, metavar="DIR...")
@output_option(str(DEFAULT_OUTPUT), "Directory of the wheel.")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Name of the overlay on the board, once for each DIR.  [default: that of the directory]",
)
@json_option
@debug_option
def package(directories: tuple[Path, ...], output: Path | None, names: tuple[str, ...], as_json: bool) -> None:
    """Write one wheel with the driver and the projects in DIR: bitstreams, weights, notebooks and a self-test.

    On the board, without a network: pip install --no-index --no-deps WHEEL, then python -m vitforge_host selftest.

    A project without a bitstream goes in with the overlay for the simulated board, and runs on a PC like this one.
    """
    from vitforge.deploy.package import package as run

    with progress_bars(as_json) as progress:
        result = run(directories, output or DEFAULT_OUTPUT, names=names, progress=progress)
    if as_json:
        print_json(result.to_json())
        return
    overlays = {
        f"overlay {one.name}": f"{one.kernel.name}, {'bitstream' if one.is_bitstream else 'for the simulated board'}"
        for one in result.payloads
    }
    print_facts(f"wheel for {result.payloads[0].board.title}", {"bytes": result.size, **overlays})
    click.echo(f"install it with: pip install --no-index --no-deps {result.wheel}")
