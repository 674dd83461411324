# SPDX-License-Identifier: Apache-2.0
"""Layer norm in exact integers: one root and one division a token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.arith import INT8_LIMIT, INT16_LIMIT, Float64, Int64, isqrt, norm_reciprocal
from vitforge.quantize.model import QuantNorm

NORMAL_BITS = 10  # fraction bits of a normalised value
RECIPROCAL_BITS = 16  # fraction bits of the reciprocal beyond the length of the standard deviation
VARIANCE_BITS = 54  # V and its root are 54 and 27 bits in the kernel


def normalize(x: NDArray[np.int16], eps: int) -> Int64:
    """(x - mean) / standard deviation in units of 2**-10, clamped to int16.

    With D channels, sx = sum x, sxx = sum x*x::

        V = D*sxx - sx*sx + eps       std = max(1, isqrt(V))      (q, e) = norm_reciprocal(std)
        yhat = clamp(((D*x - sx) * q + half) >> (e + 6), +-32767)     half = 1 << (e + 5)

    For the real y, saturated alike: |yhat / 1024 - y| <= |y| * (1 / std + 2**-16) + 2**-11.
    """
    y: Int64 = x.astype(np.int64)
    channels = y.shape[-1]
    total = y.sum(axis=-1, keepdims=True)
    variance = channels * (y * y).sum(axis=-1, keepdims=True) - total * total + eps
    if variance.size and int(variance.max()) >> VARIANCE_BITS:
        raise OverflowError(f"the variance of {channels} channels leaves the {VARIANCE_BITS} bits of layer norm")
    reciprocal, length = norm_reciprocal(np.maximum(1, isqrt(variance)))
    shift = length + RECIPROCAL_BITS - NORMAL_BITS
    y *= channels
    y -= total
    y *= reciprocal
    y += np.int64(1) << (shift - 1)
    y >>= shift
    return np.clip(y, -INT16_LIMIT, INT16_LIMIT, out=y)


def layer_norm(x: NDArray[np.int16], norm: QuantNorm) -> NDArray[np.int8]:
    """``clamp((normalize(x) * gamma + beta + (1 << (shift - 1))) >> shift, +-127)``.

    x : (..., D) int16, the residual stream. Returns (..., D) int8.
    """
    y = normalize(x, norm.eps)
    y *= norm.gamma
    y += norm.beta
    y += 1 << (norm.shift - 1)
    y >>= norm.shift
    return np.clip(y, -INT8_LIMIT, INT8_LIMIT, out=y).astype(np.int8)


def normalize_float(x: NDArray, eps: int) -> Float64:
    """(x - mean) / sqrt(variance + eps / D**2) in the reals; 0 for a constant row without epsilon."""
    x = np.asarray(x, dtype=np.float64)
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True) + eps / x.shape[-1] ** 2
    return centred / np.sqrt(np.where(variance > 0, variance, 1.0))


def layer_norm_float(x: NDArray, norm: QuantNorm) -> Float64:
    """The same layer norm in the reals, in units of the int8 output: saturates, never rounds."""
    y = normalize_float(x, norm.eps) * (norm.gamma.astype(np.float64) * (1 << NORMAL_BITS)) + norm.beta
    return np.clip(np.ldexp(y, -norm.shift), -INT8_LIMIT, INT8_LIMIT)
