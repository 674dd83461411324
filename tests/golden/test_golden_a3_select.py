# SPDX-License-Identifier: Apache-2.0
"""Greedy candidate selection: the paper's example, and the definition that the pointer machine must equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vitforge.golden.a3 import candidate_select, select_batch

FIG_6_KEY = np.array([[-0.6, 0.1, 0.8], [0.1, -0.2, -0.9], [0.8, 0.6, 0.7], [0.5, 0.7, 0.5]])
FIG_6_QUERY = np.array([0.8, -0.3, 0.4])
FIG_6_GREEDY = ([-0.48, 0, 0.64, 0], [-0.48, -0.36, 0.64, 0.40], [-0.16, -0.36, 0.64, 0.19])


@pytest.mark.parametrize("m", [1, 2, 3])
def test_the_example_of_fig_6(m: int) -> None:
    greedy, candidates = candidate_select(FIG_6_KEY, FIG_6_QUERY, m)
    assert np.allclose(greedy, FIG_6_GREEDY[m - 1])
    assert candidates.tolist() == [2] if m == 1 else [2, 3]


@pytest.mark.parametrize("m", [1, 2, 3])
def test_the_same_in_integers_exactly(m: int) -> None:
    key, query = np.rint(10 * FIG_6_KEY).astype(int), np.rint(10 * FIG_6_QUERY).astype(int)
    greedy, _ = candidate_select(key, query, m)
    assert greedy.tolist() == [round(100 * value) for value in FIG_6_GREEDY[m - 1]]


def by_definition(key: NDArray, query: NDArray, m: int, skip: bool) -> NDArray:
    """Each iteration looks through all products that are left for the largest and the smallest one."""
    n, d = key.shape
    order = np.argsort(key, axis=0, kind="stable")
    left = {}
    for sign in (1, -1):  # (column, step of the pointer) -> row; the order of ties
        down = sign * query > 0
        left[sign] = {(j, p): int(order[n - 1 - p if down[j] else p, j]) for j in range(d) for p in range(n)}
    greedy, total = np.zeros(n, np.int64), 0
    for _ in range(m):
        for sign in (1, -1):
            if not left[sign] or (sign < 0 and skip and total < 0):
                continue
            place = min(left[sign], key=lambda at: (-sign * key[left[sign][at], at[0]] * query[at[0]], at))
            row = left[sign].pop(place)
            product = int(key[row, place[0]] * query[place[0]])
            if sign * product > 0:
                greedy[row] += product
                total += product
    return greedy


@st.composite
def problems(draw: st.DrawFn) -> tuple[NDArray, NDArray, int]:
    """Small keys full of ties, zeros and extremes."""
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    limit = draw(st.sampled_from([0, 1, 2, 255]))
    code = st.integers(-limit, limit) | st.sampled_from([-limit, 0, limit])
    key = np.array(draw(st.lists(code, min_size=n * d, max_size=n * d))).reshape(n, d)
    query = np.array(draw(st.lists(code, min_size=d, max_size=d)))
    return key, query, draw(st.integers(1, n * d + 3))


@settings(max_examples=300, deadline=None)
@given(problems(), st.booleans())
def test_the_pointer_machine_is_the_definition(problem: tuple[NDArray, NDArray, int], skip: bool) -> None:
    key, query, m = problem
    greedy, candidates = candidate_select(key, query, m, skip=skip)
    expected = by_definition(key, query, m, skip)
    assert greedy.tolist() == expected.tolist()
    positive = np.flatnonzero(expected > 0).tolist()
    assert candidates.tolist() == (positive or [int(np.argmax(expected))])


@settings(max_examples=200, deadline=None)
@given(problems(), st.integers(0, 2**32 - 1))
def test_many_at_once_are_the_same_as_each_alone(problem: tuple[NDArray, NDArray, int], seed: int) -> None:
    key, query, m = problem
    others = np.random.default_rng(seed).permuted(np.tile(query, (4, 1)), axis=1)
    mask = select_batch(key, others, m)
    for row, each in zip(mask, others, strict=True):
        assert np.flatnonzero(row).tolist() == candidate_select(key, each, m).candidates.tolist()


def test_a_large_batch_is_cut_in_parts() -> None:
    rng = np.random.default_rng(1)
    key, queries = rng.integers(-255, 256, (512, 64)), rng.integers(-255, 256, (300, 64))
    mask = select_batch(key, queries, 256)
    for i in (0, 127, 128, 299):
        assert np.flatnonzero(mask[i]).tolist() == candidate_select(key, queries[i], 256).candidates.tolist()


@pytest.mark.parametrize("narrow", [np.int8, np.int16])
def test_narrow_codes_do_not_overflow(narrow: type[np.signedinteger]) -> None:
    rng = np.random.default_rng(2)
    limit = np.iinfo(narrow).max if narrow is np.int8 else 255
    key, queries = rng.integers(-limit, limit + 1, (20, 6)), rng.integers(-limit, limit + 1, (3, 6))
    mask = select_batch(key.astype(narrow), queries.astype(narrow), 9)
    assert mask.tolist() == select_batch(key, queries, 9).tolist()
    for query in queries:
        found = candidate_select(key.astype(narrow), query.astype(narrow), 9)
        assert found.greedy.tolist() == candidate_select(key, query, 9).greedy.tolist()


def test_the_skip_keeps_candidates_that_would_be_lost() -> None:
    key = np.array([[1, -9], [2, -9], [3, -9]])
    query = np.array([1, 1])
    assert candidate_select(key, query, 3, skip=True).greedy.tolist() == [-8, 2, 3]
    assert candidate_select(key, query, 3, skip=False).greedy.tolist() == [-8, -7, -6]


def test_without_a_candidate_the_row_with_the_largest_score_is_kept() -> None:
    key = -np.array([[4, 1], [2, 1], [3, 1], [2, 1]])
    greedy, candidates = candidate_select(key, np.array([1, 1]), 8, skip=False)
    assert greedy.tolist() == [-5, -3, -4, -3]
    assert candidates.tolist() == [1]  # the lowest of two


@pytest.mark.parametrize(("key", "query", "m"), [([[1]], [1], 0), ([1], [1], 1), ([[1, 2]], [1], 1), ([], [], 1)])
def test_what_is_no_problem_is_refused(key: list, query: list, m: int) -> None:
    with pytest.raises(ValueError, match="takes key"):
        candidate_select(np.array(key), np.array(query), m)
