# SPDX-License-Identifier: Apache-2.0
"""Resources of a design: DSPs by construction, memories by the device's aspect ratios, LUT and FF as a stated model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from vitforge.boards import RESOURCES, Board
from vitforge.design.design import Design
from vitforge.design.geometry import ceil_div
from vitforge.design.memories import Memory, memories

# LUT and FF of what the DSPs do not hold: modelled, to be corrected by the first synthesis report.
CASCADE_LUT, CASCADE_FF = 74, 160  # split, two accumulators, and their copy that drains
REQUANTIZE_LUT, REQUANTIZE_FF = 120, 150  # a drained value: shift, clamp, destination
_SOFTMAX_LUT, _SOFTMAX_FF = 170, 180  # a drained score: maximum, tables and their 9 x 8 bit product, sum
_NORM_LUT, _NORM_FF = 440, 480  # a layer-norm lane: channels * x (10 x 16 bits), keep mask, shift, clamp
_SQUARE_LUT, _SQUARE_FF = 160, 140  # of a layer-norm lane (16 x 16 bits), where no DSP is left for it
_ROOT_LUT, _ROOT_FF = 3600, 3000  # root and quotient of a token, shared over eight cycles
_VARIANCE_LUT, _VARIANCE_FF = 1200, 1400  # channels * squares (10 x 40 bits) and sum * sum (26 x 26)
_DIVIDER_LUT, _DIVIDER_FF = 900, 1300  # softmax reciprocal, a bit a stage
_OPERAND_LUT = 1  # a bit of the left operand: multiplexer of two memories
# 2:4 weights: a bit of what a lane of a column chooses, four to one in a LUT; and of the pool that it chooses from.
_RESIDUAL_LUT = 6  # a bit of a residual word: four units take turns at four memories
UNIT_LUT, UNIT_FF = 2600, 3400  # a fetcher and its m_axi adapter, the control and the addresses of a unit
_UNITS = 5
_RESIDENT_LUT, _RESIDENT_FF = 700, 1300  # a resident store: counters, the counts of entries, what merges two streams
_SOFTMAX_TOKEN_FF = 128  # row maximum and sum of two token tiles

DISTRIBUTED_SHARE = 0.25  # of a board's LUTs as RAM: about one in three sits in a slice that can be


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Counts, and where they come from."""

    dsp: int
    bram36: int
    uram: int
    lut: int
    ff: int
    dsp_rows: dict[str, int]
    memory_rows: dict[str, str]  # memory -> what holds it
    bindings: dict[str, dict[str, int]]  # memory -> primitive (lutram, bram, uram) -> how many of its copies lie there

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


Shortfall = tuple[float, str, int, int]  # ratio, resource, need, limit


def shortfall(board: Board, used: Resources) -> Shortfall | None:
    """What exceeds the board's caps by the largest factor; None if nothing does."""
    needs = [(getattr(used, name), name, board.limit(name)) for name in RESOURCES]
    rows = [(need / limit if limit else math.inf, name, need, limit) for need, name, limit in needs if need > limit]
    return max(rows, default=None)


def shortfall_words(board: Board, lacks: Shortfall) -> str:
    """Resource, need and limit: the verb phrase of a refusal."""
    _, name, need, limit = lacks
    share = f"{board.caps[name]:.0%} of {getattr(board, name):,}"
    return f"needs {need:,} {name} and the limit is {limit:,} ({share})"


