# SPDX-License-Identifier: Apache-2.0
"""`vitforge trace`"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vitforge.cli.common import (
    OVERLAY_TITLES,
    PATH,
    ProgressCallback,
    debug_option,
    json_option,
    print_facts,
    print_json,
    print_table,
    progress_bars,
    refuse_options,
)
from vitforge.errors import ConfigError

if TYPE_CHECKING:
    from vitforge.timing.a3_report import A3TraceReport
    from vitforge.timing.report import TraceReport
    from vitforge.timing.sparse_matmul_trace import SparseMatmulTraceReport

_MODES = {"base": "all rows", "approx": "candidates alone"}


@click.command(epilog="Example: vitforge trace vitforge-zcu104 --perfetto timeline.json")
@click.argument("directory", type=PATH)
@click.option("--images", type=int, help="Images of the launch that is simulated.  [default: 12]")
@click.option("--n", type=int, help="A3: rows of key and value.  [default: 320, or as many as fit]")
@click.option("--d", type=int, help="A3: elements of a row.  [default: as many as fit]")
@click.option("--m", type=int, help="A3: iterations of candidate selection.  [default: the project's, else n / 2]")
@click.option(
    "--t", type=float, help="A3: least weight kept, in percent of the largest.  [default: the project's, else 5]"
)
@click.option("--depth", "depths", multiple=True, metavar="FIFO=N", help="Another depth of a FIFO; can be repeated.")
@click.option("--clock-mhz", type=float, help="Another clock.  [default: the design's]")
@click.option("--perfetto", type=PATH, metavar="FILE", help="Write a timeline that opens in ui.perfetto.dev.")
@json_option
@debug_option
def trace(
    directory: Path,
    images: int | None,
    n: int | None,
    d: int | None,
    m: int | None,
    t: float | None,
    depths: tuple[str, ...],
    clock_mhz: float | None,
    perfetto: Path | None,
    as_json: bool,
) -> None:
    """Simulated cycles of the project in DIRECTORY: what every unit does, who waits for whom, how deep FIFOs must be.

    It runs csim and replays its processes cycle by cycle; no vendor tool is needed. The figures assume that the tool
    reaches the initiation intervals and the clock written in the design. Exit code 1 on a deadlock.
    """
    from vitforge.csim.project import kernel_of

    if perfetto is not None and not perfetto.absolute().parent.is_dir():
        raise ConfigError(f"{perfetto.absolute().parent} is no directory; --perfetto takes a file to write")
    sizes: dict[str, Any] = {"n": n, "d": d, "m": m, "t": t}
    kernel = kernel_of(directory)
    title = OVERLAY_TITLES.get(kernel, "a Vision Transformer")
    if kernel != "vit":
        refuse_options(f"is for a Vision Transformer, and {directory} is {title}", images=images)
    if kernel != "a3":
        refuse_options(f"is for an A3 overlay, and {directory} is {title}", **sizes)
    asked: dict[str, Any] = {"depths": dict(map(_depth, depths)), "clock_mhz": clock_mhz}
    report: Any
    with progress_bars(as_json) as progress:
        if kernel == "a3":
            report = _trace_a3(directory, {**sizes, **asked}, perfetto, progress)
        elif kernel == "sparse_matmul":
            report = _trace_sparse_matmul(directory, asked, perfetto, progress)
        else:
            report = _trace_vit(directory, images, asked, perfetto, progress)
    if as_json:
        print_json(report.to_json())
    elif report.deadlock is None:
        printers: dict[str, Callable[[Any], None]] = {"a3": _print_a3, "sparse_matmul": _print_sparse_matmul}
        printers.get(kernel, _print)(report)
    if report.deadlock is not None:
        click.echo(f"vitforge: {_deadlock_sentence(report.deadlock)}", err=True)
        sys.exit(1)


def _trace_a3(
    directory: Path, asked: dict[str, Any], perfetto: Path | None, progress: ProgressCallback
) -> A3TraceReport:
    from vitforge.timing.a3_timeline import write_a3_perfetto
    from vitforge.timing.a3_trace import trace_a3

    result = trace_a3(directory, **asked, progress=progress)
    if perfetto is not None and result.report.deadlock is None:
        write_a3_perfetto(result, perfetto)
    return result.report


def _trace_sparse_matmul(
    directory: Path, asked: dict[str, Any], perfetto: Path | None, progress: ProgressCallback
) -> SparseMatmulTraceReport:
    from vitforge.timing.sparse_matmul_timeline import write_sparse_matmul_perfetto
    from vitforge.timing.sparse_matmul_trace import trace_sparse_matmul

    result = trace_sparse_matmul(directory, **asked, progress=progress)
    if perfetto is not None and result.report.deadlock is None:
        write_sparse_matmul_perfetto(result, perfetto)
    return result.report


def _trace_vit(
    directory: Path, images: int | None, asked: dict[str, Any], perfetto: Path | None, progress: ProgressCallback
) -> TraceReport:
    from vitforge.timing.timeline import write_perfetto
    from vitforge.timing.trace import IMAGES
    from vitforge.timing.trace import trace as run

    result = run(directory, images=IMAGES if images is None else images, **asked, progress=progress)
    if perfetto is not None and result.report.deadlock is None:
        write_perfetto(result, perfetto)
    return result.report


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
            "DDR": f"{report.ddr_gbps:g} GB/s, {report.ddr_bytes_per_image:,} bytes a further image",
            "read once a launch": f"{report.ddr_bytes_per_launch:,} bytes, which stay on chip",
        },
    )
    print_table("busy", ("unit", "fraction"), [(name, value) for name, value in report.busy.items()])
    stalls = [(row.unit, row.cause, row.fraction) for row in report.stalls]
    print_table("stalls", ("unit", "waits for", "fraction"), stalls)
    _print_fifos(report)
    print_facts("ping-pong buffers", report.buffers)
    _print_loops(report)


def _print_sparse_matmul(report: SparseMatmulTraceReport) -> None:
    print_table(
        f"simulated, {report.block_rows} rows of {report.inputs} inputs, {report.outputs} outputs, "
        f"{report.clock_mhz:g} MHz, {report.dsp:,} DSP; an array of {report.array_macs_per_cycle:,} products a cycle",
        ("matrix", "products", "ideal cycles", "cycles", "products a cycle", "times dense", "a launch alone"),
        [
            (name, row.macs, row.ideal_cycles, row.cycles, row.macs_per_cycle, row.speedup, row.launch_cycles)
            for name, row in report.cases.items()
        ],
    )
    for name, row in report.cases.items():
        print_table(f"busy, {name}", ("process", "fraction"), list(row.busy.items()))
        print_table(
            f"stalls, {name}", ("process", "waits for", "fraction"), [(s.unit, s.cause, s.fraction) for s in row.stalls]
        )
    _print_fifos(report)
    _print_loops(report)


def _print_fifos(report: TraceReport | A3TraceReport | SparseMatmulTraceReport) -> None:
    fifos = [(row.name, row.depth, row.occupancy, row.smallest) for row in report.fifos]
    print_table("FIFOs", ("name", "depth", "fullest", "smallest that costs nothing"), fifos)


def _print_loops(report: TraceReport | A3TraceReport | SparseMatmulTraceReport) -> None:
    loops = [(name, row["interval"], row["depth"], row["what"]) for name, row in report.loops.items()]
    print_table("assumed of each loop", ("loop", "II", "depth", ""), loops)


def _print_a3(report: A3TraceReport) -> None:
    facts: dict[str, object] = {
        "cycles per query, all rows": report.base_cycles_per_query,
        "queries per second, all rows": f"{report.base_queries_per_second:,.0f}",
        "latency of one query, all rows": report.base_latency_cycles,
    }
    if report.m is not None:
        facts |= {
            f"cycles per query, M = {report.m}, T = {report.t:g} %": report.approx_cycles_per_query,
            "queries per second": f"{report.approx_queries_per_second:,.0f}",
            "latency of one query": report.approx_latency_cycles,
            "candidates, rows kept": f"{report.mean_candidates:.1f}, {report.mean_kept:.1f} of {report.n}, mean",
        }
    facts |= {"cycles of a load": report.load_cycles, "DSP": report.dsp}
    units = f"{report.units} unit{'s' * (report.units > 1)}"
    print_facts(
        f"simulated, n = {report.n}, d = {report.d}, {units}, {report.queries_at_once} queries at once, "
        f"{report.clock_mhz:g} MHz",
        facts,
    )
    for mode, busy in report.busy.items():
        print_table(f"busy, {_MODES[mode]}", ("process", "fraction"), list(busy.items()))
    for mode, rows in report.stalls.items():
        stalls = [(row.unit, row.cause, row.fraction) for row in rows]
        print_table(f"stalls, {_MODES[mode]}", ("process", "waits for", "fraction"), stalls)
    _print_fifos(report)
    _print_loops(report)
