# SPDX-License-Identifier: Apache-2.0
"""Cycle-exact times of a recording, under given loop timings, FIFO capacities and a memory model.

A run of a pipelined loop with n iterations, initiation interval II and depth D is (n - 1) * II + D steps: iteration i
reads in step i * II and writes in step i * II + D - 1. A step takes place in the first cycle, after that of the step
before, in which each token it reads was written in an earlier cycle, and each token it writes finds room: a place
read in an earlier cycle is free. The pipeline stalls as a whole. A stream operation outside of loops is one step.
The C++ solver is in vitis/trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.build import build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import own_headers
from vitforge.errors import ConfigError
from vitforge.resources import data_dir
from vitforge.timing.recording import Recording
from vitforge.timing.solution import SECTIONS, Solution, read_solution

Capacities = Mapping[str, int | None]
_FOREVER = (1 << 62) - 1


@dataclass(frozen=True)
class LoopTiming:
    """Initiation interval and depth of a pipelined loop; ``memory``: each iteration takes a beat from DDR."""

    interval: int
    depth: int
    memory: bool = False


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """One DDR memory for all processes, that serves bursts in the order of their requests.

    A process requests burst b when its loop begins or burst ``b - outstanding`` is consumed. Beat j (from 0) of a
    burst is there ``latency + ceil((j + 1) / beats_per_cycle)`` cycles after its service starts.
    """

    beats_per_cycle: Fraction
    burst_beats: int
    latency: int
    outstanding: int

    def __post_init__(self) -> None:
        if self.beats_per_cycle <= 0 or min(self.burst_beats, self.outstanding) < 1 or self.latency < 0:
            raise ConfigError(f"{self} makes no memory: all must be positive, the latency not negative")


def solve(
    recording: Recording,
    timings: Mapping[str, LoopTiming],
    capacities: Capacities,
    memory: MemoryModel | None = None,
    call_cycles: int = 2,
    window: tuple[int, int] | None = None,
    slices: bool = False,
    watch: str | None = None,
) -> Solution:
    """Times of the whole recording; cycles and iterations are counted within ``window``, from the first to before the
    last of its two.

    ``capacities`` are by stream path, None is unbounded. A process that calls another waits ``call_cycles`` before and
    after. ``watch`` is the path or name of blocks whose invocations are listed. Without a memory model, memory loops
    find every beat there.

    Raises ConfigError for a loop without timing, a stream without capacity, or a watched block that does not exist.
    """
    library = _library()
    begin, end = window or (0, _FOREVER)
    options = [call_cycles, begin, end, int(slices), *_memory_values(memory)]
    library.call(
        "vitforge_trace_solve",
        recording.words,
        _loop_values(recording, timings),
        _capacity_values(recording, capacities),
        _watch_values(recording, watch),
        np.array(options, np.int64),
    )
    sections = []
    for section in range(len(SECTIONS)):
        values = np.zeros(max(1, library.call("vitforge_trace_section_size", section)), np.int64)
        size = library.call("vitforge_trace_section_size", section)
        library.call("vitforge_trace_section", section, values)
        sections.append(values[:size])
    return read_solution(recording, dict(capacities), sections)


@lru_cache(maxsize=1)
def _library() -> CsimLibrary:
    directory = data_dir("vitis") / "trace"
    sources = [directory / name for name in ("solver.cpp", "steps.cpp", "api.cpp")]
    library = build_shared(sources, headers=own_headers(), include_dirs=[directory], name="trace_solver")
    return CsimLibrary(library)


def _loop_values(recording: Recording, timings: Mapping[str, LoopTiming]) -> NDArray[np.int64]:
    for name in recording.used_loops:
        if name not in timings:
            raise ConfigError(f"loop {name} of the recording has no interval and depth")
        timing = timings[name]
        if timing.interval < 1 or timing.depth < 1:
            raise ConfigError(f"loop {name} has interval {timing.interval} and depth {timing.depth}; both start at 1")
    idle = LoopTiming(1, 1)  # of a loop without iterations
    rows = [timings.get(name, idle) for name in recording.loops]
    return np.array([(t.interval, t.depth, int(t.memory)) for t in rows] or [(0, 0, 0)], np.int64)


def _capacity_values(recording: Recording, capacities: Capacities) -> NDArray[np.int64]:
    values = []
    for stream, path in zip(recording.streams, recording.stream_paths, strict=True):
        if path not in capacities:
            raise ConfigError(f"stream {path} of the recording has no capacity")
        capacity = capacities[path]
        if capacity is not None and capacity < 1:
            raise ConfigError(f"stream {path} has capacity {capacity}; it starts at 1")
        values.append((-1 if capacity is None else capacity, stream.latency))
    return np.array(values or [(0, 0)], np.int64)


def _watch_values(recording: Recording, watch: str | None) -> NDArray[np.int64]:
    marks = [watch in (node.name, path) for node, path in zip(recording.nodes, recording.node_paths, strict=True)]
    if watch is not None and not any(marks):
        raise ConfigError(f"the recording has no block {watch}")
    return np.array(marks, np.int64)


def _memory_values(memory: MemoryModel | None) -> list[int]:
    if memory is None:
        return [0, 1, 1, 1, 0, 1]
    rate = memory.beats_per_cycle
    return [1, rate.denominator, rate.numerator, memory.burst_beats, memory.latency, memory.outstanding]