def dsp_rows(design: Design) -> dict[str, int]:
    """DSPs by construction: every multiplier that the kernels instantiate."""
    f = design.folding
    # 27 x 17 bits: one DSP48E2 (27 x 18), two DSP48E1 (25 x 18).
    wide = 2 if design.board.dsp_family == "dsp48e1" else 1
    rows = {
        "nsa_array": f.array_dsp_nsa,
        "nmp_array": f.array_dsp_nmp,
        "requantize": (f.td_nsa + f.td_nmp) * f.tc * wide,
        "layer_norm": 2 * f.tc * (wide + 1),  # normalise, gamma
    }
    squares = 2 * f.tc
    if sum(rows.values()) + squares <= design.board.limit("dsp"):
        rows["squares"] = squares  # else in fabric
    return rows


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Primitives that hold the memories of a design."""

    bram36: int
    uram: int
    lut: int  # of distributed RAM
    bindings: dict[str, dict[str, int]]  # memory -> primitive (lutram, bram, uram) -> how many of its copies lie there


def _move(items: list[Memory], held: dict[str, dict[str, int]], kind: str, may_move: Callable[[Memory], bool]) -> None:
    """Moves copies of ``items`` from BRAM to ``kind`` one at a time, in order, while ``may_move`` allows it."""
    for item in items:
        places = held[item.name]
        while places.get("bram") and may_move(item):
            places["bram"] -= 1
            places[kind] = places.get(kind, 0) + 1


def place_memories(board: Board, items: list[Memory]) -> Placement:
    """Distributed RAM for what is small, block RAM for the rest; then copies move out of block RAM.

    To URAM those that free most BRAM for each URAM, for as long as that evens out the two shares of the board or as
    BRAM is over its cap; never past the cap of URAM. Then to distributed RAM those that cost fewest LUTs a BRAM, while
    BRAM is still over its cap; never past `DISTRIBUTED_SHARE` of the LUTs. What the kernels put into URAM is there.
    """
    asked = [item for item in items if item.is_uram]
    bram_limit, uram_limit = 2 * board.limit("bram36"), board.limit("uram")
    free = uram_limit - sum(item.copies * item.uram for item in asked)
    lut_limit = int(board.lut * DISTRIBUTED_SHARE)
    blocks = [item for item in items if not (item.is_lutram or item.is_uram)]
    kinds = {item.name: "uram" if item.is_uram else "lutram" if item.is_lutram else "bram" for item in items}
    held = {item.name: {kinds[item.name]: item.copies} for item in items}
    bram18 = sum(item.copies * item.bram18 for item in blocks)
    lut = sum(item.copies * item.luts for item in items if item.is_lutram)
    uram = 0

    def to_uram(item: Memory) -> bool:
        nonlocal bram18, uram
        after = uram + item.uram
        useful = bram18 * uram_limit > after * bram_limit or bram18 > bram_limit
        if after > free or not useful:
            return False
        bram18, uram = bram18 - item.bram18, after
        return True

    def to_lutram(item: Memory) -> bool:
        nonlocal bram18, lut
        if bram18 <= bram_limit or lut + item.luts > lut_limit:
            return False
        bram18, lut = bram18 - item.bram18, lut + item.luts
        return True

    if uram_limit:
        large = [item for item in blocks if item.may_be_uram]
        _move(sorted(large, key=lambda m: m.bram18 / m.uram, reverse=True), held, "uram", to_uram)
    if bram18 > bram_limit:
        movable = [item for item in blocks if not item.is_fifo and item.reads == 1]
        _move(sorted(movable, key=lambda m: m.luts / m.bram18), held, "lutram", to_lutram)
    bindings = {name: {kind: copies for kind, copies in places.items() if copies} for name, places in held.items()}
    uram += sum(item.copies * item.uram for item in asked)
    return Placement(bram36=ceil_div(bram18, 2), uram=uram, lut=lut, bindings=bindings)


def held_by(item: Memory, places: dict[str, int]) -> str:
    """What holds ``item``, in words."""
    units = {
        "uram": (item.uram, "URAM"),
        "bram": (item.bram18 / 2, "BRAM36"),
        "lutram": (item.luts, "LUT"),
    }
    return " + ".join(f"{copies * units[kind][0]:g} {units[kind][1]}" for kind, copies in sorted(places.items()))


class Fabric(NamedTuple):
    """LUTs and flip-flops of a part of a design, but for those that are memory."""

    lut: int
    ff: int

    def plus(self, other: Fabric) -> Fabric:
        return Fabric(self.lut + other.lut, self.ff + other.ff)

    def times(self, count: int) -> Fabric:
        return Fabric(self.lut * count, self.ff * count)


def fabric_rows(design: Design) -> dict[str, Fabric]:
    """LUTs and flip-flops by kernel: modelled."""
    f = design.folding
    cascades = (f.tt_nsa + f.tt_nmp) // 2 * f.tc
    drained, scored = (f.td_nsa + f.td_nmp) * f.tc, f.td_nsa * f.tc
    operands = (f.tt_nsa + f.tt_nmp) * f.tk * 8
    choice = f.sparse * (f.tc + 1)  # 2:4: a lane takes one of four, from one of two k tiles
    array = Fabric(CASCADE_LUT, CASCADE_FF).times(cascades)
    lane = Fabric(_NORM_LUT, _NORM_FF)
    if "squares" not in dsp_rows(design):
        lane = lane.plus(Fabric(_SQUARE_LUT, _SQUARE_FF))
    token = Fabric(_ROOT_LUT + _VARIANCE_LUT, _ROOT_FF + _VARIANCE_FF)
    score = Fabric(_SOFTMAX_LUT, _SOFTMAX_FF)
    return {
        "mac_array": array.plus(Fabric(operands * (_OPERAND_LUT + choice), operands)),
        "requantize": Fabric(REQUANTIZE_LUT, REQUANTIZE_FF).times(drained),
        "layer_norm": lane.times(2 * f.tc).plus(token.times(2)),
        "softmax": score.times(scored).plus(Fabric(_DIVIDER_LUT, _DIVIDER_FF + f.tt_nsa * _SOFTMAX_TOKEN_FF)),
        "residual": Fabric(16 * f.tc * _RESIDUAL_LUT, 0),
        "control": Fabric(UNIT_LUT, UNIT_FF).times(_UNITS),
        "resident": Fabric(_RESIDENT_LUT, _RESIDENT_FF).times(sum(map(bool, design.resident_entries.values()))),
    }


def resources(design: Design) -> Resources:
    """Resources of ``design`` on its board."""
    rows, fabric, items = dsp_rows(design), fabric_rows(design), memories(design)
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
