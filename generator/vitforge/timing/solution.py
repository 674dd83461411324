# SPDX-License-Identifier: Apache-2.0
"""What the solver finds, by the names of the recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.timing.recording import Recording

# Tables of vitis/trace/api.cpp, in its order, with their columns.
SECTIONS = (
    ("summary", 3),
    ("nodes", 8),
    ("streams", 3),
    ("iterations", 4),
    ("waits", 4),
    ("invocations", 3),
    ("slices", 5),
    ("circle", 4),
    ("blocked", 4),
)
EMPTY, FULL = "empty", "full"
_STATES = (EMPTY, FULL)


@dataclass(frozen=True)
class NodeTimes:
    """``start`` is of the first invocation, ``end`` of the last; the rest is counted within the window.

    ``active`` cycles lie between start and end of an invocation. A process's are busy (a step takes place), stalled for
    one of three reasons, or spent in what it calls.
    """

    start: int
    end: int
    invocations: int
    active: int
    busy: int
    stall_empty: int
    stall_full: int
    stall_memory: int


@dataclass(frozen=True)
class StreamUse:
    """``occupancy`` is the smallest capacity with which this run would have taken place in the same cycles."""

    capacity: int | None
    occupancy: int
    tokens: int
    left: int  # never read


@dataclass(frozen=True)
class Wait:
    """A process that waits for a stream, ``empty`` or ``full``."""

    node: str
    stream: str
    state: str
    capacity: int | None

    def __str__(self) -> str:
        depth = f" (depth {self.capacity})" if self.state == FULL else ""
        return f"{self.node} waits for {self.stream}, which is {self.state}{depth}"


@dataclass(frozen=True)
class Deadlock:
    """``circle``: processes each of which waits for the next, the last for the first. ``blocked``: all that wait."""

    circle: tuple[Wait, ...]
    blocked: tuple[Wait, ...]
    cycle: int  # from which on the circle stands

    def __str__(self) -> str:
        return f"deadlock from cycle {self.cycle} on: " + "; ".join(str(wait) for wait in self.circle)


@dataclass(frozen=True)
class Slice:
    """A run of a loop (a stretch of one kind of it), or an invocation of a block; ends before ``end``."""

    node: str
    label: str
    kind: int | None  # None: an invocation
    start: int
    end: int


@dataclass(frozen=True)
class Invocation:
    node: str
    start: int
    end: int


@dataclass(frozen=True)
class Solution:
    cycles: int  # of the whole recording; of no meaning after a deadlock
    nodes: dict[str, NodeTimes]
    streams: dict[str, StreamUse]
    iterations: dict[tuple[str, str, int], int]  # (node, loop, kind)
    waits: dict[tuple[str, str, str], int]  # cycles by (node, stream, empty or full)
    invocations: tuple[Invocation, ...]  # of the watched blocks, in the order of their ends
    slices: tuple[Slice, ...]
    deadlock: Deadlock | None
    memory_busy: int  # cycles of the whole run in which the memory served a burst


def read_solution(
    recording: Recording, capacities: dict[str, int | None], sections: Sequence[NDArray[np.int64]]
) -> Solution:
    """From the solver's tables."""
    tables = {
        name: values.reshape(-1, columns).tolist() for (name, columns), values in zip(SECTIONS, sections, strict=True)
    }
    nodes, streams, loops = recording.node_paths, recording.stream_paths, recording.loops
    (ended, cycles, memory_busy) = tables["summary"][0]
    invocations = (Invocation(nodes[n], start, end) for n, start, end in tables["invocations"])
    return Solution(
        cycles=cycles,
        nodes={nodes[i]: NodeTimes(*row) for i, row in enumerate(tables["nodes"])},
        streams={streams[i]: StreamUse(capacities[streams[i]], *row) for i, row in enumerate(tables["streams"])},
        iterations={(nodes[n], loops[loop], kind): count for n, loop, kind, count in tables["iterations"]},
        waits={(nodes[n], streams[s], _STATES[state]): count for n, s, state, count in tables["waits"]},
        invocations=tuple(sorted(invocations, key=lambda i: (i.end, i.start, i.node))),
        slices=_slices(recording, tables["slices"]),
        deadlock=None if ended else _deadlock(recording, capacities, tables),
        memory_busy=memory_busy,
    )


def _slices(recording: Recording, rows: list[list[int]]) -> tuple[Slice, ...]:
    slices = []
    for node, loop, kind, start, end in rows:
        label = recording.nodes[node].name if loop < 0 else recording.loops[loop]
        slices.append(Slice(recording.node_paths[node], label, None if loop < 0 else kind, start, end))
    return tuple(sorted(slices, key=lambda s: (s.start, -s.end, s.node)))


def _deadlock(recording: Recording, capacities: dict[str, int | None], tables: dict[str, list[list[int]]]) -> Deadlock:
    def wait(row: list[int]) -> Wait:
        stream = recording.stream_paths[row[1]]
        return Wait(recording.node_paths[row[0]], stream, _STATES[row[2]], capacities[stream])

    return Deadlock(
        circle=tuple(wait(row) for row in tables["circle"]),
        blocked=tuple(wait(row) for row in tables["blocked"]),
        cycle=max((row[3] for row in tables["circle"]), default=0),
    )
