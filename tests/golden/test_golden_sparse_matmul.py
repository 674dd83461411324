# SPDX-License-Identifier: Apache-2.0
"""The golden sparse matrix product against loops over single numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitforge.golden.sparse_matmul import sparse_matmul


@given(st.integers(0, 1 << 32), st.integers(1, 5), st.integers(1, 9), st.integers(1, 6), st.booleans())
@settings(max_examples=60)
def test_equals_a_sum_over_what_is_kept(seed: int, m: int, k: int, n: int, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-128, 128, (m, k)).astype(np.int8), rng.integers(-127, 128, (n, k)).astype(np.int8)
    inputs, outputs = rng.random(k) < 0.6, rng.random(n) < 0.6
    bias, mult, shift = rng.integers(-5000, 5000, n), rng.integers(0, 1 << 16, n), rng.integers(1, 40, n)
    scale = {} if wide else {"mult": mult, "shift": shift}
    found = sparse_matmul(x, w, bias=bias, keep_inputs=inputs, keep_outputs=outputs, **scale)
    assert found.shape == (m, n) and found.dtype == (np.int32 if wide else np.int8)
    for row in range(m):
        for out in range(n):
            total = int(bias[out]) + sum(int(x[row, i]) * int(w[out, i]) for i in range(k) if inputs[i])
            if not wide:
                total = (total * int(mult[out]) + (1 << (int(shift[out]) - 1))) >> int(shift[out])
                total = max(-127, min(127, total))
            assert found[row, out] == (total if outputs[out] else 0)


def test_nothing_kept_leaves_the_requantised_bias() -> None:
    x, w = np.full((2, 4), 100, np.int8), np.full((3, 4), 100, np.int8)
    found = sparse_matmul(x, w, bias=[6, -6, 9000], mult=1 << 15, shift=16, keep_inputs=np.zeros(4, bool))
    assert found.tolist() == [[3, -3, 127]] * 2


def test_refuses_what_leaves_the_accumulator() -> None:
    x, w = np.zeros((1, 5000), np.int8), np.full((1, 5000), 127, np.int8)
    with pytest.raises(OverflowError, match="27-bit accumulator"):
        sparse_matmul(x, w)
    with pytest.raises(ValueError, match="mult and shift belong together"):
        sparse_matmul(x[:, :1], w[:, :1], mult=1)
