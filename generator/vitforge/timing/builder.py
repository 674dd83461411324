# SPDX-License-Identifier: Apache-2.0
"""Recordings made by hand, with the rules of the recorder in vitis/csim/include/vitforge_csim/trace.hpp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from vitforge.timing.recording import CALL, FIRST, ITERATIONS, OPERATIONS, Log, Node, Pattern, Recording, Stream


@dataclass
class _Frame:
    node: int
    events: list[list[int]] = field(default_factory=list)
    ordinals: dict[str, int] = field(default_factory=dict)


class RecordingBuilder:
    """Blocks are entered with ``region`` and ``process``; what happens in between belongs to them."""

    def __init__(self) -> None:
        self._nodes = [Node("top", -1, 0, False)]
        self._loops: list[str] = []
        self._streams: list[Stream] = []
        self._patterns: dict[Pattern, int] = {}
        self._logs: dict[tuple[int, bytes], int] = {}
        self._children: dict[tuple[int, str, int], int] = {}
        self._frames = [_Frame(0)]

    def stream(self, name: str) -> int:
        """A stream that the block at hand declares; the same again if it has declared it in an earlier invocation."""
        stream = Stream(name, self._frames[-1].node, 0)
        if stream not in self._streams:
            self._streams.append(stream)
        return self._streams.index(stream)

    @contextmanager
    def region(self, name: str) -> Iterator[None]:
        self._enter(name, True)
        yield
        self._leave()

    @contextmanager
    def process(self, name: str) -> Iterator[None]:
        self._enter(name, False)
        yield
        self._leave()

    def iteration(
        self, loop: str, index: int, reads: Sequence[int] = (), writes: Sequence[int] = (), kind: int = 1
    ) -> None:
        """One iteration of a pipelined loop; a run of it begins at index 0."""
        if loop not in self._loops:
            self._loops.append(loop)
        number, pattern = self._loops.index(loop), self._pattern(reads, writes, kind)
        events = self._frames[-1].events
        goes_on = index != 0 and bool(events) and events[-1][0] <= FIRST and events[-1][1] == number
        if goes_on and events[-1][2] == pattern:
            events[-1][3] += 1
        else:
            events.append([ITERATIONS if goes_on else FIRST, number, pattern, 1])

    def read(self, stream: int) -> None:
        self._append(OPERATIONS, self._pattern((stream,), (), 1), 0)

    def write(self, stream: int) -> None:
        self._append(OPERATIONS, self._pattern((), (stream,), 1), 0)

    def build(self) -> Recording:
        if len(self._frames) != 1:
            raise ValueError("a block is still open")
        root = self._log(self._frames[0])
        logs = tuple(
            Log(node, np.frombuffer(events, np.uint32).reshape(-1, 4)) for (node, events), _ in self._logs.items()
        )
        return Recording(
            tuple(self._loops), tuple(self._nodes), tuple(self._streams), tuple(self._patterns), logs, root
        )

    def _enter(self, name: str, is_region: bool) -> None:
        parent = self._frames[-1]
        ordinal = 0
        if self._nodes[parent.node].is_region:
            ordinal = parent.ordinals.get(name, 0)
            parent.ordinals[name] = ordinal + 1
        key = (parent.node, name, ordinal)
        if key not in self._children:
            self._children[key] = len(self._nodes)
            self._nodes.append(Node(name, parent.node, ordinal, is_region))
        self._frames.append(_Frame(self._children[key]))

    def _leave(self) -> None:
        frame = self._frames.pop()
        self._append(CALL, frame.node, self._log(frame))

    def _log(self, frame: _Frame) -> int:
        events = np.array(frame.events, np.uint32).tobytes()
        return self._logs.setdefault((frame.node, events), len(self._logs))

    def _pattern(self, reads: Sequence[int], writes: Sequence[int], kind: int) -> int:
        pattern = Pattern(tuple(sorted(reads)), tuple(sorted(writes)), kind)
        return self._patterns.setdefault(pattern, len(self._patterns))

    def _append(self, kind: int, a: int, b: int) -> None:
        events = self._frames[-1].events
        if events and events[-1][:3] == [kind, a, b]:
            events[-1][3] += 1
        else:
            events.append([kind, a, b, 1])
