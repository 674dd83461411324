# SPDX-License-Identifier: Apache-2.0
"""Random networks of processes: nested regions, loops whose stream operations depend on the iteration, feedback."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction

from vitforge.timing.builder import RecordingBuilder
from vitforge.timing.recording import Recording
from vitforge.timing.solver import LoopTiming, MemoryModel

LOOPS = ("a", "b", "c", "beats")


@dataclass
class Slot:
    """One iteration, or one place between loops; streams are (owner, name)."""

    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)


@dataclass
class Run:
    loop: str | None  # None: operations outside of loops
    slots: list[Slot]
    kinds: list[int]


@dataclass
class Block:
    name: str
    is_region: bool
    items: list[Run | Block] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)


def random_recording(rng: random.Random) -> Recording:
    builder = RecordingBuilder()
    top = Block("net", True)
    _fill_region(rng, top, 0)
    _emit(builder, top, {})
    return builder.build()


def random_timings(rng: random.Random) -> dict[str, LoopTiming]:
    return {loop: LoopTiming(rng.randint(1, 3), rng.randint(1, 6), loop == "beats") for loop in LOOPS}


def random_memory(rng: random.Random) -> MemoryModel | None:
    if rng.randint(0, 3) == 0:
        return None
    rate = Fraction(rng.randint(1, 4), rng.randint(1, 4))
    return MemoryModel(
        beats_per_cycle=rate, burst_beats=rng.randint(1, 4), latency=rng.randint(0, 5), outstanding=rng.randint(1, 3)
    )


def _fill_region(rng: random.Random, region: Block, depth: int) -> None:
    for i in range(rng.randint(1 + (depth == 0), 5)):
        is_region = depth < 2 and rng.randint(0, 5) == 0
        # Names repeat: a region tells its children of one name apart by number.
        child = Block(rng.choice("pq"), is_region)
        region.items.append(child)
        if is_region:
            child.name = f"region{i}"
            _fill_region(rng, child, depth + 1)
        else:
            _fill_process(rng, child, depth)
    for i in range(rng.randint(0, 4) if len(region.items) > 1 else 0):
        name = f"{region.name}.{depth}.s{i}"
        region.streams.append(name)
        writer, reader = sorted(rng.sample(range(len(region.items)), k=2))
        if rng.randint(0, 20) == 0:
            writer, reader = reader, rng.choice((writer, reader))  # feedback
        _connect(rng, name, region.items[writer], region.items[reader])


def _fill_process(rng: random.Random, process: Block, depth: int) -> None:
    for _ in range(rng.randint(depth == 0, 3)):
        choice = rng.randint(0, 5)
        if choice == 0 and depth < 2:
            called = Block(rng.choice(("r1", "r2")), True)
            _fill_region(rng, called, depth + 1)
            process.items.append(called)
        else:
            size = rng.randint(1, 12)
            loop = rng.choice(LOOPS) if choice > 1 else None
            kinds = [rng.randint(0, 2) for _ in range(size)] if rng.randint(0, 1) else [1] * size
            process.items.append(Run(loop, [Slot() for _ in range(size)], kinds))


def _connect(rng: random.Random, name: str, writer: Run | Block, reader: Run | Block) -> None:
    """As many reads as writes, at random places in the order of the program; seldom one too many."""
    sources, sinks = _slots(rng, writer), _slots(rng, reader)
    if not sources or not sinks:
        return
    tokens = rng.randint(0, 16)
    for slot in rng.choices(sources, k=tokens):
        slot.writes.append(name)
    for slot in rng.choices(sinks, k=tokens + (rng.randint(0, 30) == 0)):
        slot.reads.append(name)


def _slots(rng: random.Random, item: Run | Block) -> list[Slot]:
    """Where a stream may be used: of concurrent blocks by one."""
    if isinstance(item, Run):
        return item.slots
    inner = item.items
    if item.is_region and inner:
        inner = [rng.choice(inner)]
    return [slot for part in inner for slot in _slots(rng, part)]


def _emit(builder: RecordingBuilder, block: Block, streams: dict[str, int]) -> None:
    with builder.region(block.name) if block.is_region else builder.process(block.name):
        inner = streams | {name: builder.stream(name) for name in block.streams}
        for item in block.items:
            if isinstance(item, Block):
                _emit(builder, item, inner)
            else:
                _emit_run(builder, item, inner)


def _emit_run(builder: RecordingBuilder, run: Run, streams: dict[str, int]) -> None:
    for i, slot in enumerate(run.slots):
        reads, writes = [streams[s] for s in slot.reads], [streams[s] for s in slot.writes]
        if run.loop:
            builder.iteration(run.loop, i, reads, writes, run.kinds[i])
            continue
        for stream in reads:
            builder.read(stream)
        for stream in writes:
            builder.write(stream)
