# SPDX-License-Identifier: Apache-2.0
"""Random networks: the solver finds what a cycle-by-cycle simulation finds, to the cycle."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from timing.brute_force import BruteForce
from timing.networks import random_memory, random_recording, random_timings
from vitforge.timing.recording import Recording
from vitforge.timing.solution import Solution
from vitforge.timing.solver import solve

FOREVER = 1 << 40
CASES = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@CASES
@given(st.integers(0, 2**32))
@example(9355)  # reads that are older than the last write, of an invocation before
def test_the_solver_equals_a_simulation_cycle_by_cycle(seed: int) -> None:
    rng = random.Random(seed)
    recording = with_latencies(rng, random_recording(rng))
    timings, memory, call_cycles = random_timings(rng), random_memory(rng), rng.randint(0, 2)
    choices = rng.choice(((1, 2), (1, 2, 3, 4, None), (6, 10, 16), (14, 16, 18, None)))
    capacities = {path: rng.choice(choices) for path in recording.stream_paths}
    begin = rng.randint(0, 30)
    window = rng.choice((None, (begin, begin + rng.randint(0, 40))))
    found = solve(recording, timings, capacities, memory, call_cycles, window, slices=window is None, watch="net")
    brute = BruteForce(recording, timings, capacities, memory, call_cycles, window or (0, FOREVER))
    assert brute.run() == (found.deadlock is None)
    compare_counts(recording, found, brute)
    compare_times(recording, found, brute)
    if window is None:
        compare_slices(recording, found, brute)
    if found.deadlock is None:
        assert found.cycles == brute.cycle
    else:
        compare_deadlock(recording, found, brute)


def with_latencies(rng: random.Random, recording: Recording) -> Recording:
    """Tokens of some streams are a few cycles on their way."""
    longest = rng.choice((0, 0, 3))
    return replace(recording, streams=tuple(replace(s, latency=rng.randint(0, longest)) for s in recording.streams))


def compare_counts(recording: Recording, found: Solution, brute: BruteForce) -> None:
    for i, path in enumerate(recording.node_paths):
        node = found.nodes[path]
        stalls = [brute.stalls[i, cause] for cause in ("empty", "full", "memory")]
        assert node.busy == brute.busy[i], path
        assert [node.stall_empty, node.stall_full, node.stall_memory] == stalls, path
    nodes, streams = recording.node_paths, recording.stream_paths
    assert found.waits == {(nodes[n], streams[s], c): count for (n, s, c), count in brute.waits.items()}
    assert {key: count for key, count in found.iterations.items() if count} == {
        (nodes[n], loop, kind): count for (n, loop, kind), count in brute.iterations.items() if count
    }
    for i, path in enumerate(streams):
        assert found.streams[path].tokens == brute.written[i]
        assert found.streams[path].left == brute.written[i] - brute.read[i]
        assert found.streams[path].occupancy == brute.occupancy[i], path


def compare_times(recording: Recording, found: Solution, brute: BruteForce) -> None:
    for i, path in enumerate(recording.node_paths):
        node, starts = found.nodes[path], brute.starts[i]
        spans = [(start, end) for n, start, end in brute.spans if n == i]
        begin, stop = brute.window
        assert node.invocations == len(starts)
        assert node.start == (starts[0] if starts else -1)
        assert node.end == (spans[-1][1] if spans else 0)
        assert node.active == sum(max(0, min(end, stop) - max(start, begin)) for start, end in spans)
    watched = [(start, end) for n, start, end in brute.spans if recording.nodes[n].name == "net"]
    assert [(call.start, call.end) for call in found.invocations] == watched


def compare_slices(recording: Recording, found: Solution, brute: BruteForce) -> None:
    loops = Counter((s.node, s.label, s.kind, s.start, s.end) for s in found.slices if s.kind is not None)
    calls = Counter((s.node, s.start, s.end) for s in found.slices if s.kind is None)
    nodes = recording.node_paths
    if found.deadlock is None:
        assert loops == Counter((nodes[node], *rest) for node, *rest in brute.slices)
    assert calls == Counter((nodes[node], start, end) for node, start, end in brute.spans if end > start)


def compare_deadlock(recording: Recording, found: Solution, brute: BruteForce) -> None:
    assert found.deadlock is not None
    blocked = set()
    for thread in brute.threads:
        if thread.waits:
            _, cause, stream = thread.waits[-1]
            blocked.add((recording.node_paths[thread.node], recording.stream_paths[stream], cause))
    assert {(wait.node, wait.stream, wait.state) for wait in found.deadlock.blocked} == blocked
    circle = {(wait.node, wait.stream, wait.state) for wait in found.deadlock.circle}
    assert circle and circle <= blocked
