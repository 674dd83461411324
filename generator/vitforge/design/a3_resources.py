# SPDX-License-Identifier: Apache-2.0
"""Resources of an A3 design: DSPs by construction, memories by aspect ratio, LUT and FF as a stated model.

LUT and FF are counted bit by bit from the widths of `A3Design`, for what the DSPs and memories do not hold, and are to
be corrected by the first synthesis report.
"""

from __future__ import annotations

from dataclasses import replace

from vitforge.design.a3 import GROUP, LANES, PORTS, QUEUE, A3Design
from vitforge.design.a3_memories import SIDES, a3_memories
from vitforge.design.geometry import ceil_div
from vitforge.design.resources import Fabric, Resources, held_by, place_memories, shortfall

MOST_UNITS = 16
_DSP_PORTS = {"dsp48e1": 25, "dsp48e2": 27}  # signed width of the wide port; the other one has 18 bits

STAGE_LUT, STAGE_FF = 220, 320  # counters, addresses and handshakes of a process
_UNIT_STAGES, _SELECTION_STAGES = 10, 2 * LANES  # processes of a unit, and what candidate selection adds
OVERLAY_LUT, OVERLAY_FF = 5200, 7400  # AXI DMA with its interconnect, registers, distribution to the units
_RECIPROCAL_LUT, _RECIPROCAL_FF = 900, 1300  # a bit a stage, as that of the ViT's softmax
_REQUANTIZE_LUT, _REQUANTIZE_FF = 120, 150  # a result: shift and clamp
_ROM_BITS = 64  # entries of a table that a LUT holds, of one bit
_CHOICE = 3  # a multiplexer of n words takes n / 3 LUTs a bit: four to one in a LUT, and a tree of them


def _multiplier(design: A3Design, bits: int) -> int:
    """DSPs of a product of ``bits`` (signed) and at most 18 bits."""
    return ceil_div(bits - 1, _DSP_PORTS[design.board.dsp_family] - 1)


def a3_dsp_rows(design: A3Design) -> dict[str, int]:
    """DSPs by construction: every multiplier that the kernels instantiate, of all units."""
    numbers = design.numbers
    shared = PORTS if design.packing_depth else 1  # products that a DSP makes of one element of the query
    rows = {
        "dot": PORTS * design.width // shared,
        "scale": PORTS * _multiplier(design, design.dot_bits + 1),
        "exponent": PORTS,
        "output": PORTS * design.width,
    }
    if numbers.is_deferred:
        rows["normalise"] = design.result_per_beat * _multiplier(design, design.acc_bits)
    if design.approximate:
        rows["seeding"] = LANES * design.per_beat * SIDES * QUEUE // shared  # both ends of a column, packed alike
        rows["replacement"] = LANES * SIDES
    return {name: design.units * count for name, count in rows.items()}


