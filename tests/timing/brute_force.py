# SPDX-License-Identifier: Apache-2.0
"""The timing rules again, cycle by cycle in plain Python: slow, and nothing shared with the solver."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from math import ceil

from vitforge.timing.recording import CALL, FIRST, ITERATIONS, OPERATIONS, Recording
from vitforge.timing.solver import LoopTiming, MemoryModel


@dataclass
class Step:
    """What a process does next; ``iteration`` is (loop, kind) where one begins in it."""

    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    iteration: tuple[str, int] | None = None
    run: object = None
    beat: int | None = None


@dataclass
class Call:
    logs: list[int]


@dataclass
class Delay:
    cycles: int


@dataclass
class Burst:
    first: int
    beats: int
    start: int | None = None


@dataclass
class MemoryRun:
    """Beats of one run of a memory loop."""

    beats: int
    bursts: list[Burst] = field(default_factory=list)


@dataclass
class Thread:
    node: int
    body: Generator[Step | Call | Delay | MemoryRun, None, None]
    parent: Thread | None
    start: int
    now: Step | Call | Delay | MemoryRun | None = None
    until: int = 0
    children: int = 0
    memory: MemoryRun | None = None
    waits: list[tuple[int, str, int]] = field(default_factory=list)
    slice_of: object = None


class BruteForce:
    def __init__(
        self,
        recording: Recording,
        timings: Mapping[str, LoopTiming],
        capacities: Mapping[str, int | None],
        memory: MemoryModel | None,
        call_cycles: int,
        window: tuple[int, int],
    ) -> None:
        self.recording, self.timings, self.memory, self.call_cycles = recording, timings, memory, call_cycles
        self.window = window
        self.capacity = [capacities[path] for path in recording.stream_paths]
        self.written, self.read = Counter[int](), Counter[int]()
        self.written_at: defaultdict[int, list[int]] = defaultdict(list)
        self.occupancy = Counter[int]()
        self.cycle = 0
        self.threads: list[Thread] = []
        self.fired: list[Step] = []
        self.requests: list[tuple[int, int, int, Burst]] = []
        self.server_free = 0
        self.spans: list[tuple[int, int, int]] = []
        self.busy, self.stalls, self.waits = Counter[int](), Counter[tuple[int, str]](), Counter[tuple]()
        self.starts: defaultdict[int, list[int]] = defaultdict(list)
        self.iterations = Counter[tuple[int, str, int]]()
        self.slices: list[list] = []

    # The bodies of processes and regions, as sequences of what they do.

    def body(self, log_id: int) -> Generator[Step | Call | Delay | MemoryRun, None, None]:
        log = self.recording.logs[log_id]
        events = log.events.tolist()
        if self.recording.nodes[log.node].is_region:
            yield Call([event[2] for event in events])
            return
        i = 0
        while i < len(events):
            kind, a, b, count = events[i]
            i += 1
            if kind == CALL:
                for _ in range(count):
                    yield Delay(self.call_cycles)
                    yield Call([b])
                    yield Delay(self.call_cycles)
            elif kind == OPERATIONS:
                pattern = self.recording.patterns[a]
                for _ in range(count):
                    yield Step(pattern.reads, pattern.writes)
            else:
                assert kind == FIRST
                patterns = [b] * count
                while i < len(events) and events[i][0] == ITERATIONS:
                    patterns += [events[i][2]] * events[i][3]
                    i += 1
                yield from self.loop_run(self.recording.loops[a], patterns)

    def loop_run(self, loop: str, numbers: list[int]) -> Generator[Step | MemoryRun, None, None]:
        timing = self.timings[loop]
        patterns = [self.recording.patterns[number] for number in numbers]
        steps = [Step() for _ in range((len(patterns) - 1) * timing.interval + timing.depth)]
        run = object()
        for i, pattern in enumerate(patterns):
            first, last = steps[i * timing.interval], steps[i * timing.interval + timing.depth - 1]
            first.reads, first.iteration, first.run = pattern.reads, (loop, pattern.kind), run
            last.writes = pattern.writes
            if timing.memory and self.memory:
                first.beat = i
        if timing.memory and self.memory:
            yield MemoryRun(len(patterns))
        yield from steps

    # Time.

    def run(self) -> bool:
        """True at the end, False at a deadlock."""
        self.spawn(self.recording.root, None)
        while True:
            self.settle()
            if not self.threads:
                return True
            ready = [thread for thread in self.threads if isinstance(thread.now, Step) and self.can_fire(thread)]
            for thread in ready:
                self.fire(thread)
            moving = any(isinstance(t.now, Delay) or (t.waits and t.waits[-1][1] == "memory") for t in self.threads)
            moving |= any(
                at + self.recording.streams[stream].latency >= self.cycle
                for stream, cycles in self.written_at.items()
                for at in cycles[-1:]
            )
            if not ready and not moving:
                return False
            self.end_cycle()
            self.cycle += 1

    def spawn(self, log_id: int, parent: Thread | None) -> None:
        node = self.recording.logs[log_id].node
        self.threads.append(Thread(node, self.body(log_id), parent, self.cycle))
        self.starts[node].append(self.cycle)

    def settle(self) -> None:
        """Everything that takes no time."""
        changed = True
        while changed:
            changed = False
            for thread in list(self.threads):
                if isinstance(thread.now, Delay) and self.cycle >= thread.until:
                    thread.now = None
                if isinstance(thread.now, Call) and thread.children == 0:
                    thread.now = None
                if thread.now is None:
                    changed = True
                    self.advance(thread)

    def advance(self, thread: Thread) -> None:
        thread.now = next(thread.body, None)
        if thread.now is None:
            self.threads.remove(thread)
            self.spans.append((thread.node, thread.start, self.cycle))
            if thread.parent:
                thread.parent.children -= 1
        elif isinstance(thread.now, Delay):
            thread.until = self.cycle + thread.now.cycles
        elif isinstance(thread.now, Call):
            thread.children = len(thread.now.logs)
            for log_id in thread.now.logs:
                self.spawn(log_id, thread)
        elif isinstance(thread.now, MemoryRun):
            thread.memory = thread.now
            thread.now = None
            self.request(thread, 0)

    def can_fire(self, thread: Thread) -> bool:
        blocked = self.blocked_by(thread)
        if blocked:
            thread.waits.append((self.cycle, *blocked))
        return blocked is None

    def blocked_by(self, thread: Thread) -> tuple[str, int] | None:
        step = thread.now
        assert isinstance(step, Step)
        for stream in step.reads:
            arrived = sum(at + self.recording.streams[stream].latency < self.cycle for at in self.written_at[stream])
            if arrived - self.read[stream] < step.reads.count(stream):
                return "empty", stream
        for stream in step.writes:
            capacity = self.capacity[stream]
            held = self.written[stream] - self.read[stream]
            if capacity is not None and held + step.writes.count(stream) > capacity:
                return "full", stream
        if step.beat is not None:
            assert thread.memory and self.memory
            burst = thread.memory.bursts[step.beat // self.memory.burst_beats]
            if burst.start is None:
                return "memory", -1
            beats = step.beat - burst.first + 1
            if self.cycle < burst.start + self.memory.latency + ceil(beats / self.memory.beats_per_cycle):
                return "memory", -1
        return None

    def fire(self, thread: Thread) -> None:
        step = thread.now
        assert isinstance(step, Step)
        self.fired.append(step)
        inside = self.window[0] <= self.cycle < self.window[1]
        self.busy[thread.node] += inside
        for cycle, cause, stream in thread.waits:
            if self.window[0] <= cycle < self.window[1]:
                self.stalls[thread.node, cause] += 1
                if stream >= 0:
                    self.waits[thread.node, stream, cause] += 1
        thread.waits = []
        if step.iteration:
            self.iterations[(thread.node, *step.iteration)] += inside
            self.note_slice(thread, step)
        if step.beat is not None:
            self.request(thread, step.beat + 1)
        thread.now = None

    def note_slice(self, thread: Thread, step: Step) -> None:
        assert step.iteration
        if thread.slice_of == (step.run, step.iteration):
            next(s for s in reversed(self.slices) if s[0] == thread.node)[4] = self.cycle + 1
        else:
            self.slices.append([thread.node, *step.iteration, self.cycle, self.cycle + 1])
            thread.slice_of = (step.run, step.iteration)

    def request(self, thread: Thread, consumed: int) -> None:
        run, model = thread.memory, self.memory
        assert run and model
        while True:
            number = len(run.bursts)
            first = number * model.burst_beats
            earlier = number - model.outstanding
            if first >= run.beats or (earlier >= 0 and consumed < (earlier + 1) * model.burst_beats):
                return
            run.bursts.append(Burst(first, min(model.burst_beats, run.beats - first)))
            self.requests.append((self.cycle, thread.node, number, run.bursts[-1]))

    def end_cycle(self) -> None:
        """Tokens and places count from the next cycle on, so those read now are still held when these are written."""
        for step in self.fired:
            for stream in step.writes:
                self.written[stream] += 1
                self.written_at[stream].append(self.cycle)
                self.occupancy[stream] = max(self.occupancy[stream], self.written[stream] - self.read[stream])
        for step in self.fired:
            self.read.update(step.reads)
        self.fired.clear()
        if self.requests and self.memory and self.server_free <= self.cycle:
            request = min(self.requests, key=lambda r: r[:3])
            self.requests.remove(request)
            request[3].start = self.cycle
            self.server_free = self.cycle + ceil(request[3].beats / self.memory.beats_per_cycle)
