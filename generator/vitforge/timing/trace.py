# SPDX-License-Identifier: Apache-2.0
"""`vitforge trace`: simulated cycles of a project, unit by unit, without a vendor tool.

The processes of a csim run are replayed with the initiation intervals and depths of `design.loops`, the FIFO depths of
the generated sources and a DDR of the board's bandwidth. What comes out assumes that the tool reaches those intervals
and the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from vitforge.boards import Board
from vitforge.csim.project import Project, load_project
from vitforge.design.design import Design
from vitforge.design.loops import BURST_BEATS, CALL_CYCLES, DDR_EFFICIENCY, DDR_LATENCY, LOOPS, OUTSTANDING
from vitforge.design.resources import dsp_rows
from vitforge.errors import ConfigError
from vitforge.timing.blocks import STEP, Fifo, fifos, with_depths
from vitforge.timing.ddr import image_bytes
from vitforge.timing.depths import cure, smallest_depths
from vitforge.timing.jobs import array_jobs
from vitforge.timing.record import record
from vitforge.timing.recording import Recording
from vitforge.timing.report import TraceReport, steady_report
from vitforge.timing.solution import Solution
from vitforge.timing.solver import LoopTiming, MemoryModel, solve
from vitforge.timing.steady import linear_cycles, steady_steps
from vitforge_host.blob import read_blob

IMAGES = 12  # three rounds of the ring: one fills it, one is measured, one keeps it full to the end
LEAST_IMAGES = 12
Progress = Callable[[str, int, int], None]  # (what, done, total)
TIMINGS = {name: LoopTiming(loop.interval, loop.depth, loop.memory) for name, loop in LOOPS.items()}


def ddr_model(board: Board, clock_mhz: float) -> MemoryModel:
    """DDR of ``board`` for ports at this clock; where its bandwidth is not known, it never limits."""
    rate = Fraction(4)  # a beat a cycle on every port
    if board.ddr_gbps is not None:
        beats = board.ddr_gbps * 1e9 * DDR_EFFICIENCY / (clock_mhz * 1e6 * (board.axi_bits // 8))
        rate = Fraction(beats).limit_denominator(1000)
    return MemoryModel(beats_per_cycle=rate, burst_beats=BURST_BEATS, latency=DDR_LATENCY, outstanding=OUTSTANDING)


@dataclass(frozen=True)
class Machine:
    """What the same recording can be solved for again: FIFO depths and clock."""

    design: Design
    capacities: Mapping[str, int | None]

    def memory(self) -> MemoryModel:
        """DDR of the board at the design's clock."""
        return ddr_model(self.design.board, self.design.clock_mhz)

    def solve(self, recording: Recording, window: tuple[int, int] | None = None, *, slices: bool = False) -> Solution:
        return solve(
            recording,
            TIMINGS,
            self.capacities,
            self.memory(),
            CALL_CYCLES,
            window=window,
            slices=slices,
            watch=STEP,
        )


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A solved recording, and all that a report or a timeline is made from."""

    project: Project
    machine: Machine
    recording: Recording
    fifos: list[Fifo]
    window: tuple[int, int]  # of one round of the ring in steady state
    report: TraceReport


def trace(
    directory: Path | str,
    *,
    images: int = IMAGES,
    depths: Mapping[str, int] | None = None,
    clock_mhz: float | None = None,
    smallest: bool = True,
    progress: Progress | None = None,
) -> Trace:
    """Simulated cycles of the project in ``directory``, and DDR bytes of a further image of a launch.

    images : of the launch that is recorded, at least `LEAST_IMAGES`
    depths : FIFO name -> depth, instead of the generated ones
    clock_mhz : instead of the design's; DDR keeps its bandwidth in bytes a second
    smallest : also search the smallest depth of each FIFO that costs no cycle

    Raises
    ------
    ConfigError
        If ``directory`` is no project, or an argument is out of range.
    CheckError
        If csim of the project differs from the golden model, or faults.
    ToolError
        If there is no compiler.
    """
    if images < LEAST_IMAGES:
        raise ConfigError(f"images is {images}; a steady state needs at least {LEAST_IMAGES}")
    notify = progress or (lambda what, done, total: None)
    project = load_project(directory)
    design = project.design
    if clock_mhz is not None:
        design = replace(design, clock_mhz=design.board.legal_clock(clock_mhz))
    notify("csim", 0, 2)
    recording = record(project, images)
    notify("csim", 1, 2)
    single = record(project, 1)
    found = fifos(recording, project.directory / "hls")
    machine = Machine(design, with_depths(found, depths or {}))
    notify("solve", 0, 1)
    whole = machine.solve(recording)
    if whole.deadlock is not None:
        sentence = cure(recording, TIMINGS, machine.capacities, machine.memory(), CALL_CYCLES)
        report = TraceReport.of_deadlock(design, images, found, machine.capacities, whole.deadlock, str(sentence))
        return Trace(project=project, machine=machine, recording=recording, fifos=found, window=(0, 0), report=report)
    steps = steady_steps(design)
    ends = [call.end for call in whole.invocations]
    window = (ends[steps[0] - 1], ends[steps[1] - 1])
    steady, model = machine.solve(recording, window, slices=True), project.model()
    report = steady_report(
        design=design,
        model=model,
        images=images,
        steady=steady,
        linear=linear_cycles(steady, array_jobs(design, model, images), steps),
        traffic=image_bytes(read_blob(project.blob()).manifest),
        window=window,
        whole=whole,
        latency=machine.solve(single).cycles,
        fifos=found,
        smallest=_smallest(recording, single, machine, whole, notify) if smallest else None,
        dsp=sum(dsp_rows(design).values()),
    )
    return Trace(project=project, machine=machine, recording=recording, fifos=found, window=window, report=report)


def _smallest(
    recording: Recording, single: Recording, machine: Machine, whole: Solution, notify: Progress
) -> dict[str, int]:
    """Of the whole launch; one image, which is solved fast, tells where to begin."""
    used = [path for path, use in whole.streams.items() if use.tokens]
    memory = machine.memory()
    guesses = smallest_depths(single, TIMINGS, machine.capacities, memory, CALL_CYCLES, used)
    return smallest_depths(
        recording, TIMINGS, machine.capacities, memory, CALL_CYCLES, used, guesses, partial(notify, "FIFO depths")
    )
