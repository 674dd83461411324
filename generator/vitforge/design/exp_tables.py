# SPDX-License-Identifier: Apache-2.0
"""The two tables of A3's exponent module (HPCA 2020): exp(-u) = high[u / low entries] * low[u % low entries]."""

from __future__ import annotations

import math
from functools import cache, lru_cache

EXP_INPUT_FRACTION = 8  # fraction bits of u = row maximum - score
EXP_RANGE = 8 << EXP_INPUT_FRACTION  # u from here on counts as exp(-u) = 0
EXP_LOW_ENTRIES = 32
EXP_FRACTION_BITS = 12  # of both tables
WEIGHT_BITS = 7  # fraction bits of an attention weight
EXP_SHIFT = 2 * EXP_FRACTION_BITS - WEIGHT_BITS

Tables = tuple[tuple[int, ...], tuple[int, ...]]


@lru_cache(maxsize=1)
def exp_tables() -> Tables:
    """(high, low) of the ViT kernels: 64 and 32 integers with ``EXP_FRACTION_BITS`` fraction bits."""
    return general_exp_tables(EXP_INPUT_FRACTION, EXP_RANGE, EXP_LOW_ENTRIES, EXP_FRACTION_BITS)


@cache
def general_exp_tables(input_fraction: int, exp_range: int, low_entries: int, fraction_bits: int) -> Tables:
    """(high, low): exp of -i * low_entries / 2**input_fraction and of -j / 2**input_fraction, rounded to nearest."""
    one, unit = 1 << fraction_bits, 1 << input_fraction
    high = tuple(round(one * math.exp(-i * low_entries / unit)) for i in range(exp_range // low_entries))
    low = tuple(round(one * math.exp(-j / unit)) for j in range(low_entries))
    return high, low
