# SPDX-License-Identifier: Apache-2.0
"""Pipelines that flush: as fast as those that stall, but never with a token stuck inside."""

from __future__ import annotations

import pytest

from vitforge.timing.builder import RecordingBuilder
from vitforge.timing.flushable import flush
from vitforge.timing.recording import Recording
from vitforge.timing.solution import Solution
from vitforge.timing.solver import LoopTiming, solve

COUNT, DEPTH = 20, 7
TIMINGS = {"send": LoopTiming(1, 1), "work": LoopTiming(1, DEPTH), "take": LoopTiming(1, 1)}
WORK = frozenset({"work"})


def chain(count: int = COUNT) -> Recording:
    """send -> work -> take, a token an iteration."""
    builder = RecordingBuilder()
    with builder.region("net"):
        first, second = builder.stream("first"), builder.stream("second")
        with builder.process("send"):
            for i in range(count):
                builder.iteration("send", i, writes=(first,))
        with builder.process("work"):
            for i in range(count):
                builder.iteration("work", i, reads=(first,), writes=(second,))
        with builder.process("take"):
            for i in range(count):
                builder.iteration("take", i, reads=(second,))
    return builder.build()


def ask_and_answer(count: int = COUNT) -> Recording:
    """A token is sent only when the one before has come back: a pipeline that stalls never gives it back."""
    builder = RecordingBuilder()
    with builder.region("net"):
        there, back = builder.stream("there"), builder.stream("back")
        with builder.process("ask"):
            for _ in range(count):
                builder.write(there)
                builder.read(back)
        with builder.process("work"):
            for i in range(count):
                builder.iteration("work", i, reads=(there,), writes=(back,))
    return builder.build()


def solved(recording: Recording, depth: int, *, flushing: bool) -> Solution:
    capacities = dict.fromkeys(recording.stream_paths, depth)
    if not flushing:
        return solve(recording, TIMINGS, capacities, call_cycles=0)
    parts = flush(recording, TIMINGS, WORK)
    return solve(parts.recording, parts.timings, parts.capacities | capacities, call_cycles=0)


@pytest.mark.parametrize("depth", [2, 4])
def test_without_waiting_there_is_no_difference(depth: int) -> None:
    assert solved(chain(), depth, flushing=True).cycles == solved(chain(), depth, flushing=False).cycles


def test_only_a_pipeline_that_flushes_answers_the_last_question() -> None:
    assert solved(ask_and_answer(), 2, flushing=False).deadlock is not None
    found = solved(ask_and_answer(), 2, flushing=True)
    assert found.deadlock is None
    assert found.cycles == COUNT * (DEPTH + 2)  # a cycle to be read, DEPTH inside, a cycle to be read again


def test_a_full_output_holds_the_pipeline_up() -> None:
    """As many iterations as it has stages are inside, and no more."""
    builder = RecordingBuilder()
    with builder.region("net"):
        stream = builder.stream("stream")
        with builder.process("work"):
            for i in range(COUNT):
                builder.iteration("work", i, writes=(stream,))
        with builder.process("take"):
            builder.read(stream)
    recording = builder.build()
    found = solved(recording, 2, flushing=True)
    assert found.deadlock is not None
    started = sum(count for (node, _, _), count in found.iterations.items() if node.endswith("first_stage"))
    assert started == 1 + 2 + DEPTH


def test_a_loop_beside_another_is_refused() -> None:
    builder = RecordingBuilder()
    with builder.process("both"):
        builder.iteration("work", 0)
        builder.iteration("send", 0)
    with pytest.raises(ValueError, match="both runs send, work"):
        flush(builder.build(), TIMINGS, WORK)


def test_a_process_that_does_more_than_its_loop_stalls_as_before() -> None:
    builder = RecordingBuilder()
    with builder.region("net"):
        stream, end = builder.stream("stream"), builder.stream("end")
        with builder.process("work"):
            for i in range(COUNT):
                builder.iteration("work", i, writes=(stream,))
            builder.write(end)
        with builder.process("take"):
            for i in range(COUNT):
                builder.iteration("take", i, reads=(stream,))
            builder.read(end)
    recording = builder.build()
    assert solved(recording, 4, flushing=True).cycles == solved(recording, 4, flushing=False).cycles


def test_a_loop_must_not_be_alone_in_one_process_only() -> None:
    builder = RecordingBuilder()
    with builder.region("net"):
        stream = builder.stream("stream")
        for name in ("one", "two"):
            with builder.process(name):
                builder.iteration("work", 0)
                if name == "two":
                    builder.write(stream)
    with pytest.raises(ValueError, match="work: alone"):
        flush(builder.build(), TIMINGS, WORK)
