# SPDX-License-Identifier: Apache-2.0
"""A pruned matrix product: what the sparse MAC array computes alone, as an overlay of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge.golden.arith import INT8_LIMIT, exact_matmul, requantize
from vitforge.golden.keep import compact, restore
from vitforge.golden.linear import ACCUMULATOR_LIMIT

LOWEST = 128  # magnitude of the lowest activation


def sparse_matmul(
    activations: NDArray[np.int8],
    weights: NDArray[np.int8],
    *,
    bias: ArrayLike | None = None,
    mult: ArrayLike | None = None,
    shift: ArrayLike | None = None,
    keep_inputs: NDArray[np.bool_] | None = None,
    keep_outputs: NDArray[np.bool_] | None = None,
) -> NDArray[np.signedinteger]:
    """``clamp(((sum(x * w) + bias) * mult + (1 << (shift - 1))) >> shift, +-127)`` per output, over the kept inputs.

    activations : (m, k) int8
    weights : (n, k) int8 in -127 ... 127, dense or 2:4; what the masks remove does not count, whatever it is
    bias : (n,) integers; 0 if None
    mult, shift : (n,) or one for all; both None: the sums are not requantised
    keep_inputs, keep_outputs : (k,) and (n,); None keeps all

    Returns (m, n) int8, or int32 if not requantised. An output that is not kept is 0; one whose inputs are all pruned
    is its requantised bias. Raises OverflowError if a sum could leave the 27 bits of an accumulator.
    """
    outputs, inputs = weights.shape
    rows = np.ones(outputs, bool) if keep_outputs is None else np.asarray(keep_outputs, bool)
    columns = np.ones(inputs, bool) if keep_inputs is None else np.asarray(keep_inputs, bool)
    kept = compact(np.asarray(weights)[rows], columns).astype(np.int64)
    offset = np.zeros(outputs, np.int64) if bias is None else np.broadcast_to(np.asarray(bias, np.int64), outputs)
    sums = _accumulate(compact(activations, columns), kept, offset[rows])
    if (mult is None) != (shift is None):
        raise ValueError("mult and shift belong together; give both or none")
    if mult is None or shift is None:
        return restore(sums.astype(np.int32), rows)
    scale = [np.broadcast_to(np.asarray(values, np.int64), outputs)[rows] for values in (mult, shift)]
    return restore(np.clip(requantize(sums, *scale), -INT8_LIMIT, INT8_LIMIT).astype(np.int8), rows)


def _accumulate(x: NDArray, weights: NDArray[np.int64], bias: NDArray[np.int64]) -> NDArray[np.int64]:
    magnitude = np.abs(weights).sum(axis=1) * LOWEST
    reach = magnitude + np.abs(bias)
    if reach.size and int(reach.max()) >= ACCUMULATOR_LIMIT:
        raise OverflowError(f"a sum can reach {int(reach.max())}, beyond its 27-bit accumulator")
    return exact_matmul(x, weights.T, int(magnitude.max(initial=0))) + bias
