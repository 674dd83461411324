# SPDX-License-Identifier: Apache-2.0
"""Root, reciprocals and requantisation: exact over their range, or at every place where they could be wrong."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitforge.golden import arith

MULTIPLIERS = (1 << 15, (1 << 15) + 1, 40503, 46341, (1 << 16) - 1)


def assert_floor_root(value: np.ndarray) -> None:
    root = arith.isqrt(value)
    assert np.all(root * root <= value)
    assert np.all((root + 1) * (root + 1) > value)


def test_isqrt_is_the_floor_root_of_every_value_to_2_20():
    assert_floor_root(np.arange((1 << 20) + 1))


def test_isqrt_around_perfect_squares_over_the_whole_range():
    rng = np.random.default_rng(1)
    powers = np.array([(1 << k) + d for k in range(2, 31) for d in (-1, 0, 1)])
    roots = np.concatenate([powers, rng.integers(1, 1 << 31, 500_000), np.arange((1 << 31) - 1000, 1 << 31)])
    for offset in (-1, 0, 1):
        assert_floor_root(roots * roots + offset)
    assert np.array_equal(arith.isqrt(roots * roots), roots)
    assert np.array_equal(arith.isqrt(roots * roots - 1), roots - 1)
    assert int(arith.isqrt(1 << 62)) == 1 << 31


@settings(deadline=None, max_examples=500)
@given(st.integers(0, 1 << 62))
def test_isqrt_equals_python(value):
    assert int(arith.isqrt(value)) == math.isqrt(value)


@pytest.mark.parametrize("value", [-1, (1 << 62) + 1])
def test_isqrt_refuses_what_it_cannot_take(value):
    with pytest.raises(OverflowError, match="2\\*\\*62"):
        arith.isqrt(value)


def test_bit_length_at_every_power_of_two():
    values = sorted({max(0, (1 << k) + d) for k in range(63) for d in (-1, 0, 1)})
    assert arith.bit_length(values).tolist() == [v.bit_length() for v in values]


@settings(deadline=None, max_examples=300)
@given(st.integers(0, (1 << 63) - 1))
def test_bit_length_equals_python(value):
    assert int(arith.bit_length(value)) == value.bit_length()


def assert_norm_reciprocal(std: np.ndarray) -> None:
    q, length = arith.norm_reciprocal(std)
    one = np.int64(1) << (length + 16)
    assert np.all((std < np.int64(1) << length) & (std >= np.int64(1) << (length - 1)))
    assert np.all((q >= 1 << 16) & (q < 1 << 17)), "the reciprocal is not 17 bits"
    # Below 1 / std, by less than one unit of the last place.
    assert np.all((q * std < one) & ((q + 1) * std >= one))


def test_norm_reciprocal_of_every_deviation_to_2_20():
    assert_norm_reciprocal(np.arange(1, 1 << 20))


def test_norm_reciprocal_over_the_27_bits_of_the_root():
    # q falls with std inside a bit length, so the ends of each bit length bound the quotient's width.
    ends = np.array([v for e in range(1, 46) for v in (1 << (e - 1), (1 << e) - 1)])
    assert_norm_reciprocal(ends)
    assert_norm_reciprocal(np.random.default_rng(2).integers(1, 1 << 27, 2_000_000))


def test_norm_reciprocal_error_bound():
    std = np.arange(1, 1 << 17)
    q, length = arith.norm_reciprocal(std)
    ratio = np.ldexp(q.astype(float), -(length + 16)) / arith.norm_reciprocal_float(std)
    assert ratio.max() < 1.0
    assert ratio.min() >= 1.0 - 2.0**-16


@pytest.mark.parametrize("mult", MULTIPLIERS)
def test_context_reciprocal_of_every_weight_sum_to_1024_keys(mult):
    total = np.arange(127, 127 * 1024 + 1)
    mq, rq = arith.context_reciprocal(mult, 15, total)
    scaled = np.int64(mult) << (rq - 15)
    assert np.all((mq >= 1 << 15) & (mq < 1 << 17)), "the reciprocal is not 17 bits"
    assert np.all((mq * total <= scaled) & ((mq + 1) * total > scaled))
    ratio = np.ldexp(mq.astype(float), -rq) / arith.context_reciprocal_float(mult, 15, total)
    assert ratio.max() <= 1.0
    assert ratio.min() > 1.0 - 2.0**-15


def test_reciprocals_refuse_zero():
    with pytest.raises(OverflowError, match="at least 1"):
        arith.norm_reciprocal(np.array([5, 0]))
    with pytest.raises(OverflowError, match="at least 1"):
        arith.context_reciprocal(1 << 15, 15, np.array([0]))


@settings(deadline=None, max_examples=500)
@given(st.integers(-(1 << 26), (1 << 26) - 1), st.integers(1 << 15, (1 << 17) - 1), st.integers(1, 40))
def test_requantize_rounds_half_up(acc, mult, shift):
    exact = Fraction(acc * mult, 1 << shift)
    assert int(arith.requantize(acc, mult, shift)) == math.floor(exact + Fraction(1, 2))
    assert float(arith.requantize_float(acc, mult, shift)) == float(exact)


def test_requantize_ties_and_channels():
    acc = np.array([[-3, -1, 1, 3], [-5, 5, 0, 7]])
    mult = np.full(4, 1 << 15)
    assert arith.requantize(acc, mult, np.full(4, 16)).tolist() == [[-1, 0, 1, 2], [-2, 3, 0, 4]]
    assert arith.clamp([-128, -127, 0, 127, 128], 127).tolist() == [-127, -127, 0, 127, 127]


@settings(deadline=None)
@given(st.floats(2.0**-24, 2.0**14))
def test_dyadic_is_the_nearest_16_bit_multiplier(ratio):
    mult, shift = arith.dyadic(ratio)
    assert 1 << 15 <= mult < 1 << 16
    assert abs(math.ldexp(mult, -shift) / ratio - 1.0) <= 2.0**-16


def test_dyadic_carries_into_the_exponent():
    assert arith.dyadic(1.0) == (1 << 15, 15)
    assert arith.dyadic(1.0 - 2.0**-30) == (1 << 15, 15)


@pytest.mark.parametrize("rows", [1, 1031, 1032, 1033, 1200, 4096])
def test_exact_matmul_at_the_edge_of_float32(rows):
    rng = np.random.default_rng(rows)
    left = rng.choice(np.array([-128, 127], dtype=np.int8), (5, rows))
    right = rng.choice(np.array([-127, 127], dtype=np.int8), (rows, 7))
    left[0], right[:, 0] = -128, -127  # the largest sum there is
    left[1], right[:, 1] = 127, 127
    left[1, 0] = 126  # an odd sum: beyond 2**24 float32 would drop its last bit
    expected = left.astype(np.int64) @ right.astype(np.int64)
    assert np.array_equal(arith.exact_matmul(left, right, rows * 128 * 127), expected)


def test_exact_matmul_refuses_what_no_float_holds():
    with pytest.raises(OverflowError, match="2\\*\\*53"):
        arith.exact_matmul(np.ones((1, 1)), np.ones((1, 1)), 1 << 53)
