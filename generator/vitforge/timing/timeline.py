# SPDX-License-Identifier: Apache-2.0
"""The timeline of a trace: one track a unit, slices named after what it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vitforge.timing.blocks import ARRAY_LOOP, ARRAYS, STEP, UNITS, WORK
from vitforge.timing.jobs import END, array_jobs
from vitforge.timing.perfetto import write_timeline
from vitforge.timing.solution import Slice
from vitforge.timing.steady import HEADER, steady_steps
from vitforge.timing.trace import Trace

_STEPS = "steps"  # the track above the units
# Loop -> what its slice is called on the track of a unit that is no array.
_NAMES = {
    "sum_word": "sums of the tokens",
    "table_beat": "position table",
    "reciprocal_token": "deviations",
    "normalize_word": "normalise",
    "load_word": "patches",
    "softmax_cycle": "softmax of a head",
    "burst_beat": "from DDR",
    "keep_beat": "into the store",
    "send_entry": "out of the store",
    "merge_beat": "to the array",
    "store_class": "result",
}


def timeline(result: Trace) -> list[Slice]:
    """Slices of the steady state, an array's by job, in the order of their starts."""
    solution = result.machine.solve(result.recording, result.window, slices=True)
    first, end = steady_steps(result.machine.design)
    jobs = array_jobs(result.machine.design, result.project.model(), result.report.images)
    found: list[Slice] = []
    for engine, node in ARRAYS.items():
        names = [name for step in jobs[engine][first:end] for name in step]
        found += _named(node, [entry for entry in solution.slices if entry.node == node], names)
    for entry in solution.slices:
        if entry.node in UNITS and entry.node not in ARRAYS.values() and entry.label in _NAMES:
            found.append(replace(entry, label=_NAMES[entry.label]))
        elif entry.node == STEP and entry.kind is None:
            found.append(replace(entry, label="step"))
    return sorted(found, key=lambda entry: (entry.start, -entry.end, entry.node))


def _named(node: str, slices: list[Slice], names: list[str]) -> Iterator[Slice]:
    """One slice a job: from its first product to its last."""
    job = iter(names)
    name = END
    start = stop = 0
    for entry in slices:
        if entry.label == HEADER:
            if stop > start:
                yield Slice(node, name, 1, start, stop)
            name, start, stop = next(job, END), 0, 0
        elif entry.label == ARRAY_LOOP and (entry.kind or 0) & WORK:
            start, stop = start or entry.start, entry.end
    if stop > start:
        yield Slice(node, name, 1, start, stop)


def write_perfetto(result: Trace, path: Path) -> int:
    """Writes the timeline in the Chrome trace-event format; returns the number of slices. Raises OSError."""
    design = result.machine.design

    def track(entry: Slice) -> str | None:
        return _STEPS if entry.node == STEP else UNITS.get(entry.node)

    title = f"{design.name}, simulated at {design.clock_mhz:g} MHz"
    order = (_STEPS, *UNITS.values())
    return write_timeline(path, timeline(result), design.clock_mhz, title=title, track=track, order=order)
