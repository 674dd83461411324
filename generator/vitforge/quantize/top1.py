# SPDX-License-Identifier: Apache-2.0
"""Classification accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def top1(logits: NDArray, labels: NDArray) -> float:
    """Fraction of rows of ``logits`` (n, classes) whose largest entry is at ``labels`` (n,)."""
    return float(np.mean(np.argmax(logits, axis=1) == np.asarray(labels)))
