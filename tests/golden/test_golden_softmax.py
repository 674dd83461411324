# SPDX-License-Identifier: Apache-2.0
"""A3's exponent module over all of its inputs, and the weights of a row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vitforge.golden.softmax import (
    exp_tables,
    exponent,
    exponent_float,
    softmax_weights,
    softmax_weights_float,
)

U = np.arange(2048)
EXACT = [math.exp(-u / 256) for u in range(2048)]
SCORE_ROWS = hnp.arrays(np.int16, st.tuples(st.integers(1, 5), st.integers(1, 70)), elements=st.integers(-32767, 32767))


def nearest(out_bits: int) -> np.ndarray:
    """exp(-u / 256) rounded to nearest and saturated, for all u."""
    return np.array([min((1 << out_bits) - 1, math.floor(e * (1 << out_bits) + 0.5)) for e in EXACT])


def test_exponent_is_within_one_ulp_for_every_u():
    difference = np.abs(exponent(U) - nearest(7))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) == 14


def test_exponent_real_error():
    error = np.abs(exponent(U) - 128 * exponent_float(U))
    assert error[0] == 1.0, "1.0 saturates to 127 / 128"
    assert error[1:].max() < 0.51


def test_exponent_falls_and_ends_at_2048():
    assert np.all(np.diff(exponent(U)) <= 0)
    assert exponent([0, 1, 2047, 2048, 65534]).tolist() == [127, 127, 0, 0, 0]


def test_tables_hold_the_rounded_exponentials():
    high, low = exp_tables()
    assert list(high) == [math.floor(4096 * math.exp(-i / 8) + 0.5) for i in range(64)]
    assert list(low) == [math.floor(4096 * math.exp(-j / 256) + 0.5) for j in range(32)]


@settings(deadline=None, max_examples=200)
@given(SCORE_ROWS)
def test_weights_of_a_row(scores):
    weights, total = softmax_weights(scores)
    assert weights.dtype == np.uint8
    assert np.array_equal(total, weights.astype(int).sum(axis=-1))
    assert np.all(np.take_along_axis(weights, scores.argmax(axis=-1)[:, None], axis=-1) == 127)
    order = np.argsort(scores, axis=-1, kind="stable")
    assert np.all(np.diff(np.take_along_axis(weights, order, axis=-1).astype(int), axis=-1) >= 0)
    u = scores.max(axis=-1, keepdims=True).astype(int) - scores
    assert np.array_equal(weights, exponent(u))


@settings(deadline=None, max_examples=100)
@given(SCORE_ROWS, st.integers(-32767, 32767))
def test_weights_do_not_depend_on_a_common_offset(scores, offset):
    low = scores.astype(int) // 2
    moved = np.clip(low + offset // 2, -32767, 32767).astype(np.int16)
    assert np.array_equal(softmax_weights(low.astype(np.int16))[0], softmax_weights(moved)[0])


@pytest.mark.parametrize("keys", [1, 2, 50, 197, 1024])
@pytest.mark.parametrize("code", [-32767, 0, 32767])
def test_equal_scores_weigh_the_same(keys, code):
    weights, total = softmax_weights(np.full((3, keys), code, dtype=np.int16))
    assert np.all(weights == 127)
    assert np.all(total == 127 * keys)


def test_one_key_far_above_takes_all():
    scores = np.full(197, -32767, dtype=np.int16)
    scores[13] = 32767
    weights, total = softmax_weights(scores)
    assert int(total) == 127
    assert np.flatnonzero(weights).tolist() == [13]


def assert_weights_near_float(scores: np.ndarray) -> None:
    """|p/S - w/W| <= (d + w/W * sum d) / S, with d the error of one exponent: 1 at the maximum, else below 0.51."""
    weights, total = softmax_weights(scores)
    reference = softmax_weights_float(scores)
    error = np.where(scores == scores.max(axis=-1, keepdims=True), 1.0, 0.51)
    bound = (error + reference * error.sum(axis=-1, keepdims=True)) / total[..., None]
    assert np.all(np.abs(weights / total[..., None] - reference) <= bound)


@settings(deadline=None, max_examples=200)
@given(SCORE_ROWS)
def test_weights_of_any_row_against_float_softmax(scores):
    assert_weights_near_float(scores)


@pytest.mark.parametrize("keys", [50, 197])
@pytest.mark.parametrize("spread", [64, 256, 1024])
def test_weights_of_usual_rows_against_float_softmax(keys, spread):
    assert_weights_near_float(np.random.default_rng(keys).normal(0, spread, (400, keys)).astype(np.int16))
