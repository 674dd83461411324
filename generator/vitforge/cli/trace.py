# SPDX-License-Identifier: Apache-2.0
"""`vitforge trace`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitforge.cli.common import PATH, debug_option, json_option, print_facts, print_json, print_table, progress_bars
from vitforge.errors import ConfigError

if TYPE_CHECKING:
    from vitforge.timing.report import TraceReport


@click.command(epilog="Example: vitforge trace vitforge-zcu104 --perfetto timeline.json")
@click.argument("directory", type=PATH)
@click.option("--images", type=int, help="Images of the launch that is simulated.  [default: 12]")
@click.option("--depth", "depths", multiple=True, metavar="FIFO=N", help="Another depth of a FIFO; can be repeated.")
@click.option("--clock-mhz", type=float, help="Another clock.  [default: the design's]")
@click.option("--perfetto", type=PATH, metavar="FILE", help="Write a timeline that opens in ui.perfetto.dev.")
@json_option
@debug_option
def trace(
    directory: Path,
    images: int | None,
    depths: tuple[str, ...],
    clock_mhz: float | None,
    perfetto: Path | None,
    as_json: bool,
) -> None:
    """Simulated cycles of the project in DIRECTORY: what every unit does, who waits for whom, how deep FIFOs must be.

    It runs csim and replays its processes cycle by cycle; no vendor tool is needed. The figures assume that the tool
    reaches the initiation intervals and the clock written in the design. Exit code 1 on a deadlock.
    """
    from vitforge.timing.timeline import write_perfetto
    from vitforge.timing.trace import IMAGES
    from vitforge.timing.trace import trace as run

    if perfetto is not None and not perfetto.absolute().parent.is_dir():
        raise ConfigError(f"{perfetto.absolute().parent} is no directory; --perfetto takes a file to write")
    with progress_bars(as_json) as progress:
        result = run(
            directory,
            images=IMAGES if images is None else images,
            depths=dict(map(_depth, depths)),
            clock_mhz=clock_mhz,
            progress=progress,
        )
        if perfetto is not None and result.report.deadlock is None:
            write_perfetto(result, perfetto)
    if as_json:
        print_json(result.report.to_json())
    elif result.report.deadlock is None:
        _print(result.report)
    if result.report.deadlock is not None:
        click.echo(f"vitforge: {_deadlock_sentence(result.report.deadlock)}", err=True)
        sys.exit(1)


def _depth(text: str) -> tuple[str, int]:
    name, _, depth = text.partition("=")
    if not depth.isdecimal():
        raise ConfigError(f"--depth {text} must be a FIFO and its depth, as in --depth scores=32")
    return name, int(depth)


def _deadlock_sentence(deadlock: dict) -> str:
    parts = [
        f"{wait['unit']} waits for {wait['fifo']}, which is {wait['is']} (depth {wait['depth']})"
        for wait in deadlock["circle"]
    ]
    return f"deadlock at cycle {deadlock['cycle']:,}: {'; '.join(parts)}; {deadlock['cure']}"


def _print(report: TraceReport) -> None:
    print_facts(
        f"simulated, {report.images} images, steady state with {report.in_flight} in flight",
        {
            "cycles per image": report.cycles_per_image,
            "images per second": f"{report.fps:,} at {report.clock_mhz:g} MHz",
            "latency of one image": f"{report.latency_cycles:,} cycles",
            "DSP": report.dsp,
            "of what all DSPs of the device could do": f"{report.dsp_roof_fraction:.1%}",
            "balance of the arrays": f"{report.engine_balance:.1%}",
            "DDR": f"{report.ddr_gbps:g} GB/s",
        },
    )
    print_table("busy", ("unit", "fraction"), [(name, value) for name, value in report.busy.items()])
    stalls = [(row.unit, row.cause, row.fraction) for row in report.stalls]
    print_table("stalls", ("unit", "waits for", "fraction"), stalls)
    fifos = [(row.name, row.depth, row.occupancy, row.smallest) for row in report.fifos]
    print_table("FIFOs", ("name", "depth", "fullest", "smallest that costs nothing"), fifos)
    print_facts("ping-pong buffers", report.buffers)
    loops = [(name, row["interval"], row["depth"], row["what"]) for name, row in report.loops.items()]
    print_table("assumed of each loop", ("loop", "II", "depth", ""), loops)
