# SPDX-License-Identifier: Apache-2.0
"""Scale and threshold of the A3 kernel as its registers hold them: integers, from what a user says in real numbers."""

from __future__ import annotations

import math

from vitforge_host.errors import InputError

KEEP_ALL = 0x7FFFFFFF  # threshold that no difference of scores exceeds
SCALE_MIN, SCALE_MAX = 2.0**-16, 16.0
_MULT_BITS = 16


def scale_registers(scale: float) -> tuple[int, int]:
    """``(mult, shift)``: scale = mult / 2**shift, mult in [2**15, 2**16), nearest.

    Raises InputError outside of [2**-16, 16].
    """
    if not SCALE_MIN <= scale <= SCALE_MAX:  # False for nan
        raise InputError(f"scale is {scale!r}; it must lie in [{SCALE_MIN:g}, {SCALE_MAX:g}]")
    fraction, exponent = math.frexp(scale)  # scale = fraction * 2**exponent, fraction in [1/2, 1)
    mult = math.floor(fraction * (1 << _MULT_BITS) + 0.5)
    if mult == 1 << _MULT_BITS:
        return mult // 2, _MULT_BITS - 1 - exponent
    return mult, _MULT_BITS - exponent


def threshold_register(t: float | None, scale: tuple[int, int], fraction_bits: int) -> int:
    """Largest distance from the maximum [raw dot product, 2 * fraction_bits fraction bits] that T percent keeps.

    A row is kept whose weight is at least ``t`` percent of the largest one: ln(100 / t) after scaling (A3, section
    IV-D). That is rounded to 2 * fraction_bits fraction bits, divided by the scale and rounded once more. None keeps
    all.
    Raises InputError unless 0 < t <= 100.
    """
    if t is None:
        return KEEP_ALL
    if not 0 < t <= 100:
        raise InputError(f"t is {t!r}; it must lie in (0, 100] percent, or be None to keep all rows")
    scaled = math.floor(math.log(100 / t) * (1 << 2 * fraction_bits) + 0.5)
    mult, shift = scale
    return min(((scaled << shift) * 2 + mult) // (2 * mult), KEEP_ALL)
