# SPDX-License-Identifier: Apache-2.0
"""Keep masks: channels that pruning left, compacted before a matrix product and restored after it.

Pure data movement, exact for every type; so these functions are their own float reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def compact(x: NDArray, keep: NDArray[np.bool_]) -> NDArray:
    """(..., D) -> (..., kept): the channels where ``keep`` (D,) is true, in order."""
    keep = np.asarray(keep, dtype=bool)
    if x.shape[-1] != keep.size:
        raise ValueError(f"a keep mask of {keep.size} channels does not fit {x.shape[-1]} channels")
    return x[..., keep]


def restore(x: NDArray, keep: NDArray[np.bool_]) -> NDArray:
    """(..., kept) -> (..., D): channel i of x at the place of the i-th true entry of ``keep`` (D,), 0 elsewhere."""
    keep = np.asarray(keep, dtype=bool)
    if x.shape[-1] != np.count_nonzero(keep):
        raise ValueError(f"a keep mask with {np.count_nonzero(keep)} kept channels does not fit {x.shape[-1]} channels")
    restored = np.zeros((*x.shape[:-1], keep.size), dtype=x.dtype)
    restored[..., keep] = x
    return restored
