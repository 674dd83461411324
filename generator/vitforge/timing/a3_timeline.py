# SPDX-License-Identifier: Apache-2.0
"""The timeline of an A3 trace: one track a process, a slice for each pair or query that it works on."""

from __future__ import annotations

from pathlib import Path

from vitforge.design.loops import CALL_CYCLES
from vitforge.timing.a3_report import short_name
from vitforge.timing.a3_simulate import flushed
from vitforge.timing.a3_trace import A3Trace
from vitforge.timing.flushable import LAST_STAGE
from vitforge.timing.perfetto import write_timeline
from vitforge.timing.solution import Slice
from vitforge.timing.solver import solve

_ALTERNATING = ("even", "odd")  # kinds 1 and 2 of a loop that goes on over all queries
_OF_QUERIES = (
    *("count_rows", "dot_word", "collect_rows", "filter_group"),
    *("post_score_group", "exponent_rows", "weigh_rows", "output_word"),
)
_NAMES = {
    **{("dot_word", i): f"{word} pair" for i, word in enumerate(_ALTERNATING, 3)},
    **{(loop, i): f"{word} query" for loop in _OF_QUERIES for i, word in enumerate(_ALTERNATING, 1)},
    ("collect_rows", 3): "rows of both lanes",
    ("track_cycle", 1): "query",
    ("search_row", 1): "no candidate",
    ("select_step", 1): "iterations",
    ("select_step", 2): "query arrives",
}


def write_a3_perfetto(result: A3Trace, path: Path) -> int:
    """Writes the timeline of the longest launch, with candidate selection if there is any, in the Chrome trace-event
    format; returns the number of slices. Raises OSError."""
    parts = flushed(result.recording, result.capacities)
    solution = solve(parts.recording, parts.timings, parts.capacities, None, CALL_CYCLES, slices=True)

    def track(entry: Slice) -> str | None:
        return None if entry.kind is None or entry.node.endswith(LAST_STAGE) else short_name(entry.node)

    clock = result.report.clock_mhz
    title = f"A3, {result.report.n} rows, simulated at {clock:g} MHz"
    return write_timeline(path, solution.slices, clock, title=title, track=track, kinds=_NAMES)
