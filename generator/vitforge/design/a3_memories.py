# SPDX-License-Identifier: Apache-2.0
"""Every on-chip memory of an A3 design, as the kernels declare and partition it.

All units and both lanes run the same code, so that a memory lies in the same primitive everywhere: the banks of a
`Memory` here are those of all units and lanes, and it has one copy to place.
"""

from __future__ import annotations

from vitforge.design.a3 import GROUP, LANES, QUEUE, A3Design
from vitforge.design.geometry import ceil_div
from vitforge.design.memories import Memory

SIDES = 2  # of candidate selection: the max and the min pointer
PARITIES = 2  # of its sums: those of one pair are scanned while those of the next are made
SLACK = 2  # words beyond what a FIFO must hold, so that its writer does not wait for the first read
SHORT = 3  # of any other FIFO: a kernel must stay right with so many words
UNIT_BEATS = 32  # FIFO before and after a unit: it works on a pair while the other units take theirs
DMA_BEATS = 512  # AXI DMA 7.1 buffers so many in each direction, with their byte strobes and last flag
_TAG_BITS = 8  # that travel with a beat inside a unit


def a3_memories(design: A3Design) -> list[Memory]:
    """All memories of all units, and those of the DMA engine."""
    found = [*_rows(design), *_fifos(design)]
    if design.approximate:
        found += _selection(design)
    return found


def _rows(design: A3Design) -> list[Memory]:
    """Keys, and values a lane, in words of ``width`` elements; a bank holds a beat of each."""
    banks = design.units * design.width // design.per_beat
    bits, depth = design.per_beat * design.numbers.code_bits, design.row_words * design.n_max
    return [
        Memory(name="key", banks=banks, width_bits=bits, depth=depth, may_be_uram=True),
        Memory(name="value", banks=LANES * banks, width_bits=bits, depth=depth, may_be_uram=True),
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
        # A sum takes QUEUE cycles, so that each pointer has as many for a row, by turns.
        Memory(
            name="greedy",
            banks=lanes * PARITIES * SIDES * QUEUE * GROUP,
            width_bits=design.greedy_bits,
            depth=design.group_words,
            is_distributed=True,
        ),
    ]


def a3_fifo_depths(design: A3Design) -> dict[str, int]:
    """Words of each FIFO of a unit that is deeper than three, by the name of its stream."""
    row_beats, result_beats = ceil_div(design.d_max, design.per_beat), ceil_div(design.d_max, design.result_per_beat)
    depths = {
        "pair_words": 3 * design.row_words,  # of one pair rows are found, from the next is selected, another arrives
        "score_groups": design.group_words + SLACK,  # a query: its maximum is known at its end
        "weighted": design.row_words + 1,
        "results": result_beats + SLACK,  # a query: both lanes end together and leave in turn
    }
    if design.approximate:
        depths["column_beats"] = 2 * row_beats + SLACK  # two queries: they wait while a pair is selected from
        depths["steps"] = row_beats + SLACK
        depths["masks"] = design.group_words + LANES + SLACK  # a pair: the scan does not wait for the rows to be picked
    if not design.numbers.is_deferred:
        depths["scores"] = (
            design.group_words * GROUP // design.exp_rows + SLACK
        )  # a query: the sum of its scores is known at its end
    return depths


def _fifos(design: A3Design) -> list[Memory]:
    numbers, axi, row = design.numbers, design.axi_bits, design.row_bits
    step = SIDES * (row + design.product_bits - 1)
    shapes = {  # stream -> (one a unit or one a lane, bits)
        "pair_words": (1, LANES * design.width * numbers.code_bits),
        "score_groups": (LANES, GROUP * (design.dot_bits + row)),
        "weighted": (LANES, design.width * design.acc_bits),
        "results": (LANES, axi),
        "column_beats": (LANES, axi),
        "steps": (LANES, step),
        "masks": (1, LANES * GROUP + row + 1),
        "scores": (LANES, design.exp_rows * (numbers.score_bits + row + 1)),
    }
    found = [
        Memory(name=name, banks=design.units * shapes[name][0], width_bits=shapes[name][1], depth=depth, is_fifo=True)
        for name, depth in a3_fifo_depths(design).items()
    ]
    kept = GROUP * (design.dot_bits + row + 1) + 1
    return [
        *found,
        Memory(name="kept_groups", banks=LANES * design.units, width_bits=kept, depth=SHORT, is_fifo=True),
        Memory(name="unit_beats", banks=2 * design.units, width_bits=axi + _TAG_BITS, depth=UNIT_BEATS, is_fifo=True),
        Memory(name="dma", banks=2, width_bits=axi + axi // 8 + 1, depth=DMA_BEATS, is_fifo=True),
    ]
