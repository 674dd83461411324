# SPDX-License-Identifier: Apache-2.0
"""`vitforge build`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitforge.cli.common import PATH, debug_option, json_option, print_json, print_table, progress_bars

if TYPE_CHECKING:
    from vitforge.vendor.runner import BuildResult


@click.command(epilog="Example: vitforge build vitforge-zcu104 --until csynth")
@click.argument("directory", type=PATH)
@click.option(
    "--until",
    type=click.Choice(["csynth", "cosim", "ip", "bitstream"]),
    default="bitstream",
    show_default=True,
    help="Last step. cosim is no part of the way to a bitstream.",
)
@click.option("--force", is_flag=True, help="Run all steps again, those too that ended well.")
@json_option
@debug_option
def build(directory: Path, until: str, force: bool, as_json: bool) -> None:
    """Build the project in DIRECTORY with Vitis and Vivado, and put bitstream and handoff into its overlay.

    Steps that ended well are kept while sources and tool are the same, so a build goes on where it stopped.

    Each step has a log in vitis/build/logs. Without vitforge: make -C vitis, with a step as target.
    Exit code 3 if a tool is missing or a step fails.
    """
    from vitforge.vendor.runner import BuildError
    from vitforge.vendor.runner import build as run

    try:
        with progress_bars(as_json) as progress:
            result = run(directory, until=until, force=force, progress=progress)
    except BuildError as error:
        if as_json:
            print_json(error.result.to_json())
        else:
            _print(error.result)
        raise
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)


def _print(result: BuildResult) -> None:
    rows = [(step.name, step.status, f"{step.seconds:,.0f} s", step.log) for step in result.steps]
    print_table(str(result.directory), ("step", "status", "time", "log"), rows)
    for what, path in result.outputs.items():
        click.echo(f"{what}: {path}")
