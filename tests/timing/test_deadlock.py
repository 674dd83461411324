# SPDX-License-Identifier: Apache-2.0
"""Planted deadlocks are found, named by their circle of streams, and cured by the smallest depth; slack is taken."""

from __future__ import annotations

import random

import pytest

from timing.networks import random_recording, random_timings
from vitforge.timing.builder import RecordingBuilder
from vitforge.timing.depths import cure, smallest_depths
from vitforge.timing.recording import Recording
from vitforge.timing.solver import LoopTiming, solve

TIMINGS = {"write": LoopTiming(1, 1), "read": LoopTiming(1, 1)}


def late_go(sizes: dict[str, int]) -> Recording:
    """The writer fills the streams one after the other, then says go; the reader waits for go before it reads."""
    builder = RecordingBuilder()
    with builder.region("net"):
        streams = {name: builder.stream(name) for name in sizes}
        go = builder.stream("go")
        with builder.process("writer"):
            for name, size in sizes.items():
                for i in range(size):
                    builder.iteration("write", i, writes=[streams[name]])
            builder.write(go)
        with builder.process("reader"):
            builder.read(go)
            for name, size in sizes.items():
                for i in range(size):
                    builder.iteration("read", i, reads=[streams[name]])
    return builder.build()


def capacities(**sizes: int) -> dict[str, int | None]:
    return {f"top/net/{name}": size for name, size in sizes.items()}


def test_the_circle_is_named() -> None:
    found = solve(late_go({"data": 8}), TIMINGS, capacities(data=4, go=1))
    assert found.deadlock is not None
    waits = {(wait.node, wait.stream, wait.state, wait.capacity) for wait in found.deadlock.circle}
    assert waits == {
        ("top/net/writer", "top/net/data", "full", 4),
        ("top/net/reader", "top/net/go", "empty", 1),
    }
    assert "top/net/writer waits for top/net/data, which is full (depth 4)" in str(found.deadlock)


def test_the_cure_is_the_smallest_depth() -> None:
    recording = late_go({"data": 8})
    found = cure(recording, TIMINGS, capacities(data=3, go=1))
    assert found is not None and found.depths == {"top/net/data": 8}
    assert str(found) == "deepen top/net/data to 8"
    assert solve(recording, TIMINGS, capacities(data=8, go=1)).deadlock is None
    assert solve(recording, TIMINGS, capacities(data=7, go=1)).deadlock is not None


def test_a_cure_of_several_streams() -> None:
    recording = late_go({"data": 4, "more": 9, "enough": 2})
    found = cure(recording, TIMINGS, capacities(data=2, more=2, enough=2, go=1))
    assert found is not None and found.depths == {"top/net/data": 4, "top/net/more": 9}
    assert "deepen all of" in str(found)


def test_no_deadlock_needs_no_cure() -> None:
    assert cure(late_go({"data": 8}), TIMINGS, capacities(data=8, go=1)) is None


def test_a_token_that_never_comes() -> None:
    builder = RecordingBuilder()
    with builder.region("net"):
        data = builder.stream("data")
        with builder.process("reader"):
            builder.read(data)
    found = cure(builder.build(), {}, capacities(data=1))
    assert found is not None and not found.depths and "never written" in str(found)


def test_a_circle_through_a_nested_region() -> None:
    """The outer reader waits for go; who would write it is not called before the inner region has ended."""
    builder = RecordingBuilder()
    with builder.region("net"):
        data, go = builder.stream("data"), builder.stream("go")
        with builder.process("outer"):
            with builder.region("inner"), builder.process("writer"):
                for i in range(6):
                    builder.iteration("write", i, writes=[data])
            with builder.process("starter"):
                builder.write(go)
        with builder.process("reader"):
            builder.read(go)
            for i in range(6):
                builder.iteration("read", i, reads=[data])
    recording = builder.build()
    found = solve(recording, TIMINGS, capacities(data=5, go=1)).deadlock
    assert found is not None
    assert {(wait.node, wait.state) for wait in found.circle} == {
        ("top/net/outer/inner/writer", "full"),
        ("top/net/reader", "empty"),
    }
    remedy = cure(recording, TIMINGS, capacities(data=5, go=1))
    assert remedy is not None and remedy.depths == {"top/net/data": 6}


def test_smallest_depths_of_a_burst() -> None:
    """The stream that has to hold everything, and the one that holds a token."""
    recording = late_go({"data": 8})
    depths = smallest_depths(recording, TIMINGS, capacities(data=100, go=100))
    assert depths == {"top/net/data": 8, "top/net/go": 1}
    with pytest.raises(ValueError, match="deadlock"):
        smallest_depths(recording, TIMINGS, capacities(data=4, go=1))


@pytest.mark.parametrize("seed", range(30))
def test_smallest_depths_and_cures_of_random_networks(seed: int) -> None:
    rng = random.Random(seed)
    recording, timings = random_recording(rng), random_timings(rng)
    free = dict.fromkeys(recording.stream_paths)
    reference = solve(recording, timings, free)
    if reference.deadlock is not None:
        return
    depths = smallest_depths(recording, timings, free)
    assert solve(recording, timings, depths).cycles == reference.cycles
    for path, depth in depths.items():
        if depth > 1:
            less = solve(recording, timings, depths | {path: depth - 1})
            assert less.deadlock is not None or less.cycles > reference.cycles
    shallow: dict[str, int | None] = dict.fromkeys(recording.stream_paths, 1)
    remedy = cure(recording, timings, shallow)
    if remedy is None:
        return
    assert solve(recording, timings, shallow | remedy.depths).deadlock is None
    for path, depth in remedy.depths.items():
        assert solve(recording, timings, shallow | remedy.depths | {path: depth - 1}).deadlock is not None
