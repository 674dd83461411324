# SPDX-License-Identifier: Apache-2.0
"""Real numbers to the fixed-point codes of a kernel, and back. Symmetric: no code is the most negative one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge_host.errors import InputError


def encode(
    values: ArrayLike, integer_bits: int, fraction_bits: int, name: str = "values"
) -> tuple[NDArray[np.int16], int]:
    """``(codes, saturated)``: floor(x * 2**f + 1/2) of each value x, and how many did not fit +-(2**(i + f) - 1).

    Codes have the shape of ``values`` and are int16, so i + f is at most 15.
    Raises InputError, calling the values ``name``, if any is no finite number.
    """
    reals = real_numbers(values, name)
    limit = (1 << (integer_bits + fraction_bits)) - 1
    scaled = np.floor(reals * np.float64(1 << fraction_bits) + 0.5)
    saturated = int(np.count_nonzero(np.abs(scaled) > limit))
    return np.clip(scaled, -limit, limit).astype(np.int16), saturated


def decode(codes: ArrayLike, fraction_bits: int) -> NDArray[np.float64]:
    """The numbers that ``codes`` stand for: codes / 2**fraction_bits."""
    return np.asarray(codes) * np.float64(2.0**-fraction_bits)


def real_numbers(values: ArrayLike, name: str) -> NDArray:
    """``values`` as an array. Raises InputError, calling them ``name``, if any is no finite number."""
    reals = np.asarray(values)
    if reals.dtype.kind not in "fiu":
        raise InputError(f"{name} are of type {reals.dtype}; they must be real numbers")
    bad = np.argwhere(~np.isfinite(reals))
    if len(bad):
        first = tuple(int(axis) for axis in bad[0])
        raise InputError(f"{name} have {len(bad)} of {reals.size} elements that are no finite number, first at {first}")
    return reals
