# SPDX-License-Identifier: Apache-2.0
"""Times that have a closed form."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vitforge.errors import CheckError, ConfigError
from vitforge.timing.builder import RecordingBuilder
from vitforge.timing.recording import Recording
from vitforge.timing.solution import NodeTimes, Slice
from vitforge.timing.solver import LoopTiming, MemoryModel, solve

CALL = 2  # cycles before and after a call: of the region, by the root
STREAM = "top/net/words"


def producer_consumer(n: int) -> Recording:
    builder = RecordingBuilder()
    with builder.region("net"):
        words = builder.stream("words")
        with builder.process("producer"):
            for i in range(n):
                builder.iteration("produce", i, writes=[words])
        with builder.process("consumer"):
            for i in range(n):
                builder.iteration("consume", i, reads=[words])
    return builder.build()


def beats(processes: int, n: int) -> Recording:
    builder = RecordingBuilder()
    with builder.region("net"):
        for _ in range(processes):
            with builder.process("fetch"):
                for i in range(n):
                    builder.iteration("beat", i)
    return builder.build()


def test_a_loop_alone() -> None:
    found = solve(beats(1, 10), {"beat": LoopTiming(3, 5)}, {}, call_cycles=CALL)
    assert found.cycles == CALL + 9 * 3 + 5 + CALL
    assert found.nodes["top/net/fetch"] == NodeTimes(CALL, CALL + 32, 1, 32, 32, 0, 0, 0)
    assert found.iterations == {("top/net/fetch", "beat", 1): 10}


@pytest.mark.parametrize("depths", [(1, 1), (3, 4), (20, 2)])
def test_the_consumer_follows_the_producer(depths: tuple[int, int]) -> None:
    timings = {"produce": LoopTiming(1, depths[0]), "consume": LoopTiming(1, depths[1])}
    found = solve(producer_consumer(50), timings, {STREAM: 2}, call_cycles=CALL)
    assert found.cycles == 2 * CALL + depths[0] + 49 + depths[1]
    assert found.nodes["top/net/consumer"].stall_empty == depths[0]
    assert found.nodes["top/net/producer"].stall_full == 0
    assert found.streams[STREAM].occupancy == 2  # a token waits while the next one is written


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_a_slow_consumer_holds_the_producer(capacity: int) -> None:
    timings = {"produce": LoopTiming(1, 4), "consume": LoopTiming(3, 2)}
    found = solve(producer_consumer(20), timings, {STREAM: capacity}, call_cycles=0)
    read = 4  # the cycle of the first
    assert found.nodes["top/net/consumer"].end == read + 19 * 3 + 2
    last_write = read + 3 * (19 - capacity) + 1
    assert found.nodes["top/net/producer"].end == last_write + 1
    assert found.nodes["top/net/producer"].stall_full == last_write - (19 + 3)
    assert found.waits["top/net/producer", STREAM, "full"] == last_write - (19 + 3)


def test_a_fifo_of_depth_one_passes_a_token_every_other_cycle() -> None:
    timings = {"produce": LoopTiming(1, 3), "consume": LoopTiming(1, 6)}
    found = solve(producer_consumer(40), timings, {STREAM: 1}, call_cycles=0)
    assert found.cycles == 3 + 2 * 39 + 6


def test_a_region_takes_as_long_as_its_slowest_process_and_calls_add_up() -> None:
    builder = RecordingBuilder()
    with builder.process("outer"):
        for _ in range(3):
            with builder.region("inner"):
                for n in (4, 9):
                    with builder.process("work"):
                        for i in range(n):
                            builder.iteration("work", i)
    timings = {"work": LoopTiming(2, 7)}
    found = solve(builder.build(), timings, {}, call_cycles=CALL, watch="inner")
    inner = 8 * 2 + 7
    assert found.cycles == 2 * CALL + 3 * (inner + 2 * CALL)
    assert [call.end - call.start for call in found.invocations] == [inner] * 3
    assert found.nodes["top/outer/inner/work"].active == 3 * (3 * 2 + 7)
    assert found.nodes["top/outer/inner/work#1"].active == 3 * inner


def test_operations_outside_loops_are_steps() -> None:
    builder = RecordingBuilder()
    with builder.region("net"):
        words = builder.stream("words")
        with builder.process("writer"):
            for _ in range(5):
                builder.write(words)
        with builder.process("reader"):
            for _ in range(5):
                builder.read(words)
    found = solve(builder.build(), {}, {STREAM: 8}, call_cycles=0)
    assert (found.nodes["top/net/writer"].end, found.cycles) == (5, 6)


def memory(rate: Fraction, outstanding: int) -> MemoryModel:
    return MemoryModel(beats_per_cycle=rate, burst_beats=8, latency=30, outstanding=outstanding)


TIMING = {"beat": LoopTiming(1, 4, memory=True)}


def test_memory_bandwidth_bounds_a_process_with_enough_bursts_outstanding() -> None:
    found = solve(beats(1, 64), TIMING, {}, memory(Fraction(1, 2), 8), call_cycles=0)
    assert found.cycles == 30 + 64 * 2 + 4
    assert found.nodes["top/net/fetch"].stall_memory == found.cycles - (64 + 3)
    assert found.memory_busy == 128


def test_one_burst_at_a_time_pays_the_latency_of_each() -> None:
    found = solve(beats(1, 64), TIMING, {}, memory(Fraction(1, 2), 1), call_cycles=0)
    assert found.cycles == 8 * (30 + 8 * 2) + 4


def test_a_fast_memory_gives_a_process_one_beat_a_cycle() -> None:
    found = solve(beats(1, 64), TIMING, {}, memory(Fraction(4), 8), call_cycles=0)
    assert found.cycles == 30 + 1 + 63 + 4


def test_processes_share_the_bandwidth() -> None:
    found = solve(beats(2, 64), TIMING, {}, memory(Fraction(1, 2), 8), call_cycles=0)
    assert found.cycles == 30 + 2 * 64 * 2 + 4


def test_without_a_memory_model_beats_are_there() -> None:
    assert solve(beats(1, 64), TIMING, {}, call_cycles=0).cycles == 63 + 4


def test_a_window_counts_what_is_in_it() -> None:
    timings = {"produce": LoopTiming(1, 3), "consume": LoopTiming(1, 1)}
    found = solve(producer_consumer(50), timings, {STREAM: 2}, call_cycles=0, window=(1, 13))
    assert found.iterations["top/net/producer", "produce", 1] == 12
    assert found.iterations["top/net/consumer", "consume", 1] == 10
    consumer = found.nodes["top/net/consumer"]
    assert (consumer.busy, consumer.stall_empty, consumer.active) == (10, 2, 12)
    assert consumer.end == 53  # of the whole run


def test_slices_are_stretches_of_one_kind() -> None:
    builder = RecordingBuilder()
    with builder.process("array"):
        for kinds in ((1, 1, 0), (2, 2)):
            for i, kind in enumerate(kinds):
                builder.iteration("cycle", i, kind=kind)
    found = solve(builder.build(), {"cycle": LoopTiming(2, 3)}, {}, call_cycles=0, slices=True)
    array = "top/array"
    assert [s for s in found.slices if s.kind is not None] == [
        Slice(array, "cycle", 1, 0, 3),
        Slice(array, "cycle", 0, 4, 5),
        Slice(array, "cycle", 2, 7, 10),
    ]
    assert Slice(array, "array", None, 0, 12) in found.slices


def test_occupancy_is_the_capacity_that_changes_nothing() -> None:
    timings = {"produce": LoopTiming(1, 3), "consume": LoopTiming(2, 9)}
    free = solve(producer_consumer(50), timings, {STREAM: None})
    occupancy = free.streams[STREAM].occupancy
    assert solve(producer_consumer(50), timings, {STREAM: occupancy}).nodes == free.nodes
    assert solve(producer_consumer(50), timings, {STREAM: occupancy - 1}).nodes != free.nodes


def test_what_is_missing_is_named() -> None:
    recording = producer_consumer(3)
    timings = {"produce": LoopTiming(1, 1), "consume": LoopTiming(1, 1)}
    with pytest.raises(ConfigError, match="loop consume of the recording has no interval"):
        solve(recording, {"produce": LoopTiming(1, 1)}, {STREAM: 1})
    with pytest.raises(ConfigError, match="stream top/net/words of the recording has no capacity"):
        solve(recording, timings, {})
    with pytest.raises(ConfigError, match="no block half_step"):
        solve(recording, timings, {STREAM: 1}, watch="half_step")
    with pytest.raises(ConfigError, match="both start at 1"):
        solve(recording, timings | {"consume": LoopTiming(0, 1)}, {STREAM: 1})
    with pytest.raises(ConfigError, match="it starts at 1"):
        solve(recording, timings, {STREAM: 0})
    with pytest.raises(ConfigError, match="makes no memory"):
        memory(Fraction(0), 1)


def test_a_stream_with_two_writers_at_once_is_refused() -> None:
    builder = RecordingBuilder()
    with builder.region("net"):
        words = builder.stream("words")
        for _ in range(2):
            with builder.process("writer"):
                for i in range(5):
                    builder.iteration("write", i, writes=[words])
    with pytest.raises(CheckError, match="used by two processes at once"):
        solve(builder.build(), {"write": LoopTiming(1, 1)}, {STREAM: None})