def _dot_fabric(design: A3Design) -> Fabric:
    """The query and the one that arrives, words of two key rows, and the adder trees behind their cascades."""
    word, bits = design.word_bits, design.dot_bits
    terms = PORTS * design.width // max(1, design.packing_depth)
    split = terms * design.product_bits if design.packing_depth else 0
    tree = (terms - PORTS) * bits
    rows = PORTS * bits  # the words of a row, added up
    choose = (design.row_words - 1) * word // _CHOICE
    queries = (1 + design.row_words) * word
    return Fabric(word // 2 + split + tree + rows + choose, queries + PORTS * word + tree + rows)


def _exponent_fabric(design: A3Design) -> Fabric:
    """Maximum and groups of rows, post-scoring, two rows of them at a time, tables, sum of scores."""
    numbers, bits = design.numbers, design.dot_bits
    group = GROUP * (bits + design.row_bits)
    post = GROUP * bits * 2  # subtract, compare
    choose = group // _CHOICE
    tables = sum(ceil_div(len(table), _ROM_BITS) for table in numbers.exp_tables) * (numbers.exp_fraction + 1)
    one = bits + 3 * bits + tables + design.sum_bits  # maximum; round, clamp
    return Fabric(post + PORTS * (choose + one), 3 * group + PORTS * (6 * bits + design.sum_bits))


def _output_fabric(design: A3Design) -> Fabric:
    """Words of two value rows, sums of rows that take several, the word that drains, and the division."""
    numbers, acc = design.numbers, design.width * design.acc_bits
    products = design.width * (numbers.score_bits + numbers.code_bits + 1)  # of both rows, added
    drain = Fabric(products + acc // _CHOICE, PORTS * design.word_bits + acc)
    if design.row_words > 1:  # otherwise the DSPs hold the sums
        drain = drain.plus(Fabric(acc + acc * (design.row_words - 1) // _CHOICE, acc * design.row_words))
    if numbers.is_deferred:
        beat = Fabric(_REQUANTIZE_LUT, _REQUANTIZE_FF).times(design.result_per_beat)
        division = Fabric(_RECIPROCAL_LUT, _RECIPROCAL_FF).plus(beat)
    else:  # two scores each cycle: a subtraction a bit of either quotient
        bit = Fabric(design.sum_bits, 2 * design.sum_bits + numbers.score_bits)
        division = bit.times(PORTS * (numbers.score_bits + 1))
    return drain.plus(division)


def _pointer_fabric(design: A3Design) -> Fabric:
    """One pointer of one lane: positions in the columns, rings of products, comparators, a replacement."""
    columns, item = design.columns, design.product_bits + design.row_bits
    groups, entry = columns // design.per_beat, design.numbers.code_bits + design.row_bits
    candidate = item + (columns - 1).bit_length()
    positions = Fabric(columns * QUEUE, columns * (design.row_bits + 2))  # which column steps, which slot is written
    # A slot takes a seed or a replacement, two bits of that choice a LUT; a ring shows one of its slots, four to one.
    rings = Fabric(columns * (QUEUE * (item // 2 + 1) + item), columns * QUEUE * item)
    tree = Fabric((columns - 1) * ceil_div(design.product_bits + candidate, 2), groups * candidate)
    fetch = Fabric(columns * (2 * entry + 2) // _CHOICE, QUEUE * (candidate + 2))  # sorted key, query, position
    return positions.plus(rings).plus(tree).plus(fetch)


def _track_fabric(design: A3Design) -> Fabric:
    """Greedy scores of one lane as they change: two rows an iteration, and a bit for each row and slot."""
    bits, rows, row = design.total_bits, design.group_words * GROUP, design.row_bits
    sums = SIDES * SIDES * (2 * bits + row // 2) + SIDES * 2 * bits  # a sum that is not in memory yet; add, subtract
    # Bits of the rows that either pointer has met, read for both rows, and of the slots; each with its decoder.
    sets = (SIDES + 1) * rows + SIDES * SIDES * rows // _CHOICE + rows // _CHOICE
    best = 2 * (bits + row)
    return Fabric(sums + sets + best, (SIDES + 1) * rows + 8 * bits + 6 * row)


def _filter_fabric(design: A3Design) -> Fabric:
    """Groups of both lanes that are open, and the maximum of a group's candidates."""
    bits = design.dot_bits
    group = GROUP * (bits + design.row_bits)
    choose = design.group_words * GROUP // _CHOICE + group // 2  # the group's bits; of two lanes
    tree = 2 * (GROUP - 1) * (bits + 3)
    return Fabric(choose + tree + GROUP * bits, LANES * group + design.group_words * GROUP + 2 * tree)


def _selection_fabric(design: A3Design) -> Fabric:
    """Candidate selection of both lanes: two pointers, the query, the scores of the rows; and what joins the lanes."""
    code = design.numbers.code_bits
    query = Fabric(design.columns * code // 2, design.columns * code)
    total = Fabric(3 * design.total_bits, 3 * design.total_bits)
    lane = _pointer_fabric(design).times(SIDES).plus(_track_fabric(design)).plus(query).plus(total)
    held = Fabric(design.word_bits // 2, design.row_words * design.word_bits)  # the dot product holds both queries
    return lane.times(LANES).plus(_filter_fabric(design)).plus(held)


def a3_fabric_rows(design: A3Design) -> dict[str, Fabric]:
    """LUTs and flip-flops by what they do, of all units; memories are counted by `a3_resources`."""
    stages = _UNIT_STAGES + (_SELECTION_STAGES if design.approximate else 0)
    rows = {
        "dot": _dot_fabric(design),
        "exponent": _exponent_fabric(design),
        "output": _output_fabric(design),
        "control": Fabric(STAGE_LUT, STAGE_FF).times(stages),
    }
    if design.approximate:
        rows["selection"] = _selection_fabric(design)
    all_units = {name: row.times(design.units) for name, row in rows.items()}
    return {**all_units, "overlay": Fabric(OVERLAY_LUT, OVERLAY_FF)}


def a3_resources(design: A3Design) -> Resources:
    """Resources of ``design`` on its board."""
    rows, fabric, items = a3_dsp_rows(design), a3_fabric_rows(design), a3_memories(design)
    placed = place_memories(design.board, items)
    return Resources(
        dsp=sum(rows.values()),
        bram36=placed.bram36,
        uram=placed.uram,
        lut=sum(row.lut for row in fabric.values()) + placed.lut,
        ff=sum(row.ff for row in fabric.values()),
        dsp_rows=rows,
        memory_rows={item.name: held_by(item, placed.bindings[item.name]) for item in items},
        bindings=placed.bindings,
    )


def fits(design: A3Design) -> bool:
    """Whether ``design`` keeps to the caps of its board."""
    return shortfall(design.board, a3_resources(design)) is None


def units_that_fit(design: A3Design) -> int:
    """The most units, up to 16, with which ``design`` fits its board; 0 if it does not fit with one."""
    counts = range(1, MOST_UNITS + 1)
    return next((units - 1 for units in counts if not fits(replace(design, units=units))), MOST_UNITS)
