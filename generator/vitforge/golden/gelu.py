# SPDX-License-Identifier: Apache-2.0
"""GELU as a 256-entry table of int8: exact to half an output step, whatever the scales."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge.golden.arith import INT8_LIMIT, Float64

_erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu_float(x: ArrayLike) -> Float64:
    """``x * (1 + erf(x / sqrt 2)) / 2``."""
    x = np.asarray(x, dtype=np.float64)
    return x * (1.0 + _erf(x / math.sqrt(2.0))) / 2.0


def gelu_table(scale_in: float, scale_out: float) -> NDArray[np.int8]:
    """(256,) int8: entry [x + 128] is ``clamp(floor(gelu(x * scale_in) / scale_out + 1/2), +-127)``."""
    codes = np.arange(-128, 128)
    scaled = np.floor(gelu_float(codes * scale_in) / scale_out + 0.5)
    return np.clip(scaled, -INT8_LIMIT, INT8_LIMIT).astype(np.int8)


def gelu(x: NDArray[np.int8], table: NDArray[np.int8]) -> NDArray[np.int8]:
    """``table[x + 128]``: x (...) int8, table (256,) int8."""
    # Read as unsigned, int8 codes -128 .. 127 are 128 .. 255, 0 .. 127: the halves of the table change places.
    return np.take(np.roll(table, -128), x.view(np.uint8))
