# SPDX-License-Identifier: Apache-2.0
"""FIFO depths: the smallest that cost no cycle, and those that cure a deadlock.

A deeper FIFO never makes a step later (short of a memory, which it can make serve others first), so that a depth can be
searched by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vitforge.timing.recording import Recording
from vitforge.timing.solution import FULL, Deadlock, Solution
from vitforge.timing.solver import Capacities, LoopTiming, MemoryModel, solve


@dataclass(frozen=True)
class Cure:
    """Depths that end a deadlock, each the smallest while the others stay.

    More than one if no full stream of the circle is enough alone; none if no depth helps.
    """

    depths: dict[str, int]

    def __str__(self) -> str:
        if not self.depths:
            return "no depth of a FIFO cures it: a process waits for what is never written"
        parts = [f"{path} to {depth}" for path, depth in self.depths.items()]
        return f"deepen {parts[0]}" if len(parts) == 1 else "deepen all of " + ", ".join(parts)


class _Problem:
    """A recording whose capacities alone vary."""

    def __init__(
        self,
        recording: Recording,
        timings: Mapping[str, LoopTiming],
        memory: MemoryModel | None,
        call_cycles: int,
    ) -> None:
        self._recording, self._timings = recording, timings
        self.pipelines = {
            path for stream, path in zip(recording.streams, recording.stream_paths, strict=True) if stream.latency
        }
        self._memory, self._call_cycles = memory, call_cycles

    def solve(self, capacities: Capacities) -> Solution:
        return solve(self._recording, self._timings, capacities, self._memory, self._call_cycles)

    def full_streams(self, deadlock: Deadlock) -> list[str]:
        """FIFOs of the circle; of all that wait, where the circle has none. The stages of a pipeline are none."""
        for waits in (deadlock.circle, deadlock.blocked):
            full = [wait.stream for wait in waits if wait.state == FULL and wait.stream not in self.pipelines]
            if full:
                return full
        return []


def smallest_depths(
    recording: Recording,
    timings: Mapping[str, LoopTiming],
    capacities: Capacities,
    memory: MemoryModel | None = None,
    call_cycles: int = 2,
    streams: Sequence[str] | None = None,
    guesses: Mapping[str, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """The smallest depth of each FIFO (of all, or of ``streams``) with which the run ends as early as with
    ``capacities``: reduced one after the other, each reduction kept.

    ``guesses`` are lower bounds, tried first: the depths of a shorter run save most of the search. ``progress`` gets
    (done, all).

    Raises ValueError if the run deadlocks.
    """
    problem = _Problem(recording, timings, memory, call_cycles)
    reference = problem.solve(capacities)
    if reference.deadlock is not None:
        raise ValueError(str(reference.deadlock))
    paths = list(recording.stream_paths if streams is None else streams)
    # Nothing changes at all when every FIFO is as deep as it was ever full.
    current: dict[str, int | None] = dict(capacities)
    current |= {path: max(1, reference.streams[path].occupancy) for path in paths}
    result: dict[str, int] = {}
    for number, path in enumerate(paths):
        if progress is not None:
            progress(number, len(paths))

        def suffices(depth: int, path: str = path) -> bool:
            found = problem.solve(current | {path: depth})
            return found.deadlock is None and found.cycles <= reference.cycles

        most = max(1, reference.streams[path].occupancy)
        least = min(most, (guesses or {}).get(path, 1))
        result[path] = least if suffices(least) else _smallest(suffices, most, least + 1)
        current[path] = result[path]
    return result


def cure(
    recording: Recording,
    timings: Mapping[str, LoopTiming],
    capacities: Capacities,
    memory: MemoryModel | None = None,
    call_cycles: int = 2,
) -> Cure | None:
    """How to end the deadlock that ``capacities`` lead to; None if there is none."""
    problem = _Problem(recording, timings, memory, call_cycles)
    found = problem.solve(capacities)
    if found.deadlock is None:
        return None
    single = {}
    for path in problem.full_streams(found.deadlock):
        if problem.solve({**capacities, path: None}).deadlock is None:
            single[path] = _cure_one(problem, capacities, path)
    if single:
        path = min(single, key=lambda p: single[p] - (capacities[p] or 0))
        return Cure({path: single[path]})
    return Cure(_cure_together(problem, capacities, found))


def _cure_one(problem: _Problem, capacities: Capacities, path: str) -> int:
    def cures(depth: int) -> bool:
        return problem.solve({**capacities, path: depth}).deadlock is None

    depth = 2 * (capacities[path] or 1)
    while not cures(depth):
        depth *= 2
    return _smallest(cures, depth)


def _cure_together(problem: _Problem, capacities: Capacities, found: Solution) -> dict[str, int]:
    """Opens the full streams of one circle after the other, then makes each as small as the others allow."""
    opened: dict[str, int | None] = {}
    while found.deadlock is not None:
        full = problem.full_streams(found.deadlock)  # an opened one is never full
        if not full:
            return {}
        opened |= dict.fromkeys(full)
        found = problem.solve({**capacities, **opened})
    depths = {path: max(1, found.streams[path].occupancy, capacities[path] or 1) for path in sorted(opened)}
    for path in depths:

        def cures(depth: int, path: str = path) -> bool:
            return problem.solve({**capacities, **depths, path: depth}).deadlock is None

        depths[path] = _smallest(cures, depths[path])
    return {path: depth for path, depth in depths.items() if depth > (capacities[path] or 0)}


def _smallest(suffices: Callable[[int], bool], known: int, low: int = 1) -> int:
    """The smallest depth that suffices, ``low`` at least; ``known`` does."""
    while low < known:
        middle = (low + known) // 2
        if suffices(middle):
            known = middle
        else:
            low = middle + 1
    return known
