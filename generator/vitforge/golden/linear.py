# SPDX-License-Identifier: Apache-2.0
"""Linear layer: every dense matrix product of the accelerator but attention's own two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.arith import INT8_LIMIT, Float64, exact_matmul, requantize, requantize_float
from vitforge.quantize.model import QuantLinear

ACCUMULATOR_LIMIT = 1 << 26  # accumulators are 27 bits signed
_STORAGE = {INT8_LIMIT: np.int8, 32767: np.int16, None: np.int32}


def accumulate(x: NDArray[np.int8], layer: QuantLinear) -> NDArray[np.int64]:
    """``sum(x * w) + bias`` per output channel, (..., out); refuses a layer that could leave 27 bits."""
    magnitude = np.abs(layer.weight.astype(np.int64)).sum(axis=1) * 128
    reach = magnitude + np.abs(layer.bias.astype(np.int64))
    if reach.size and int(reach.max()) >= ACCUMULATOR_LIMIT:
        raise OverflowError(f"a linear layer reaches {int(reach.max())}, beyond its 27-bit accumulator")
    bound = int(magnitude.max()) if magnitude.size else 0
    return exact_matmul(x, layer.weight.T, bound) + layer.bias


def linear(x: NDArray[np.int8], layer: QuantLinear, limit: int | None = INT8_LIMIT) -> NDArray[np.signedinteger]:
    """``clamp(((sum(x * w) + bias) * mult + (1 << (shift - 1))) >> shift, +-limit)`` per output channel.

    x : (..., in) int8
    limit : 127 gives int8, 32767 gives int16 (a branch of the residual stream), None gives int32, not clamped (logits)
    Returns (..., out). Raises OverflowError if an unclamped result leaves int32.
    """
    scaled = requantize(accumulate(x, layer), layer.mult, layer.shift)
    if limit is not None:
        np.clip(scaled, -limit, limit, out=scaled)
    elif scaled.size and max(int(scaled.max()), -int(scaled.min())) > np.iinfo(np.int32).max:
        raise OverflowError("a logit leaves int32: the shift of the class head is too small")
    return scaled.astype(_STORAGE[limit])


def linear_float(x: NDArray, layer: QuantLinear, limit: int | None = INT8_LIMIT) -> Float64:
    """The same layer in the reals: saturates, never rounds; `linear` of integers is within 1/2 of it."""
    acc = np.asarray(x, dtype=np.float64) @ layer.weight.T.astype(np.float64) + layer.bias
    scaled = requantize_float(acc, layer.mult, layer.shift)
    return scaled if limit is None else np.clip(scaled, -limit, limit)
