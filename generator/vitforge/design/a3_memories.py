# SPDX-License-Identifier: Apache-2.0
"""Every on-chip memory of an A3 design, as the kernels declare and partition it.

All units run the same code, so that a memory lies in the same primitive everywhere: the banks of a `Memory`
here are those of all units, and it has one copy to place.
"""

from __future__ import annotations

from vitforge.design.a3 import GROUP, LANES, PORTS, QUEUE, A3Design
from vitforge.design.geometry import ceil_div
from vitforge.design.memories import Memory

SIDES = 2  # of candidate selection: the max and the min pointer
COUNT_BITS = 16  # of rows, or turns of the dot product
SLACK = 2  # words beyond what a FIFO must hold, so that its writer does not wait for the first read
SHORT = 3  # of any other FIFO: a kernel must stay right with so many words
LANE_ROWS = 32  # turns of the dot product that one lane may find before the other one does
UNIT_BEATS = 32  # FIFO of results behind a unit: they wait for those of the units before
UNIT_QUERIES = 4  # whose counts wait behind a unit: as many as their results fill that FIFO
DMA_BEATS = 512  # AXI DMA 7.1 buffers so many in each direction, with their byte strobes and last flag


def a3_memories(design: A3Design) -> list[Memory]:
    """All memories of all units, and those of the DMA engine."""
    found = [*_rows(design), *_fifos(design)]
    if design.approximate:
        found += _selection(design)
    return found


def _rows(design: A3Design) -> list[Memory]:
    """Keys and values in words of ``width`` elements, two of them read at a time; a bank holds a beat of each."""
    banks = design.units * design.width // design.per_beat
    bits, depth = design.per_beat * design.numbers.code_bits, design.row_words * design.n_max
    return [
        Memory(name=name, banks=banks, width_bits=bits, depth=depth, reads=PORTS, may_be_uram=True)
        for name in ("key", "value")
    ]


def _selection(design: A3Design) -> list[Memory]:
    """Candidate selection, a lane: the sorted key by column, both ends of each column, and the sums of the rows."""
    lanes, entry = LANES * design.units, design.numbers.code_bits + design.row_bits
    return [
        # Both pointers fetch in the same cycle, from any two columns or from one.
        Memory(name="sorted_key", banks=lanes * design.columns, width_bits=entry, depth=design.n_max, reads=2),
        # Seeding takes all first and last entries of the columns of a beat in a cycle.
        Memory(
            name="edges",
            banks=lanes * SIDES * design.per_beat * QUEUE,
            width_bits=entry,
            depth=design.columns // design.per_beat,
        ),
        # What each pointer has added to a row; both rows of an iteration are read, from a copy each.
        Memory(
            name="greedy",
            banks=lanes * SIDES * SIDES,
            width_bits=design.total_bits,
            depth=design.n_max,
            is_distributed=True,
        ),
        Memory(
            name="slots",
            banks=lanes * SIDES,
            width_bits=design.row_bits + 1,
            depth=design.n_max,
            is_distributed=True,
        ),
    ]


def a3_fifo_depths(design: A3Design) -> dict[str, int]:
    """Words of each FIFO of a unit that is deeper than three, by the name of its stream."""
    row_beats = ceil_div(design.d_max, design.per_beat)
    depths = {
        "query_words": 2 * LANES * design.row_words,  # rows of a pair are multiplied, the next one arrives
        "score_groups": design.group_words + SLACK,  # a query: its maximum is known at its end
        "weighted": design.row_words + 1,
    }
    if design.approximate:
        depths["column_beats"] = 2 * row_beats + SLACK  # two queries: they wait while a pair is selected from
        depths["steps"] = row_beats + SLACK
        depths["lane_rows"] = LANE_ROWS
        depths["slot_groups"] = design.group_words + SLACK  # a query: its candidates are known at its end
    if not design.numbers.is_deferred:
        depths["scores"] = design.group_words * GROUP // PORTS + SLACK  # a query: their sum is known at its end
    return depths


def outcome_bits(design: A3Design) -> int:
    """What is known of a query when its candidates are: a bit for each slot of a row, two counts, a row."""
    return design.group_words * GROUP + 2 * COUNT_BITS + design.row_bits


def _fifos(design: A3Design) -> list[Memory]:
    numbers, axi, row = design.numbers, design.axi_bits, design.row_bits
    step = SIDES * (row + design.product_bits - 1)
    shapes = {  # stream -> (one a unit or one a lane, bits)
        "query_words": (1, design.word_bits),
        "score_groups": (1, GROUP * (design.dot_bits + row + 1)),
        "weighted": (1, design.width * design.acc_bits),
        "column_beats": (LANES, axi),
        "steps": (LANES, step),
        "lane_rows": (LANES, PORTS * (row + 1) + 1),
        "slot_groups": (LANES, GROUP * (design.dot_bits + row + 1)),
        "scores": (1, PORTS * (numbers.score_bits + row) + 1),
    }
    found = [
        Memory(name=name, banks=design.units * shapes[name][0], width_bits=shapes[name][1], depth=depth, is_fifo=True)
        for name, depth in a3_fifo_depths(design).items()
    ]
    kept = GROUP * (design.dot_bits + row + 1) + 1
    if design.approximate:
        banks, bits = LANES * design.units, outcome_bits(design)
        found.append(Memory(name="outcomes", banks=banks, width_bits=bits, depth=SHORT, is_fifo=True))
    return [
        *found,
        Memory(name="kept_groups", banks=design.units, width_bits=kept, depth=SHORT, is_fifo=True),
        Memory(name="unit_results", banks=design.units, width_bits=axi, depth=UNIT_BEATS, is_fifo=True),
        Memory(name="dma", banks=2, width_bits=axi + axi // 8 + 1, depth=DMA_BEATS, is_fifo=True),
    ]
