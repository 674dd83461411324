# SPDX-License-Identifier: Apache-2.0
"""Resources of a design: DSPs by construction, memories by the device's aspect ratios, LUT and FF as a stated model."""

from __future__ import annotations

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
_VARIANCE_DSP = 12  # a layer-norm token: channels * squares (10 x 40 bits) and sum * sum (26 x 26)


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
        "layer_norm": 2 * f.lt * f.tc * (1 + wide + 1),  # square, normalise, gamma
        "variance": 2 * f.lt * _VARIANCE_DSP,
    }


def place_memories(design: Design, items: list[Memory]) -> tuple[int, int, int, dict[str, str]]:
    """(BRAM36, URAM, LUTs of distributed RAM, memory -> what holds it).

    Memories that may go to URAM do so, largest saving first, as long as that evens out the two shares of the board.
    """
    limits = design.board.limit("bram36"), design.board.limit("uram")
    blocks = [item for item in items if not item.is_lutram]
    bram18 = sum(item.bram18 for item in blocks)
    uram = 0
    held = {item.name: f"{item.luts} LUT" if item.is_lutram else f"{item.bram18 / 2:g} BRAM36" for item in items}
    candidates = [item for item in blocks if item.may_be_uram]
    for item in sorted(candidates, key=lambda m: m.bram18 / m.uram, reverse=True):
        if limits[1] and bram18 / 2 / limits[0] > (uram + item.uram) / limits[1]:
            bram18 -= item.bram18
            uram += item.uram
            held[item.name] = f"{item.uram} URAM"
    return ceil_div(bram18, 2), uram, sum(item.luts for item in items if item.is_lutram), held


def resources(design: Design) -> Resources:
    """Resources of ``design`` on its board."""
    f = design.folding
    rows = dsp_rows(design)
    bram36, uram, memory_lut, held = place_memories(design, memories(design))
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
        + memory_lut
    )
    ff = (
        cascades * _CASCADE_FF
        + drained * _REQUANTIZE_FF
        + f.td * f.tc * _SOFTMAX_FF
        + lanes * _NORM_FF
        + 2 * f.lt * _ROOT_FF
        + _DIVIDER_FF
        + operands
        + _UNITS * _UNIT_FF
    )
    return Resources(dsp=sum(rows.values()), bram36=bram36, uram=uram, lut=lut, ff=ff, dsp_rows=rows, memory_rows=held)
