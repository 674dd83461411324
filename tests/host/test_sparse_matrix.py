# SPDX-License-Identifier: Apache-2.0
"""Packing of matrices for the sparse MAC array: its record, and one sentence for what it does not take."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitforge_host import InputError, pack_matrix, prune_two_of_four
from vitforge_host.sparse_matmul_format import SparseMatmulFormat

FORMAT = SparseMatmulFormat(
    tc=4,
    tk=8,
    td=4,
    block_rows=20,
    k_max=64,
    n_max=32,
    sparse=True,
    activation_lowest=-128,
    beat_bytes=16,
    design_hash="12" * 32,
)
ONES = np.ones((6, 10), np.int8)


def changed(value: int, *index: int) -> np.ndarray:
    weights = ONES.astype(np.int16)
    weights[index] = value
    return weights


def mask(size: int, *pruned: int) -> np.ndarray:
    keep = np.ones(size, bool)
    keep[list(pruned)] = False
    return keep


def crowded() -> np.ndarray:
    """Three weights in the second group of row 4, once input 1 is pruned: inputs 5, 6, 7 and 8."""
    weights = np.zeros((6, 10), np.int8)
    weights[4, [5, 6, 8]] = 1
    return weights


@pytest.mark.parametrize(
    ("weights", "rest", "message"),
    [
        (changed(-128, 2, 3), {}, r"weights\[2, 3\] is -128; weights lie in -127 to 127"),
        (changed(300, 0, 9), {}, r"weights\[0, 9\] is 300"),
        (ONES.astype(float), {}, "weights must be integers, not float64"),
        (np.full((1, 1), np.iinfo(np.int64).min), {}, r"weights\[0, 0\] is -9223372036854775808; weights lie in"),
        (np.full((1, 1), (1 << 64) - 1, np.uint64), {}, r"weights\[0, 0\] is 9223372036854775807; weights lie in"),
        ([[1, 2], [3]], {}, "weights cannot be read as an array"),
        (ONES, {"bias": [[1], [2, 3]]}, "bias cannot be read as an array"),
        (ONES, {"keep_inputs": [[True], [True, False]]}, "keep_inputs cannot be read as an array"),
        (ONES[0], {}, r"weights are \(10,\); expected \(n, k\)"),
        (ONES[:0], {}, "at least one output and one input"),
        (np.ones((33, 10), np.int8), {}, "n is 33, and the overlay was built for at most 32"),
        (np.ones((6, 65), np.int8), {}, "k is 65, and the overlay was built for at most 64"),
        (ONES, {"keep_inputs": mask(9)}, r"keep_inputs is \(9,\) bool; weights of 10 inputs take \(10,\) bool"),
        (
            ONES,
            {"keep_outputs": np.ones(6, int)},
            r"keep_outputs is \(6,\) int64; weights of 6 outputs take \(6,\) bool",
        ),
        (ONES, {"keep_inputs": mask(10, 7)}, r"weights\[0, 7\] is 1, but keep_inputs prunes it"),
        (ONES, {"keep_outputs": mask(6, 5)}, r"weights\[5, 0\] is 1, but keep_outputs prunes it"),
        (
            np.zeros((6, 10), int),
            {"keep_outputs": mask(6, 5), "bias": np.arange(6)},
            r"bias\[5\] is 5, but keep_outputs prunes it",
        ),
        (ONES, {"bias": np.zeros(5, int)}, r"bias has shape \(5,\); expected one number, or one for each of 6 outputs"),
        (ONES, {"bias": 0.5}, "bias must be integers, not float64"),
        (ONES, {"bias": 1 << 26}, "output 0 can reach"),
        (ONES, {"mult": 5}, "mult is given and shift is not; give both for int8 results, or none for int32 sums"),
        (ONES, {"shift": 5}, "shift is given and mult is not"),
        (ONES, {"mult": 1 << 16, "shift": 5}, "mult has the value 65536; it lies in 0 to 65535"),
        (ONES, {"mult": 1, "shift": [1, 2, 3, 4, 5, 63]}, "shift has the value 63; it lies in 1 to 62"),
        (ONES, {"sparsity": "1:4"}, "sparsity is '1:4'; it must be 'dense' or '2:4'"),
        (ONES, {"sparsity": "2:4"}, r"row 0 has more than two weights in group 0 of its kept inputs \(0, 1, 2, 3\)"),
        (
            crowded(),
            {"sparsity": "2:4", "keep_inputs": mask(10, 1), "keep_outputs": mask(6, 0)},
            r"row 4 has more than two weights in group 1 of its kept inputs \(5, 6, 7, 8\)",
        ),
    ],
)
def test_bad_input_gets_one_sentence(weights: Any, rest: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        pack_matrix(weights, FORMAT, **rest)
    assert "\n" not in str(found.value)


def test_two_of_four_needs_an_overlay_that_takes_it() -> None:
    with pytest.raises(InputError, match="this overlay takes dense matrices alone; generate it with sparse = true"):
        pack_matrix(np.zeros((1, 1), int), dataclasses.replace(FORMAT, sparse=False), sparsity="2:4")


def test_the_record_begins_with_its_header_and_mask() -> None:
    keep = mask(40, 0, 9, 17)
    packed = pack_matrix(np.zeros((6, 40), int), FORMAT, keep_inputs=keep, sparsity="2:4")
    words = packed.data[:32].view("<u4")
    # flags 2:4 and int32; 40 inputs and 3 steps of 16; 2 column tiles and 3 words of the 37 that are kept
    assert words.tolist() == [3, 40 | 3 << 16, 2 | 3 << 16, 0, 0, 0, 0, 0]
    assert packed.head_beats == 3
    bits = np.unpackbits(packed.data[32:48], bitorder="little")
    assert np.array_equal(bits[:40].astype(bool), keep) and not bits[40:].any()
    assert len(packed.data) == 48 + 2 * (16 + 32 + 3 * (32 + 16))


def test_pruned_matrices_are_shorter() -> None:
    dense = pack_matrix(np.ones((32, 64), int), FORMAT)
    half = mask(64, *range(32))
    pruned = pack_matrix(np.ones((32, 64), int) * half, FORMAT, keep_inputs=half)
    assert (dense.steps, pruned.steps) == (8, 4)
    assert len(pruned.data) < 0.65 * len(dense.data)


@given(st.integers(0, 1 << 32), st.integers(1, 6), st.integers(1, 30))
def test_prune_two_of_four_keeps_the_two_largest_of_each_group(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    weights, keep = rng.integers(-127, 128, (n, k)).astype(np.int8), rng.random(k) < 0.7
    pruned = prune_two_of_four(weights, keep)
    assert not pruned[:, ~keep].any() and pruned.dtype == weights.dtype
    kept = np.flatnonzero(keep)
    for row in range(n):
        for first in range(0, len(kept), 4):
            group = kept[first : first + 4]
            before, after = np.abs(weights[row, group].astype(int)), np.abs(pruned[row, group].astype(int))
            assert sorted(after, reverse=True)[:2] == sorted(before, reverse=True)[:2]
            assert np.count_nonzero(after) <= 2
    if keep.any():
        pack_matrix(pruned, FORMAT, keep_inputs=keep, sparsity="2:4")


def test_no_rows_are_pruned_to_no_rows() -> None:
    assert prune_two_of_four(np.zeros((0, 5), np.int8)).shape == (0, 5)


def test_weights_of_floats_are_pruned_by_their_magnitude() -> None:
    weights = np.array([[0.1, -0.4, 0.2, 0.3, -0.9]], np.float32)
    pruned = prune_two_of_four(weights)
    assert pruned.dtype == np.float32 and pruned.tolist() == [[0, weights[0, 1], 0, weights[0, 3], weights[0, 4]]]


@pytest.mark.parametrize(
    ("weights", "keep", "message"),
    [
        (ONES[0], None, r"weights are \(10,\) int8; expected \(n, k\) numbers"),
        (np.array([[1.0, np.nan]]), None, "no NaN among them"),
        ([["a"]], None, "expected .* numbers"),
        (ONES, np.ones(9, bool), r"keep_inputs is \(9,\) bool; weights of 10 inputs take \(10,\) bool"),
        (ONES, np.ones(10), r"keep_inputs is \(10,\) float64"),
    ],
)
def test_what_cannot_be_pruned_gets_one_sentence(weights: Any, keep: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prune_two_of_four(weights, keep)
