# SPDX-License-Identifier: Apache-2.0
"""The figures of a trace of an A3 overlay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from vitforge.design.loops import CALL_CYCLES
from vitforge.golden.a3 import Attention
from vitforge.timing.a3_simulate import LAUNCH_CYCLES
from vitforge.timing.blocks import Fifo
from vitforge.timing.depths import cure
from vitforge.timing.flushable import FIRST_STAGE, LAST_STAGE, STREAM, Flushed
from vitforge.timing.report import FifoRow, StallRow
from vitforge.timing.solution import Solution

_ROOT = "top/launch/"
_UNNAMED = ("a3", "unit", "sparse_matmul", FIRST_STAGE, LAST_STAGE)  # blocks that a name leaves out


@dataclass(frozen=True, kw_only=True)
class A3TraceReport:
    """Simulated cycles of an A3 project, of all rows (``base``) and of candidates alone (``approx``).

    interval_cycles : between two groups of ``queries_at_once`` queries in steady state
    cycles_per_query : interval_cycles / queries_at_once
    latency_cycles : of a query alone, from its first beat at the kernel to the last beat of its result
    launch_cycles : that a launch takes beside this: its start and end, and a beat's way from the DMA engine and to it
    candidates, kept : rows that selection, and then post-scoring, leave of the query whose latency is given
    mean_candidates, mean_kept : the same of all queries of the steady state
    """

    n: int
    d: int
    m: int | None
    t: float | None
    units: int
    queries_at_once: int
    clock_mhz: float
    dsp: int
    launch_cycles: int
    base_cycles_per_query: float | None = None
    base_interval_cycles: float | None = None
    base_latency_cycles: int | None = None
    base_queries_per_second: float | None = None
    approx_cycles_per_query: float | None = None
    approx_interval_cycles: float | None = None
    approx_latency_cycles: int | None = None
    approx_queries_per_second: float | None = None
    candidates: int | None = None
    kept: int | None = None
    mean_candidates: float | None = None
    mean_kept: float | None = None
    load_cycles: int | None = None
    busy: dict[str, dict[str, float]] = field(default_factory=dict)  # base, approx -> process -> fraction
    stalls: dict[str, list[StallRow]] = field(default_factory=dict)
    fifos: list[FifoRow] = field(default_factory=list)
    deadlock: dict[str, object] | None = None
    loops: dict[str, dict[str, object]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return asdict(self)


def short_name(path: str) -> str:
    """A block or stream by the name that people use: ``unit1.scores``; the first unit has no prefix."""
    parts = [part for part in path.removeprefix(_ROOT).split("/") if part not in _UNNAMED]
    return ".".join(part.replace("unit#", "unit") for part in parts)


def mode_facts(
    mode: str,
    launches: Sequence[Solution],
    groups: int,
    queries_at_once: int,
    clock_mhz: float,
    fifos: Sequence[Fifo],
    goldens: tuple[Attention, Attention] | None,
) -> dict[str, object]:
    """Fields of the report for one mode, and its busy fractions and stalls.

    launches : of one query, and two that differ by ``groups`` groups of ``queries_at_once`` queries
    goldens : of the first and of the last, if their counts are to be reported
    """
    single, short, long = launches
    interval = (long.cycles - short.cycles) / groups
    per_query = interval / queries_at_once
    facts: dict[str, object] = {
        f"{mode}_interval_cycles": interval,
        f"{mode}_cycles_per_query": per_query,
        f"{mode}_latency_cycles": single.cycles - LAUNCH_CYCLES,
        f"{mode}_queries_per_second": round(clock_mhz * 1e6 / per_query, 1),
        "busy": {
            short_name(node): round(times.busy / long.cycles, 4)
            for node, times in long.nodes.items()
            if times.busy and node.startswith(_ROOT) and not node.endswith(LAST_STAGE)
        },
        "stalls": stall_rows(long, fifos),
    }
    if goldens is not None:
        first, steady = goldens
        facts |= {
            "candidates": int(first.candidates[0]),
            "kept": int(first.kept[0]),
            "mean_candidates": float(np.mean(steady.candidates)),
            "mean_kept": float(np.mean(steady.kept)),
        }
    return facts


def stall_rows(solution: Solution, fifos: Sequence[Fifo]) -> list[StallRow]:
    """Who waits for which of ``fifos``, longest first."""
    names = {fifo.path: fifo.name for fifo in fifos}
    rows = [
        StallRow(unit=short_name(node), cause=f"{names[stream]} {state}", fraction=round(count / solution.cycles, 4))
        for (node, stream, state), count in solution.waits.items()
        if stream in names
    ]
    return sorted((row for row in rows if row.fraction > 0), key=lambda row: -row.fraction)


def fifo_rows(
    fifos: Sequence[Fifo],
    solved: Sequence[Solution],
    smallest: Mapping[str, int],
    capacities: Mapping[str, int | None],
) -> list[FifoRow]:
    """Of the FIFOs that are used: depth, the fullest that they get in any launch, and the smallest that suffices."""
    fullest = {
        fifo.path: max((each.streams[fifo.path].occupancy for each in solved if fifo.path in each.streams), default=0)
        for fifo in fifos
    }
    return [
        FifoRow(
            name=fifo.name,
            depth=capacities[fifo.path] or 0,
            occupancy=fullest[fifo.path],
            smallest=smallest.get(fifo.path),
        )
        for fifo in fifos
        if fullest[fifo.path]
    ]


def deadlock_facts(launch: Flushed, solution: Solution, fifos: Sequence[Fifo]) -> dict[str, object]:
    """The circle of processes that wait for each other, and the depths that would break it."""
    names = {fifo.path: fifo.name for fifo in fifos}
    sentence = str(cure(launch.recording, launch.timings, launch.capacities, None, CALL_CYCLES))
    for path, name in sorted(names.items(), key=lambda item: -len(item[0])):
        sentence = sentence.replace(path, name)
    waits = solution.deadlock.circle if solution.deadlock else ()
    circle = [
        {
            "unit": short_name(wait.node),
            "fifo": names.get(wait.stream, STREAM),
            "is": wait.state,
            "depth": wait.capacity,
        }
        for wait in waits
    ]
    return {"cycle": solution.deadlock.cycle if solution.deadlock else 0, "circle": circle, "cure": sentence}
