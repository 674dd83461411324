# SPDX-License-Identifier: Apache-2.0
"""Softmax with A3's exponent module (Ham et al., HPCA 2020, section III): two small tables and one multiplier.

Scores are int16 in units of 1/256. The weights are not divided by their sum here: attention divides once per output
(`vitforge.golden.attention`), so that they sum to one exactly where the paper's 8-bit quotients would not.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge.design.exp_tables import EXP_INPUT_FRACTION, EXP_LOW_ENTRIES, EXP_RANGE, EXP_SHIFT, exp_tables
from vitforge.golden.arith import Float64, Int64

WEIGHT_LIMIT = 127  # 1.0 saturates
SCORE_UNIT = 1 << EXP_INPUT_FRACTION  # scores are in units of 1 / SCORE_UNIT


def exponent(u: ArrayLike) -> Int64:
    """Attention weight of u = row maximum - score, u >= 0: 0 if u >= 2048, else
    ``min(127, (high[u >> 5] * low[u & 31] + (1 << 16)) >> 17)`` with the tables of `exp_tables`.

    Within 1 of 128 * exp(-u / 256) rounded to nearest and saturated at 127.
    """
    u = np.asarray(u, dtype=np.int64)
    high, low = (np.array(table, dtype=np.int64) for table in exp_tables())
    index = np.minimum(u, EXP_RANGE - 1)
    product = high[index // EXP_LOW_ENTRIES] * low[index % EXP_LOW_ENTRIES]
    weight = (product + (1 << (EXP_SHIFT - 1))) >> EXP_SHIFT
    return np.where(u >= EXP_RANGE, 0, np.minimum(weight, WEIGHT_LIMIT))


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
