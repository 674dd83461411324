# SPDX-License-Identifier: Apache-2.0
"""What the processes of a csim run did, in the order they did it: the input of the timing solver.

A block (`Node`) is a static piece of hardware, a region of concurrent blocks or a sequential process. Each invocation
has a log of events, four words each, folded by run length; equal invocations share one log:

    ITERATIONS, FIRST   loop, pattern, count: iterations of a pipelined loop; FIRST begins a run of it
    OPERATIONS          pattern, 0, count: stream operations outside of loops, each a step of its own
    CALL                node, log, count: invocations of another block
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.compiled import CsimLibrary
from vitforge.errors import ConfigError, ModelError

ITERATIONS, FIRST, OPERATIONS, CALL = range(4)
MAGIC, VERSION = 0x43525456, 1
_HEADER = 8


@dataclass(frozen=True)
class Node:
    name: str
    parent: int  # -1: the root
    ordinal: int  # among blocks of that name in a region
    is_region: bool


@dataclass(frozen=True)
class Stream:
    name: str
    owner: int  # the block that declares it
    ordinal: int
    latency: int = 0  # cycles that a token is on its way before it can be read


@dataclass(frozen=True)
class Pattern:
    """Stream operations of an iteration, sorted; a stream can occur several times."""

    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    kind: int = 1


@dataclass(frozen=True)
class Log:
    node: int
    events: NDArray[np.uint32]  # [event][kind, a, b, count]


@dataclass(frozen=True)
class Recording:
    loops: tuple[str, ...]
    nodes: tuple[Node, ...]
    streams: tuple[Stream, ...]
    patterns: tuple[Pattern, ...]
    logs: tuple[Log, ...]
    root: int  # the log of the whole run

    @cached_property
    def node_paths(self) -> tuple[str, ...]:
        """Names from the root on, with a number where a region has several of a name."""
        paths: list[str] = []
        for node in self.nodes:
            name = f"{node.name}#{node.ordinal}" if node.ordinal else node.name
            paths.append(name if node.parent < 0 else f"{paths[node.parent]}/{name}")
        return tuple(paths)

    @cached_property
    def stream_paths(self) -> tuple[str, ...]:
        return tuple(
            f"{self.node_paths[s.owner]}/{s.name}" + (f"#{s.ordinal}" if s.ordinal else "") for s in self.streams
        )

    @cached_property
    def words(self) -> NDArray[np.uint32]:
        """The buffer that `decode` reads."""
        header = (MAGIC, VERSION, len(self.loops), len(self.nodes), len(self.streams), len(self.patterns))
        numbers: list[int] = [*header, len(self.logs), self.root]
        for node in self.nodes:
            numbers += (node.parent & 0xFFFFFFFF, node.ordinal, int(node.is_region))
        for stream in self.streams:
            numbers += (stream.owner, stream.ordinal)
        for pattern in self.patterns:
            numbers += (pattern.kind & 0xFFFFFFFF, len(pattern.reads), len(pattern.writes))
            numbers += (*pattern.reads, *pattern.writes)
        parts = [np.array(numbers, np.uint32)]
        for log in self.logs:
            parts.append(np.array([log.node, len(log.events)], np.uint32))
            parts.append(np.ascontiguousarray(log.events, np.uint32).reshape(-1))
        names = [*self.loops, *(n.name for n in self.nodes), *(s.name for s in self.streams)]
        text = b"".join(name.encode() + b"\0" for name in names)
        parts.append(np.frombuffer(text + bytes(-len(text) % 4), "<u4").astype(np.uint32))
        return np.concatenate(parts)

    @cached_property
    def used_loops(self) -> tuple[str, ...]:
        """Loops with an iteration, by name."""
        used: set[int] = set()
        for log in self.logs:
            used.update(log.events[log.events[:, 0] <= FIRST, 1].tolist())
        return tuple(sorted(self.loops[loop] for loop in used))

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, words=self.words)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Raises ConfigError if the file cannot be read, ModelError if it is no recording."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return decode(arrays["words"])
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror or error})") from None
        except (KeyError, ValueError) as error:
            raise ModelError(f"{path} is no recording of vitforge ({error}); trace the project again") from None


def begin_recording(library: CsimLibrary) -> None:
    """Forgets what the library, compiled with VITFORGE_TRACE, has recorded."""
    library.call("vitforge_trace_begin")


def end_recording(library: CsimLibrary) -> Recording:
    """What was recorded since `begin_recording`."""
    words = np.zeros(library.call("vitforge_trace_end"), np.uint32)
    library.call("vitforge_trace_copy", words)
    return decode(words)


def decode(words: NDArray[np.uint32]) -> Recording:
    """Raises ValueError if the buffer is not one of this version."""
    if len(words) < _HEADER or tuple(words[:2]) != (MAGIC, VERSION):
        raise ValueError("not a trace of this version")
    n_loops, n_nodes, n_streams, n_patterns, n_logs, root = (int(word) for word in words[2:_HEADER])
    at = _HEADER
    node_rows = words[at : at + 3 * n_nodes].astype(np.int32).reshape(-1, 3).tolist()
    at += 3 * n_nodes
    stream_rows = words[at : at + 2 * n_streams].astype(np.int32).reshape(-1, 2).tolist()
    at += 2 * n_streams
    patterns, at = _decode_patterns(words, at, n_patterns)
    logs, at = _decode_logs(words, at, n_logs)
    names = words[at:].astype("<u4").tobytes().decode().split("\0")
    node_names = names[n_loops : n_loops + n_nodes]
    stream_names = names[n_loops + n_nodes : n_loops + n_nodes + n_streams]
    return Recording(
        loops=tuple(names[:n_loops]),
        nodes=tuple(Node(name, p, i, bool(r)) for name, (p, i, r) in zip(node_names, node_rows, strict=True)),
        streams=tuple(Stream(name, owner, i) for name, (owner, i) in zip(stream_names, stream_rows, strict=True)),
        patterns=patterns,
        logs=logs,
        root=root,
    )


def _decode_patterns(words: NDArray[np.uint32], at: int, count: int) -> tuple[tuple[Pattern, ...], int]:
    patterns = []
    for _ in range(count):
        kind, reads, writes = int(words[at].astype(np.int32)), int(words[at + 1]), int(words[at + 2])
        streams = [int(stream) for stream in words[at + 3 : at + 3 + reads + writes]]
        patterns.append(Pattern(tuple(streams[:reads]), tuple(streams[reads:]), kind))
        at += 3 + reads + writes
    return tuple(patterns), at


def _decode_logs(words: NDArray[np.uint32], at: int, count: int) -> tuple[tuple[Log, ...], int]:
    logs = []
    for _ in range(count):
        node, events = int(words[at]), int(words[at + 1])
        logs.append(Log(node, words[at + 2 : at + 2 + 4 * events].reshape(-1, 4).copy()))
        at += 2 + 4 * events
    return tuple(logs), at
