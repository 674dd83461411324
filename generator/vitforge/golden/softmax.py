# SPDX-License-Identifier: Apache-2.0
"""Softmax with A3's exponent module (Ham et al., HPCA 2020, section III): two small tables and one multiplier.

Scores are int16 in units of 1/256. The weights are not divided by their sum here: attention divides once per output
(`vitforge.golden.attention`), so that they sum to one exactly where the paper's 8-bit quotients would not.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge.golden.arith import Float64, Int64

EXP_FRACTION_BITS = 12  # of a table entry; entry 0 is 1.0 = 4096
EXP_RANGE = 2048  # u at and above which the weight is 0: 8.0 in unsigned 3.8
EXP_HIGH_ENTRIES = 64
EXP_LOW_ENTRIES = 32
WEIGHT_BITS = 7  # attention weights feed the array as int8
EXP_SHIFT = 2 * EXP_FRACTION_BITS - WEIGHT_BITS
WEIGHT_LIMIT = 127
SCORE_UNIT = 256  # scores are in units of 1 / SCORE_UNIT


def exp_tables(fraction_bits: int = EXP_FRACTION_BITS) -> tuple[Int64, Int64]:
    """(hi (64,), lo (32,)): hi[i] = round(2**F * exp(-i / 8)), lo[j] = round(2**F * exp(-j / 256))."""
    one = float(1 << fraction_bits)
    high = np.floor(one * np.exp(-np.arange(EXP_HIGH_ENTRIES) * EXP_LOW_ENTRIES / SCORE_UNIT) + 0.5)
    low = np.floor(one * np.exp(-np.arange(EXP_LOW_ENTRIES) / SCORE_UNIT) + 0.5)
    return high.astype(np.int64), low.astype(np.int64)


def exponent_general(u: ArrayLike, *, fraction_bits: int, out_bits: int, limit: int, rounded: bool = True) -> Int64:
    """exp(-u / 256) with ``out_bits`` fraction bits: ``min(limit, (hi[u >> 5] * lo[u & 31] + half) >> shift)``.

    shift = 2 * fraction_bits - out_bits; half = 1 << (shift - 1), or 0 if not ``rounded``. u : >= 0; 0 from 2048 on.
    The weights of attention are (12, 7, 127); the u0.8 scores of the A3 paper are (12, 8, 255).
    """
    u = np.asarray(u, dtype=np.int64)
    high, low = exp_tables(fraction_bits)
    index = np.minimum(u, EXP_RANGE - 1)
    shift = 2 * fraction_bits - out_bits
    half = 1 << (shift - 1) if rounded else 0
    product = (high[index >> 5] * low[index & 31] + half) >> shift
    return np.where(u >= EXP_RANGE, 0, np.minimum(product, limit))


def exponent(u: ArrayLike) -> Int64:
    """Attention weight of u = row maximum - score: 0 if u >= 2048, else
    ``min(127, (hi[u >> 5] * lo[u & 31] + (1 << 16)) >> 17)``.

    Within 1 of 128 * exp(-u / 256) rounded and saturated at 127.
    """
    return exponent_general(u, fraction_bits=EXP_FRACTION_BITS, out_bits=WEIGHT_BITS, limit=WEIGHT_LIMIT)


def exponent_float(u: ArrayLike) -> Float64:
    """``exp(-u / 256)``, at most 1."""
    return np.exp(-np.asarray(u, dtype=np.float64) / SCORE_UNIT)


@cache
def _all_exponents() -> NDArray[np.uint8]:
    return exponent(np.arange(EXP_RANGE + 1)).astype(np.uint8)


def softmax_weights(scores: NDArray[np.int16]) -> tuple[NDArray[np.uint8], Int64]:
    """(p, S): p = exponent(max(s) - s) over the last axis, S = sum of p (at least 127).

    scores : (..., N) int16, the real keys only (padded keys weigh 0 and take no part in the maximum)
    Returns p (..., N) uint8 in [0, 127] and S (...).
    """
    scores = scores.astype(np.int32)
    u = scores.max(axis=-1, keepdims=True) - scores
    weights = np.take(_all_exponents(), np.minimum(u, EXP_RANGE))
    return weights, weights.sum(axis=-1, dtype=np.int64)


def softmax_weights_float(scores: NDArray) -> Float64:
    """Softmax of scores / 256 over the last axis: what p / S approximates."""
    scores = np.asarray(scores, dtype=np.float64)
    weights = np.exp((scores - scores.max(axis=-1, keepdims=True)) / SCORE_UNIT)
    return weights / weights.sum(axis=-1, keepdims=True)
