# SPDX-License-Identifier: Apache-2.0
"""The integer A3 pipeline against floats, against an implementation one number at a time, and at its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vitforge.design.a3_numbers import POLICIES, A3Numbers
from vitforge.errors import ConfigError
from vitforge.golden.a3 import attend, attend_float, candidate_select
from vitforge.golden.a3.attention import exponent
from vitforge_host.a3_scale import KEEP_ALL, scale_registers, threshold_register
from vitforge_host.errors import InputError

FORMATS = [A3Numbers(integer_bits=i, fraction_bits=f) for i in range(1, 8) for f in range(2, 7) if i + f <= 10]


def codes(rng: np.random.Generator, numbers: A3Numbers, shape: tuple[int, ...], spread: float = 1.0) -> NDArray:
    values = np.floor(rng.normal(scale=spread, size=shape) * 2**numbers.fraction_bits + 0.5)
    return np.clip(values, -numbers.limit, numbers.limit).astype(np.int64)


@pytest.mark.parametrize("numbers", FORMATS, ids=lambda n: f"{n.integer_bits}.{n.fraction_bits}")
def test_every_score_is_within_one_of_the_rounded_exponential(numbers: A3Numbers) -> None:
    u = np.arange(numbers.exp_range)
    one = 1 << numbers.score_bits
    exact = np.minimum(np.floor(one * np.exp(-u / one) + 0.5), numbers.score_limit)
    difference = np.abs(exponent(u, numbers) - exact)
    assert difference.max() <= 1
    beyond = one * math.exp(-numbers.exp_range / one)
    assert beyond < 0.5  # what the tables leave out would round to 0


def test_27_scores_of_2048_differ_in_the_default_format() -> None:
    numbers, u = A3Numbers(), np.arange(2048)
    exact = np.minimum(np.floor(256 * np.exp(-u / 256) + 0.5), 255)
    assert np.count_nonzero(exponent(u, numbers) != exact) == 27


def test_the_formats_are_those_of_the_paper() -> None:
    numbers = A3Numbers(policy="divide_first")
    assert (numbers.limit, numbers.code_bits, numbers.score_bits, numbers.result_fraction) == (255, 9, 8, 12)
    assert (numbers.exp_range, numbers.exp_low_entries, len(numbers.exp_tables[0])) == (2048, 32, 64)


@pytest.mark.parametrize(("t", "expected"), [(5, 6136), (10, 4712), (100, 0), (None, KEEP_ALL)])
def test_the_threshold_in_units_of_the_dot_product(t: float | None, expected: int) -> None:
    assert threshold_register(t, scale_registers(64**-0.5), 4) == expected


@given(st.floats(2.0**-16, 16.0))
def test_the_scale_is_nearest(scale: float) -> None:
    mult, shift = scale_registers(scale)
    assert 1 << 15 <= mult < 1 << 16
    assert abs(mult / 2**shift - scale) <= scale * 2.0**-16


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 17.0, 1e-9])
def test_a_scale_out_of_range_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match="scale is"):
        scale_registers(scale)


@pytest.mark.parametrize("t", [0, -1, 101, math.nan])
def test_a_threshold_out_of_range_is_refused(t: float) -> None:
    with pytest.raises(InputError, match="t is"):
        threshold_register(t, (1 << 15, 15), 4)


@pytest.mark.parametrize("wrong", [{"integer_bits": 0}, {"fraction_bits": 1}, {"integer_bits": 7, "fraction_bits": 4}])
def test_a_format_that_the_kernel_lacks_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="integer bits"):
        A3Numbers(**wrong)  # type: ignore[arg-type]


def one_at_a_time(
    keys: NDArray, values: NDArray, query: NDArray, numbers: A3Numbers, scale: float, m: int | None, t: float | None
) -> tuple[list[int], int, int]:
    """Result, candidates and kept rows of one query, in Python integers."""
    mult, shift = scale_registers(scale)
    threshold = threshold_register(t, (mult, shift), numbers.fraction_bits)
    rows = range(len(keys)) if m is None else candidate_select(keys, query, m).candidates.tolist()
    dots = {row: sum(int(a) * int(b) for a, b in zip(keys[row], query, strict=True)) for row in rows}
    best = max(dots.values())
    kept = [row for row in rows if best - dots[row] <= threshold]
    high, low = numbers.exp_tables
    scores = {}
    for row in kept:
        u = ((best - dots[row]) * mult + (1 << (shift - 1))) >> shift
        product = high[u // len(low)] * low[u % len(low)] if u < numbers.exp_range else 0
        scores[row] = min((product + (1 << (numbers.exp_shift - 1))) >> numbers.exp_shift, numbers.score_limit)
    total = sum(scores.values())
    result = []
    for column in values.T.tolist():
        if numbers.is_deferred:
            weighted, length = sum(scores[row] * column[row] for row in kept), total.bit_length()
            reciprocal, places = (1 << (15 + length)) // total, 15 + length - numbers.result_shift
            result.append((weighted * reciprocal + (1 << (places - 1))) >> places)
        else:
            weights = {row: min((scores[row] << numbers.score_bits) // total, numbers.score_limit) for row in kept}
            result.append(sum(weights[row] * column[row] for row in kept))
    return result, len(rows), len(kept)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMATS), st.sampled_from(POLICIES), st.data())
def test_the_pipeline_is_what_it_says_number_by_number(
    seed: int, numbers: A3Numbers, policy: str, data: st.DataObject
) -> None:
    numbers = A3Numbers(integer_bits=numbers.integer_bits, fraction_bits=numbers.fraction_bits, policy=policy)
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 40)), int(rng.integers(1, 12))
    keys, values, queries = (
        codes(rng, numbers, (rows, d), data.draw(st.sampled_from([0.0, 0.2, 1.0, 200.0]))) for rows in (n, n, 3)
    )
    scale = data.draw(st.sampled_from([1.0, 0.125, 2.0, d**-0.5]))
    m = data.draw(st.none() | st.integers(1, n))
    t = data.draw(st.none() | st.sampled_from([1.0, 5.0, 20.0, 100.0]))
    found = attend(keys, values, queries, numbers=numbers, scale=scale, m=m, t=t)
    for i, query in enumerate(queries):
        result, candidates, kept = one_at_a_time(keys, values, query, numbers, scale, m, t)
        assert found.result[i].tolist() == result
        assert (found.candidates[i], found.kept[i]) == (candidates, kept)


def relative_error(numbers: A3Numbers, n: int, scale: float, spread: float = 1.0) -> float:
    rng = np.random.default_rng(3)
    real = [rng.normal(scale=spread, size=(rows, 64)) for rows in (n, n, 16)]
    real[1] /= spread
    keys, values, queries = (np.clip(np.floor(x * 16 + 0.5), -numbers.limit, numbers.limit).astype(int) for x in real)
    out = attend(keys, values, queries, numbers=numbers, scale=scale).result / 2**numbers.result_fraction
    reference = attend_float(*real, scale)
    return float(np.linalg.norm(out - reference) / np.linalg.norm(reference))


@pytest.mark.parametrize("n", [50, 197, 320])
def test_deferred_division_holds_flat_attention_where_short_weights_do_not(n: int) -> None:
    deferred = relative_error(A3Numbers(), n, 64**-0.5)
    divided = relative_error(A3Numbers(policy="divide_first"), n, 64**-0.5)
    assert deferred < 0.05 < divided
    assert divided > 0.2 or n == 50


def test_equal_rows_give_their_value() -> None:
    numbers = A3Numbers()
    keys, values = np.full((197, 64), 7), np.full((197, 64), -255)
    result = attend(keys, values, np.full((2, 64), 255), numbers=numbers).result
    assert np.abs(result / 2**numbers.result_fraction + 255 / 16).max() < 0.01


def test_a_threshold_of_100_keeps_the_maximum_alone() -> None:
    keys = np.array([[1], [5], [5], [4]])
    found = attend(keys, np.array([[10], [20], [40], [80]]), np.array([[16]]), numbers=A3Numbers(), t=100.0)
    assert found.kept.tolist() == [2]
    assert found.result[0, 0] / 2**11 == pytest.approx((20 + 40) / 2 / 16, rel=1e-3)
