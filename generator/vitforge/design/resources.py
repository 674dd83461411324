# SPDX-License-Identifier: Apache-2.0
"""Resources of a design: DSPs by construction, memories by the device's aspect ratios, LUT and FF as a stated model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from vitforge.design.design import Design
from vitforge.design.geometry import ceil_div
from vitforge.design.memories import Memory, memories

# LUT and FF of what the DSPs do not hold: modelled, to be corrected by the first synthesis report.
_CASCADE_LUT, _CASCADE_FF = 74, 160  # split, two accumulators, and their copy that drains
_REQUANTIZE_LUT, _REQUANTIZE_FF = 120, 150  # a drained value: shift, clamp, destination
_SOFTMAX_LUT, _SOFTMAX_FF = 90, 110  # a drained score: maximum, tables, sum
_NORM_LUT, _NORM_FF = 260, 320  # a layer-norm lane: keep mask, shift, clamp
_ROOT_LUT, _ROOT_FF = 3600, 3000  # a layer-norm token: root and quotient, shared over eight cycles
_DIVIDER_LUT, _DIVIDER_FF = 900, 1300  # softmax reciprocal, a bit a stage
_OPERAND_LUT = 1  # a bit of the left operand: multiplexer of three memories
_UNIT_LUT, _UNIT_FF = 2200, 3000  # a fetcher and its m_axi adapter, and the control of a unit
_UNITS = 5
_SOFTMAX_TOKEN_FF = 128  # row maximum and sum of two token tiles
_VARIANCE_DSP = 12  # a layer-norm token: channels * squares (10 x 40 bits) and sum * sum (26 x 26)
# Products of 16 x 16 bits that address memories: left and right operands (4), destinations (4), bounds of the job's
# loops (2); branch, activations and word count of a layer norm. A DSP each, where the tool sees how narrow they are.
_ARRAY_ADDRESS_DSP, _NORM_ADDRESS_DSP = 10, 3

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


def dsp_rows(design: Design) -> dict[str, int]:
    """DSPs by construction: every multiplier that the kernels instantiate."""
    f = design.folding
    # 27 x 17 bits: one DSP48E2 (27 x 18), two DSP48E1 (25 x 18).
    wide = 2 if design.board.dsp_family == "dsp48e1" else 1
    return {
        "nsa_array": f.array_dsp_nsa,
        "nmp_array": f.array_dsp_nmp,
        "requantize": 2 * f.td * f.tc * wide,
        "exponent": f.td * f.tc,
        "layer_norm": 2 * f.lt * f.tc * (1 + 1 + wide + 1),  # square, channels * x, normalise, gamma
        "variance": 2 * f.lt * _VARIANCE_DSP,
        "addresses": 2 * (_ARRAY_ADDRESS_DSP + _NORM_ADDRESS_DSP),
    }


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


def place_memories(design: Design, items: list[Memory]) -> Placement:
    """Distributed RAM for what is small, block RAM for the rest; then copies move out of block RAM.

    To URAM those that free most BRAM for each URAM, for as long as that evens out the two shares of the board or as
    BRAM is over its cap; never past the cap of URAM. Then to distributed RAM those that cost fewest LUTs a BRAM, while
    BRAM is still over its cap; never past `DISTRIBUTED_SHARE` of the LUTs.
    """
    board = design.board
    bram_limit, uram_limit = 2 * board.limit("bram36"), board.limit("uram")
    lut_limit = int(board.lut * DISTRIBUTED_SHARE)
    blocks = [item for item in items if not item.is_lutram]
    held = {item.name: {"lutram" if item.is_lutram else "bram": item.copies} for item in items}
    bram18 = sum(item.copies * item.bram18 for item in blocks)
    lut = sum(item.copies * item.luts for item in items if item.is_lutram)
    uram = 0

    def to_uram(item: Memory) -> bool:
        nonlocal bram18, uram
        after = uram + item.uram
        useful = bram18 * uram_limit > after * bram_limit or bram18 > bram_limit
        if after > uram_limit or not useful:
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
        movable = [item for item in blocks if not item.is_fifo]
        _move(sorted(movable, key=lambda m: m.luts / m.bram18), held, "lutram", to_lutram)
    bindings = {name: {kind: copies for kind, copies in places.items() if copies} for name, places in held.items()}
    return Placement(bram36=ceil_div(bram18, 2), uram=uram, lut=lut, bindings=bindings)


def _held(item: Memory, places: dict[str, int]) -> str:
    """What holds ``item``, in words."""
    units = {
        "uram": (item.uram, "URAM"),
        "bram": (item.bram18 / 2, "BRAM36"),
        "lutram": (item.luts, "LUT"),
    }
    return " + ".join(f"{copies * units[kind][0]:g} {units[kind][1]}" for kind, copies in sorted(places.items()))


def resources(design: Design) -> Resources:
    """Resources of ``design`` on its board."""
    f = design.folding
    rows = dsp_rows(design)
    items = memories(design)
    placed = place_memories(design, items)
    cascades = (f.tt_nsa + f.tt_nmp) // 2 * f.tc
    drained, lanes = 2 * f.td * f.tc, 2 * f.lt * f.tc
    operands = (f.tt_nsa + f.tt_nmp) * f.tk * 8
    lut = (
        cascades * _CASCADE_LUT
        + drained * _REQUANTIZE_LUT
        + f.td * f.tc * _SOFTMAX_LUT
        + lanes * _NORM_LUT
        + 2 * f.lt * _ROOT_LUT
        + _DIVIDER_LUT
        + operands * _OPERAND_LUT
        + _UNITS * _UNIT_LUT
        + placed.lut
    )
    ff = (
        cascades * _CASCADE_FF
        + drained * _REQUANTIZE_FF
        + f.td * f.tc * _SOFTMAX_FF
        + lanes * _NORM_FF
        + 2 * f.lt * _ROOT_FF
        + _DIVIDER_FF
        + operands
        + f.tt_nsa * _SOFTMAX_TOKEN_FF
        + _UNITS * _UNIT_FF
    )
    return Resources(
        dsp=sum(rows.values()),
        bram36=placed.bram36,
        uram=placed.uram,
        lut=lut,
        ff=ff,
        dsp_rows=rows,
        memory_rows={item.name: _held(item, placed.bindings[item.name]) for item in items},
        bindings=placed.bindings,
    )
