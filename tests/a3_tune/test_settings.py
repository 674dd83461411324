# SPDX-License-Identifier: Apache-2.0
"""What is tried, the Pareto front and the choice, on points that nobody simulated."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vitforge.a3_tune import Point, Setting
from vitforge.a3_tune.settings import EXACT, choose, default_grid, pareto_front

LEVELS = st.integers(1, 6).map(lambda level: level / 4)  # few, so that there are ties
POINTS = st.lists(
    st.builds(
        Point,
        setting=st.builds(Setting, st.integers(1, 9), st.none()),
        error=LEVELS,
        search_error=LEVELS,
        candidates=st.just(1.0),
        kept=st.just(1.0),
        cycles_per_query=LEVELS,
        latency_cycles=LEVELS,
    ),
    min_size=1,
)


def test_the_papers_settings_are_tried() -> None:
    grid = default_grid(320)
    assert grid[0] == EXACT
    assert {Setting(m, t) for m in (None, 320, 240, 160, 80, 40) for t in (None, 1, 2.5, 5, 10, 20)} <= set(grid)
    assert len(set(grid)) == len(grid)
    assert all(m is None or 1 <= m <= 320 for m, _ in grid)


def test_every_size_has_a_grid() -> None:
    for n in range(1, 70):
        tried = {m for m, _ in default_grid(n)}
        assert tried >= {None, 1, n}
        assert all(m is None or 1 <= m <= n for m in tried)
    assert {m for m, _ in default_grid(50, approximate=False)} == {None}


@given(POINTS)
def test_front_is_what_nothing_beats(points: list[Point]) -> None:
    front = pareto_front(points)
    for one in points:
        beaten = any(
            other.cycles_per_query <= one.cycles_per_query
            and other.error <= one.error
            and (other.cycles_per_query, other.error) != (one.cycles_per_query, one.error)
            for other in points
        )
        assert beaten != any((p.cycles_per_query, p.error) == (one.cycles_per_query, one.error) for p in front)
    assert list(front) == sorted(front, key=lambda point: point.cycles_per_query)
    assert len({point.cycles_per_query for point in front}) == len(front)


@given(POINTS, LEVELS)
def test_choice_is_the_cheapest_inside_on_both_parts(points: list[Point], tolerance: float) -> None:
    chosen, passed_over = choose(points, tolerance)
    inside = [point for point in points if max(point.error, point.search_error) <= tolerance]
    assert (chosen is None) == (not inside)
    if chosen is not None:
        assert chosen in inside
        assert chosen.cost == min(point.cost for point in inside)
    for point in passed_over:
        assert point.search_error <= tolerance < point.error
        assert chosen is None or point.cost <= chosen.cost


@given(POINTS, LEVELS, LEVELS)
def test_a_wider_tolerance_costs_no_more(points: list[Point], one: float, other: float) -> None:
    tight, wide = (choose(points, tolerance)[0] for tolerance in sorted((one, other)))
    if tight is not None:
        assert wide is not None and wide.cost <= tight.cost


def test_equal_throughput_is_decided_by_latency() -> None:
    known = {"candidates": 1.0, "kept": 1.0, "cycles_per_query": 5.0, "search_error": 0.1, "error": 0.1}
    slow = Point(setting=Setting(4, None), latency_cycles=90.0, **known)
    quick = Point(setting=Setting(4, 5.0), latency_cycles=80.0, **known)
    assert choose([slow, quick], 0.2)[0] == quick
