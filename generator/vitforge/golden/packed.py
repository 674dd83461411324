# SPDX-License-Identifier: Apache-2.0
"""Two INT8 multiply-accumulates in one DSP (AMD WP486), and the DSP58's native three-product dot.

``A = (a1 << S) + a0`` and ``P = (1 << (S-1)) + sum(A * w)`` give both sums at once: ``hi = P >> S`` and
``lo = (P & (2**S - 1)) - 2**(S-1)``. The preset half lane keeps the lower lane from borrowing out of the upper one, so
the split is exact as long as the lower sum lies in [-2**(S-1), 2**(S-1)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Int64 = NDArray[np.int64]

WEIGHT_LIMIT = 127  # weights are symmetric: a product of int8 and weight stays within 128 * 127


@dataclass(frozen=True, kw_only=True, slots=True)
class DspFamily:
    """What packing rests on in one DSP family."""

    name: str
    shift: int  # S, position of the upper operand [bits]; 0 = not packed
    depth: int  # products summed before the lanes are split (or products of one native dot)
    port_bits: int  # signed width that the packed operand must fit (pre-adder, A port)
    result_bits: int  # width of P


DSP48E2 = DspFamily(name="DSP48E2", shift=18, depth=8, port_bits=27, result_bits=48)
DSP48E1 = DspFamily(name="DSP48E1", shift=17, depth=4, port_bits=25, result_bits=48)
DSP58 = DspFamily(name="DSP58", shift=0, depth=3, port_bits=9, result_bits=58)
FAMILIES = {family.name: family for family in (DSP48E2, DSP48E1, DSP58)}


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise OverflowError(what)


def _signed_fits(value: Int64, bits: int) -> bool:
    return bool(np.all((value >= -(1 << (bits - 1))) & (value < 1 << (bits - 1))))


def pack_pair(family: DspFamily, a1: ArrayLike, a0: ArrayLike) -> Int64:
    """``(a1 << S) + a0``, which must fit the pre-adder port: the 25 bits of a DSP48E1 refuse a1 = -128 with a0 < 0."""
    pair = (np.asarray(a1, dtype=np.int64) << family.shift) + np.asarray(a0, dtype=np.int64)
    _require(
        _signed_fits(pair, family.port_bits), f"a packed pair exceeds the {family.port_bits}-bit port of {family.name}"
    )
    return pair


def split_sums(family: DspFamily, total: ArrayLike) -> tuple[Int64, Int64]:
    """(hi, lo) lane sums of P, which was preset to half a lower lane."""
    total = np.asarray(total, dtype=np.int64)
    return total >> family.shift, (total & ((1 << family.shift) - 1)) - (1 << (family.shift - 1))


def packed_mac(family: DspFamily, a1: ArrayLike, a0: ArrayLike, w: ArrayLike) -> tuple[Int64, Int64]:
    """(sum a1*w, sum a0*w) over the last axis, as a cascade of the family's DSPs computes them.

    a1, a0, w : (..., depth) int8, depth at most ``family.depth``, w in [-127, 127]
    Raises OverflowError where an operand, the packed pair or the depth exceeds what the hardware holds.
    """
    a1, a0, w = (np.asarray(operand, dtype=np.int64) for operand in (a1, a0, w))
    depth = w.shape[-1]
    _require(depth <= family.depth, f"{depth} products exceed the {family.depth} of a {family.name} cascade")
    _require(_signed_fits(a1, 8) and _signed_fits(a0, 8), "an activation lies outside int8")
    _require(bool(np.all(np.abs(w) <= WEIGHT_LIMIT)), "a weight lies outside [-127, 127]")
    if family.shift == 0:
        return native_dot(a1, w), native_dot(a0, w)
    total = (1 << (family.shift - 1)) + (pack_pair(family, a1, a0) * w).sum(axis=-1)
    _require(_signed_fits(total, family.result_bits), f"P exceeds the {family.result_bits} bits of {family.name}")
    return split_sums(family, total)


def native_dot(a: ArrayLike, w: ArrayLike) -> Int64:
    """DSP58 INT8 mode (AM004): up to three products of 9-bit ``a`` and 8-bit ``w`` (..., 3) in one accumulator."""
    a, w = np.asarray(a, dtype=np.int64), np.asarray(w, dtype=np.int64)
    _require(a.shape[-1] <= DSP58.depth, "a DSP58 sums three products")
    _require(_signed_fits(a, DSP58.port_bits) and _signed_fits(w, 8), "an operand exceeds the INT8 mode of DSP58")
    return (a * w).sum(axis=-1)


def plain_mac(a1: ArrayLike, a0: ArrayLike, w: ArrayLike) -> tuple[Int64, Int64]:
    """(sum a1*w, sum a0*w) over the last axis, one multiplier a product: what `packed_mac` must equal."""
    a1, a0, w = (np.asarray(operand, dtype=np.int64) for operand in (a1, a0, w))
    return (a1 * w).sum(axis=-1), (a0 * w).sum(axis=-1)
