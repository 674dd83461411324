# SPDX-License-Identifier: Apache-2.0
"""Number formats of the A3 kernel at every stage (Ham et al., HPCA 2020, section III-B)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from vitforge.design.exp_tables import Tables, general_exp_tables
from vitforge.errors import ConfigError

POLICIES = ("deferred", "divide_first")
INTEGER_BITS = range(1, 8)
FRACTION_BITS = range(2, 7)
MOST_BITS = 10  # integer and fraction bits together


@dataclass(frozen=True, kw_only=True)
class A3Numbers:
    """Queries, keys and values have ``integer_bits`` and ``fraction_bits`` beside the sign, and are symmetric.

    policy : when the weights are divided by their sum. "deferred": once a result; "divide_first": every weight, to
        2 * fraction_bits bits, as in the paper
    """

    integer_bits: int = 4
    fraction_bits: int = 4
    policy: str = "deferred"

    def __post_init__(self) -> None:
        i, f = self.integer_bits, self.fraction_bits
        if i not in INTEGER_BITS or f not in FRACTION_BITS or i + f > MOST_BITS:
            raise ConfigError(
                f"a3 takes 1 to 7 integer bits and 2 to 6 fraction bits, at most {MOST_BITS} together, not {i} and {f}"
            )
        if self.policy not in POLICIES:
            raise ConfigError(f"normalisation is {self.policy!r}; it must be one of {', '.join(POLICIES)}")

    @property
    def is_deferred(self) -> bool:
        return self.policy == "deferred"

    @property
    def limit(self) -> int:
        """Largest magnitude of a query, key or value code."""
        return (1 << (self.integer_bits + self.fraction_bits)) - 1

    @property
    def code_bits(self) -> int:
        """Signed width of a code."""
        return self.integer_bits + self.fraction_bits + 1

    @property
    def score_bits(self) -> int:
        """Fraction bits of dot products, and width of a score and of a weight, which are fractions."""
        return 2 * self.fraction_bits

    @property
    def score_limit(self) -> int:
        """exp(0) = 1 saturates to it."""
        return (1 << self.score_bits) - 1

    @cached_property
    def exp_range(self) -> int:
        """Scaled distances from here on have score 0: the first power of two past ln(2 ** (score_bits + 1))."""
        integer = math.ceil(math.log2((self.score_bits + 1) * math.log(2)))
        return 1 << (integer + self.score_bits)

    @property
    def exp_low_entries(self) -> int:
        """Entries of the table that the lower half of the distance indexes."""
        return 1 << ((self.exp_range.bit_length() - 1) // 2)

    @property
    def exp_fraction(self) -> int:
        """Fraction bits of the table entries; 12 leave 25 of 2,048 scores one off at 8 bits."""
        return max(12, self.score_bits + 4)

    @property
    def exp_shift(self) -> int:
        """From the product of two entries to a score."""
        return 2 * self.exp_fraction - self.score_bits

    @property
    def exp_tables(self) -> Tables:
        """(high, low)"""
        return general_exp_tables(self.score_bits, self.exp_range, self.exp_low_entries, self.exp_fraction)

    @property
    def result_fraction(self) -> int:
        """Fraction bits of a result."""
        return 15 - self.integer_bits if self.is_deferred else 3 * self.fraction_bits

    @property
    def result_bytes(self) -> int:
        """Of a result in memory."""
        return 2 if self.is_deferred else 4

    @property
    def result_shift(self) -> int:
        """Fraction bits that a deferred division adds to those of a value."""
        return self.result_fraction - self.fraction_bits
