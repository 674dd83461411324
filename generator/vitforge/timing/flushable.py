# SPDX-License-Identifier: Apache-2.0
"""Pipelines that flush (``#pragma HLS pipeline style=flp``): what is inside moves on while the input is empty.

The solver's pipelines stall as a whole. One that flushes is the same as two processes with a stream between: the first
reads, a token is on its way for as long as the pipeline is deep, the second writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vitforge.timing.recording import CALL, FIRST, Log, Node, Pattern, Recording, Stream
from vitforge.timing.solver import LoopTiming

STREAM = "pipeline"
FIRST_STAGE, LAST_STAGE = "first_stage", "last_stage"


@dataclass(frozen=True)
class Flushed:
    """A recording with its flushing pipelines taken apart, and timings and capacities to go with it."""

    recording: Recording
    timings: dict[str, LoopTiming]
    capacities: dict[str, int | None]  # of the streams inside of pipelines


def flush(recording: Recording, timings: Mapping[str, LoopTiming], loops: frozenset[str]) -> Flushed:
    """``recording`` with the pipelines of ``loops`` flushing, in each process that is one such loop alone.

    What a process does beside its loop comes after the loop has ended; such a process is left as it is, and stalls.
    Raises ValueError where a process runs two loops, or a loop is alone in one process and not in another.
    """
    parts = _Parts(recording)
    numbers = {number: name for number, name in enumerate(recording.loops) if name in loops}
    depth: dict[int, int] = {}
    split, left = set(), set()  # loops of processes that are taken apart, and of those that are not
    for index, log in enumerate(recording.logs):
        kinds, used = set(log.events[:, 0].tolist()), set(log.events[:, 1].tolist())
        if recording.nodes[log.node].is_region or not kinds:
            continue
        if max(kinds) > FIRST or not used & set(numbers):
            left |= {recording.loops[a] for kind, a in log.events[:, :2].tolist() if kind <= FIRST}
            continue
        names = [recording.loops[number] for number in used]
        if len(names) != 1:
            raise ValueError(f"{recording.nodes[log.node].name} runs {', '.join(sorted(names))}: one loop can flush")
        split.add(names[0])
        if timings[names[0]].depth > 1:
            depth[log.node] = max(timings[names[0]].depth, depth.get(log.node, 0))
            parts.split(index, log, depth[log.node])
    inside = {f"{path}/{STREAM}": parts.depths[node] for node, path in parts.paths().items()}
    if split & left:
        raise ValueError(f"{', '.join(sorted(split & left))}: alone in one process, and not in another")
    stages = {name: LoopTiming(timings[name].interval, 1) for name in split}
    return Flushed(parts.build(), {**timings, **stages}, inside)


class _Parts:
    """The recording that grows."""

    def __init__(self, recording: Recording) -> None:
        self._old = recording
        self._nodes, self._streams = list(recording.nodes), list(recording.streams)
        self._patterns, self._logs = list(recording.patterns), list(recording.logs)
        self._numbers = {pattern: number for number, pattern in enumerate(self._patterns)}
        self._stages: dict[int, tuple[int, int, int]] = {}  # process -> first and last stage, stream
        self.depths: dict[int, int | None] = {}

    def split(self, index: int, log: Log, depth: int) -> None:
        first, last, stream = self._stages_of(log.node, depth)
        calls = [[CALL, self._add_log(first, log, stream, True), 1], [CALL, self._add_log(last, log, stream, False), 1]]
        events = [[kind, node, number, count] for (kind, number, count), node in zip(calls, (first, last), strict=True)]
        self._logs[index] = Log(log.node, np.array(events, np.uint32))

    def paths(self) -> dict[int, str]:
        return {node: self._old.node_paths[node] for node in self._stages}

    def build(self) -> Recording:
        nodes = [
            Node(node.name, node.parent, node.ordinal, node.is_region or number in self._stages)
            for number, node in enumerate(self._nodes)
        ]
        return Recording(
            self._old.loops,
            tuple(nodes),
            tuple(self._streams),
            tuple(self._patterns),
            tuple(self._logs),
            self._old.root,
        )

    def _stages_of(self, node: int, depth: int) -> tuple[int, int, int]:
        if node not in self._stages:
            first = len(self._nodes)
            self._nodes += [Node(FIRST_STAGE, node, 0, False), Node(LAST_STAGE, node, 0, False)]
            self._streams.append(Stream(STREAM, node, 0, latency=depth - 2))
            self._stages[node] = (first, first + 1, len(self._streams) - 1)
            self.depths[node] = depth
        return self._stages[node]

    def _add_log(self, node: int, log: Log, stream: int, reads: bool) -> int:
        used, which = np.unique(log.events[:, 2], return_inverse=True)
        events = log.events.copy()
        events[:, 2] = np.array([self._side(number, stream, reads) for number in used.tolist()], np.uint32)[which]
        self._logs.append(Log(node, events))
        return len(self._logs) - 1

    def _side(self, number: int, stream: int, reads: bool) -> int:
        """The pattern of a stage: what the whole pipeline reads, or writes, and the stream between."""
        old = self._old.patterns[number]
        side = Pattern(old.reads, (stream,), old.kind) if reads else Pattern((stream,), old.writes, old.kind)
        if side not in self._numbers:
            self._numbers[side] = len(self._patterns)
            self._patterns.append(side)
        return self._numbers[side]
