# SPDX-License-Identifier: Apache-2.0
"""The two tables of A3's exponent module (HPCA 2020): exp(-u) = high[u / 32] * low[u % 32], u in unsigned 3.8."""

from __future__ import annotations

import math
from functools import lru_cache

EXP_INPUT_FRACTION = 8  # fraction bits of u = row maximum - score
EXP_RANGE = 8 << EXP_INPUT_FRACTION  # u from here on counts as exp(-u) = 0
EXP_LOW_ENTRIES = 32
EXP_FRACTION_BITS = 12  # of both tables
WEIGHT_BITS = 7  # fraction bits of an attention weight
EXP_SHIFT = 2 * EXP_FRACTION_BITS - WEIGHT_BITS


@lru_cache(maxsize=1)
def exp_tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(high, low): 64 and 32 integers with ``EXP_FRACTION_BITS`` fraction bits, rounded to nearest."""
    one = 1 << EXP_FRACTION_BITS
    unit = 1 << EXP_INPUT_FRACTION
    high = tuple(round(one * math.exp(-i * EXP_LOW_ENTRIES / unit)) for i in range(EXP_RANGE // EXP_LOW_ENTRIES))
    low = tuple(round(one * math.exp(-j / unit)) for j in range(EXP_LOW_ENTRIES))
    return high, low
