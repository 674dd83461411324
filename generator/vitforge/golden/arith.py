# SPDX-License-Identifier: Apache-2.0
"""Integer arithmetic that every kernel shares: requantisation, clamping, root and reciprocals.

All functions take integers or integer arrays, compute in int64 and are exact; none rounds through a float.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

INT8_LIMIT = 127  # -128 never leaves a kernel
INT16_LIMIT = 32767
MULT_MIN = 1 << 15  # dyadic multipliers lie in [MULT_MIN, 2 * MULT_MIN)

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

# Largest magnitudes below which every partial sum of integers is an exact float, whatever the order of summation.
FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53


def clamp(value: ArrayLike, limit: int) -> Int64:
    """``min(max(value, -limit), limit)``: symmetric saturation."""
    return np.clip(np.asarray(value, dtype=np.int64), -limit, limit)


def requantize(acc: ArrayLike, mult: ArrayLike, shift: ArrayLike) -> Int64:
    """``(acc * mult + (1 << (shift - 1))) >> shift``: dyadic scaling, round half up, not clamped.

    acc : accumulators, magnitude below 2**46; mult : in [2**15, 2**17]; shift : in [1, 62]
    """
    shift = np.asarray(shift, dtype=np.int64)
    scaled = np.asarray(acc, dtype=np.int64) * np.asarray(mult, dtype=np.int64)
    scaled += np.int64(1) << (shift - 1)
    return scaled >> shift


def requantize_float(acc: ArrayLike, mult: ArrayLike, shift: ArrayLike) -> Float64:
    """``acc * mult / 2**shift`` in the reals; `requantize` is within 1/2 of it."""
    scaled = np.asarray(acc, dtype=np.float64) * np.asarray(mult, dtype=np.float64)
    return np.ldexp(scaled, -np.asarray(shift, dtype=np.int64))


def dyadic(ratio: float) -> tuple[int, int]:
    """``(mult, shift)`` with mult in [2**15, 2**16) and ``mult * 2**-shift`` nearest to ``ratio`` > 0."""
    fraction, exponent = np.frexp(ratio)  # ratio = fraction * 2**exponent, fraction in [1/2, 1)
    mult = int(np.floor(fraction * (2 * MULT_MIN) + 0.5))
    if mult == 2 * MULT_MIN:
        return MULT_MIN, 15 - int(exponent)
    return mult, 16 - int(exponent)


def bit_length(value: ArrayLike) -> Int64:
    """Position of the highest set bit plus one, 0 for 0: ``int.bit_length`` of values in [0, 2**63)."""
    value = np.asarray(value, dtype=np.int64)
    if np.any(value < 0):
        raise OverflowError("bit_length takes integers in [0, 2**63), and got a negative one")
    high = value >> 32  # halves of 32 bits are exact in float64, so frexp gives their bit length
    low = value & 0xFFFFFFFF
    return np.where(high > 0, 32 + np.frexp(high.astype(np.float64))[1], np.frexp(low.astype(np.float64))[1]).astype(
        np.int64
    )


def isqrt(value: ArrayLike) -> Int64:
    """``floor(sqrt(value))``, exact for values in [0, 2**62].

    With r the true floor root, the float64 root lies in [r, r + 1], which one integer comparison tells apart: rounding
    is monotone, the root of r**2 moves by at most 2**-54 of r, half the spacing of floats there, and so rounds to r;
    and the root of less than (r + 1)**2 is at most r + 1.
    """
    value = np.asarray(value, dtype=np.int64)
    if np.any(value < 0) or np.any(value > 1 << 62):
        raise OverflowError("isqrt takes integers in [0, 2**62]")
    root = np.sqrt(value.astype(np.float64)).astype(np.int64)
    return root - (root * root > value)


def isqrt_float(value: ArrayLike) -> Float64:
    """``sqrt(value)``."""
    return np.sqrt(np.asarray(value, dtype=np.float64))


def norm_reciprocal(std: ArrayLike) -> tuple[Int64, Int64]:
    """``(q, e)``: e = bit_length(std), q = ((1 << (e + 16)) - 1) // std.

    So q * 2**-(e + 16) is just below 1 / std. std in [1, 2**46]; q is in [2**16, 2**17): 17 bits unsigned.
    """
    std = np.asarray(std, dtype=np.int64)
    if np.any(std < 1):
        raise OverflowError("norm_reciprocal takes a standard deviation of at least 1")
    length = bit_length(std)
    return ((np.int64(1) << (length + 16)) - 1) // std, length


def norm_reciprocal_float(std: ArrayLike) -> Float64:
    """``1 / std``."""
    return 1.0 / np.asarray(std, dtype=np.float64)


def context_reciprocal(context_mult: int, context_shift: int, total: ArrayLike) -> tuple[Int64, Int64]:
    """``(mq, rq)``: e = bit_length(total), mq = (context_mult << e) // total, rq = context_shift + e.

    So mq * 2**-rq is just below rho / total, with rho = context_mult * 2**-context_shift.
    total : sums of attention weights, at least 1; context_mult in [2**15, 2**16); mq is in [2**15, 2**17).
    """
    total = np.asarray(total, dtype=np.int64)
    if np.any(total < 1):
        raise OverflowError("context_reciprocal takes a sum of attention weights of at least 1")
    length = bit_length(total)
    return (np.int64(context_mult) << length) // total, context_shift + length


def context_reciprocal_float(context_mult: int, context_shift: int, total: ArrayLike) -> Float64:
    """``rho / total`` with rho = context_mult * 2**-context_shift."""
    return float(np.ldexp(float(context_mult), -context_shift)) / np.asarray(total, dtype=np.float64)


def exact_matmul(left: NDArray, right: NDArray, bound: int) -> Int64:
    """Integer ``left @ right`` on the float matrix units.

    bound : largest magnitude that any partial sum of products can reach. Integers up to 2**24 (2**53) are exact in
        float32 (float64), so no operation rounds, in whatever order it runs; the narrower type that is exact is used
    """
    if bound < FLOAT32_EXACT:
        product = left.astype(np.float32) @ right.astype(np.float32)
    elif bound < FLOAT64_EXACT:
        product = left.astype(np.float64) @ right.astype(np.float64)
    else:
        raise OverflowError(f"an integer matrix product can reach {bound}, beyond the 2**53 that float64 holds exactly")
    return product.astype(np.int64)
