# SPDX-License-Identifier: Apache-2.0
"""Initiation interval and pipeline depth of every loop of the kernels: the one place for both.

The interval is what the loop's pragma asks for. The depth, cycles from the start of an iteration to its end, is
modelled: no synthesis report stands behind it yet. `docs/performance.md` prints this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LoopModel:
    """Timing of one pipelined loop, in clock cycles."""

    interval: int
    depth: int
    what: str
    memory: bool = False  # an iteration takes a beat from DDR

    def cycles(self, iterations: int) -> int:
        """Of a run of the loop that never waits."""
        return (iterations - 1) * self.interval + self.depth if iterations > 0 else 0


def _loop(interval: int, depth: int, what: str, *, memory: bool = False) -> LoopModel:
    return LoopModel(interval=interval, depth=depth, what=what, memory=memory)


LOOPS = {
    "array_cycle": _loop(1, 32, "operands, cascade of DSPs, accumulation; requantisation, table, store"),
    "first_tile_beat": _loop(1, 3, "a beat of weights into the buffer"),
    "gelu_beat": _loop(1, 3, "a beat of entries into every copy of the table"),
    "take_word": _loop(1, 4, "an activation into the left memory"),
    "header_beat": _loop(1, 2, "a beat of a descriptor"),
    "write_beat": _loop(1, 2, "the same on to the next process"),
    "forward_beat": _loop(1, 2, "a beat on to the next process"),
    "table_beat": _loop(1, 6, "read residual, add, saturate, store"),
    "sum_word": _loop(1, 10, "read residual, square, sum"),
    "reciprocal_token": _loop(16, 64, "products, then a bit of the root and of the quotient a stage"),
    "record_beat": _loop(1, 3, "gamma, beta and flags of a few channels"),
    "normalize_word": _loop(1, 24, "three products, rounding, keep mask"),
    "load_word": _loop(1, 4, "a k tile of a patch"),
    "softmax_cycle": _loop(1, 40, "maximum; exponent; the reciprocal's 17 subtractions"),
    "chunk_beat": _loop(1, 3, "an entry of a chunk list", memory=True),
    "burst_beat": _loop(1, 3, "a beat of weights or image", memory=True),
    "store_class": _loop(1, 3, "a result to DDR"),
}
CALL_CYCLES = 2  # to start a dataflow region, and to end it
DDR_LATENCY = 100  # cycles from a burst's request to its first beat
DDR_EFFICIENCY = 0.7  # of the peak bandwidth, under several concurrent bursts
BURST_BEATS, OUTSTANDING = 64, 8  # of a reading port (pragmas of the top)
