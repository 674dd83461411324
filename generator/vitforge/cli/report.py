# SPDX-License-Identifier: Apache-2.0
"""`vitforge report`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitforge.cli.common import PATH, debug_option, json_option, print_json, print_table

if TYPE_CHECKING:
    from vitforge.report.compare import ProjectReport


@click.command(epilog="Example: vitforge report vitforge-zcu104 --html report.html")
@click.argument("directory", type=PATH)
@click.option("--html", type=PATH, metavar="FILE", help="Write a page with pictures, which needs nothing beside it.")
@json_option
@debug_option
def report(directory: Path, html: Path | None, as_json: bool) -> None:
    """Put what was predicted of the project in DIRECTORY beside what Vitis and Vivado reported.

    A loop at another interval than the stated one is marked. What no tool has reported yet is named; it is no failure.
    """
    from vitforge.report.compare import report as compare
    from vitforge.report.page import write_page

    result = compare(directory)
    if html is not None:
        write_page(result, directory, html)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)


def _print(result: ProjectReport) -> None:
    stages = [result.reported.get(stage, {}) for stage in ("csynth", "implementation")]
    names = ("clock_mhz", "dsp", "lut", "ff", "bram36", "uram")
    rows = [(name, result.predicted.get(name), *(stage.get(name) for stage in stages)) for name in names]
    print_table(f"{result.kernel} on {result.board}", ("", "predicted", "C synthesis", "implementation"), rows)
    if any(loop.reached is not None for loop in result.loops):
        loops = [
            (row.name, row.stated, row.reached, row.modelled_depth, row.depth, "MISSED" if row.misses else "")
            for row in result.loops
        ]
        print_table("loops, cycles", ("loop", "II stated", "II reached", "depth modelled", "depth", ""), loops)
    cosim = result.reported.get("cosim")
    if cosim is not None:
        cycles = "" if cosim["latency_cycles"] is None else f", {cosim['latency_cycles']:,} cycles at most"
        click.echo(f"co-simulation of the RTL: {cosim['status']}{cycles}")
    slack = result.reported.get("timing", {}).get("worst_slack_ns")
    if slack is not None:
        click.echo(f"worst slack: {slack:g} ns" + (": timing is not met" if slack < 0 else ""))
    for sentence in result.missing:
        click.echo(f"missing: {sentence}")
