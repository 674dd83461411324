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
    flushes: bool = False  # what is inside moves on while the input is empty (style=flp)

    def cycles(self, iterations: int) -> int:
        """Of a run of the loop that never waits."""
        return (iterations - 1) * self.interval + self.depth if iterations > 0 else 0


def _loop(interval: int, depth: int, what: str, *, memory: bool = False) -> LoopModel:
    return LoopModel(interval=interval, depth=depth, what=what, memory=memory)


def _flushing(depth: int, what: str) -> LoopModel:
    return LoopModel(interval=1, depth=depth, what=what, flushes=True)


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
    "keep_beat": _loop(1, 3, "a beat of a launch's first image into a resident store"),
    "send_entry": _loop(1, 4, "a beat out of it"),
    "merge_beat": _loop(1, 2, "such a beat, or one of weights, on to the array"),
    "store_class": _loop(1, 3, "a result to DDR"),
}
# Of the A3 kernel. A loop goes on over all queries of a launch, so that its pipeline must flush: what is in it would
# else wait for the next query.
A3_LOOPS = {
    "feed_beat": _loop(1, 1, "DMA: a beat of a packet to the kernel"),
    "drain_beat": _loop(1, 1, "DMA: a beat of results from the kernel"),
    "receive_beat": _flushing(2, "a beat of a packet to what holds or uses it"),
    "discard_beat": _loop(1, 2, "a beat past the end of a packet"),
    "gather_beat": _flushing(2, "a beat into the word of a query"),
    "load_beat": _loop(1, 3, "a beat of a key or value row into memory"),
    "sorted_beat": _loop(1, 3, "entries of the sorted key into memory"),
    "select_step": _flushing(4, "comparators and pop; sorted key, product"),
    "track_cycle": _flushing(4, "read two rows, add to both, compare, mark the candidates"),
    "search_row": _loop(1, 4, "a row of a query without candidates"),
    "count_rows": _flushing(2, "all rows, two by two"),
    "dot_word": _flushing(12, "two key rows, cascades of DSPs, adder tree"),
    "collect_rows": _flushing(2, "maximum; two dot products into their group"),
    "filter_group": _flushing(4, "maximum of a group's candidates"),
    "post_score_group": _flushing(3, "subtract, compare a group"),
    "exponent_rows": _flushing(12, "two rows of the group, scale, two tables, product, sum"),
    "invert_query": _flushing(8, "normalise, reciprocal, four bits of the quotient a stage"),
    "weigh_rows": _flushing(5, "two weights, four bits of the quotient a stage"),
    "output_word": _flushing(8, "two value rows, multiply, add, accumulate"),
    "normalise_beat": _flushing(7, "a part of the sums, multiply, round"),
    "send_beat": _flushing(2, "a beat of a unit's results"),
}
_OF_SELECTION = frozenset(("sorted_beat", "select_step", "track_cycle", "search_row", "filter_group"))


def a3_loops(approximate: bool, deferred: bool) -> dict[str, LoopModel]:
    """Those of `A3_LOOPS` that a kernel with or without candidate selection, dividing last or first, has."""
    absent = set() if approximate else set(_OF_SELECTION)
    absent |= {"weigh_rows"} if deferred else {"invert_query"}
    return {name: loop for name, loop in A3_LOOPS.items() if name not in absent}


# Of the sparse matrix product. In a run of its array loop all activations and weights come when they are due.
SPARSE_MATMUL_LOOPS = {
    **{name: LOOPS[name] for name in ("header_beat", "write_beat", "burst_beat")},
    **{name: A3_LOOPS[name] for name in ("feed_beat", "drain_beat", "discard_beat")},
    "mask_beat": _loop(1, 4, "a beat of the keep mask, and how many it keeps"),
    "compact_beat": _loop(1, 6, "prefix sum of the mask, lanes to their place in the window, word"),
    "arrive_cycle": _loop(1, 4, "an activation word and a beat of weights into memory"),
    "rest_cycle": _loop(1, 4, "an activation word into memory"),
    "array_cycle": _loop(1, 32, "operands, choice, cascade of DSPs, accumulation; bias, requantisation, beat"),
}
CALL_CYCLES = 2  # to start a dataflow region, and to end it
DDR_LATENCY = 100  # cycles from a burst's request to its first beat
DDR_EFFICIENCY = 0.7  # of the peak bandwidth, under several concurrent bursts
BURST_BEATS, OUTSTANDING = 64, 8  # of a reading port (pragmas of the top)
