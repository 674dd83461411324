# SPDX-License-Identifier: Apache-2.0
"""`tune` keeps its promise on data that is easy and hard, and simulates what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from a3_tune.conftest import Data, N, make_data
from vitforge.a3_tune import Setting, TuneResult, tune
from vitforge.a3_tune.data import split
from vitforge.a3_tune.settings import EXACT
from vitforge.csim.project import load_a3_project
from vitforge.design.a3 import LANES
from vitforge.errors import ConfigError
from vitforge.golden.a3 import attend, attend_float
from vitforge.timing.a3_simulate import Simulator
from vitforge_host.fixed_point import decode, encode

GRID = [Setting(m, t) for m in (None, N // 2, N // 4, 1) for t in (None, 10.0)]
TOLERANCES = (1e-6, 0.02, 0.05, 0.1, 0.3, 1.0, 10.0)


def errors(data: Data, project: Path, setting: Setting, rows: NDArray) -> float:
    """Relative output error of some of the queries, written down once more."""
    numbers = load_a3_project(project).design.numbers
    keys, values, queries = (encode(array, numbers.integer_bits, numbers.fraction_bits)[0] for array in data)
    scale = data.keys.shape[1] ** -0.5
    found = attend(keys, values, queries[rows], numbers=numbers, scale=scale, m=setting.m, t=setting.t)
    expected = attend_float(data.keys, data.values, data.queries[rows], scale)
    outputs = decode(found.result, numbers.result_fraction)
    return float(np.sqrt(((outputs - expected) ** 2).sum() / (expected**2).sum()))


@pytest.fixture(scope="module", params=["peaky", "flat", "shifted"])
def tuned(request: pytest.FixtureRequest, project: Path) -> tuple[Data, TuneResult]:
    data = make_data(request.param, seed=3)
    return data, tune(*data, tolerance=0.1, project=project, grid=GRID)


def test_the_tolerance_holds_on_held_out_queries(tuned: tuple[Data, TuneResult], project: Path) -> None:
    data, result = tuned
    searched, held_out = split(len(data.queries), 0.5, 0)
    assert not set(searched) & set(held_out) and len(searched) + len(held_out) == len(data.queries)
    found = {
        point.setting: [errors(data, project, point.setting, rows) for rows in (searched, held_out)]
        for point in result.points
    }
    assert set(found) == {EXACT, *GRID}
    for tolerance in TOLERANCES:
        chosen = replace(result, tolerance=tolerance).chosen
        inside = {setting for setting, both in found.items() if max(both) <= tolerance}
        assert (chosen is None) == (not inside)
        if chosen is not None:
            assert [chosen.search_error, chosen.error] == pytest.approx(found[chosen.setting])
            # Brute force: nothing on the grid that keeps the tolerance is cheaper.
            costs = {point.setting: point.cost for point in result.points}
            assert costs[chosen.setting] == min(costs[setting] for setting in inside)


def test_cycles_are_what_the_simulator_says(tuned: tuple[Data, TuneResult], project: Path) -> None:
    data, result = tuned
    simulator = Simulator.of(load_a3_project(project))
    numbers = simulator.design.numbers
    codes = [encode(array, numbers.integer_bits, numbers.fraction_bits)[0].astype(np.int64) for array in data]
    simulator.load(*codes[:2])
    for point in result.points[::3]:
        m, t = point.setting
        # Twelve queries are six pairs: one period.
        interval = simulator.steady_interval(*codes, scale=8**-0.5, m=m, t=t)
        assert point.cycles_per_query == pytest.approx(interval / LANES)
    exact = result.exact
    assert exact.cycles_per_query == N / LANES
    assert result.speedup(exact) == 1
    assert (exact.candidates, exact.kept) == (N, N)


def test_less_work_takes_fewer_cycles(tuned: tuple[Data, TuneResult]) -> None:
    points = {point.setting: point for point in tuned[1].points}
    one, quarter, half, full = (points[Setting(m, None)] for m in (1, N // 4, N // 2, None))
    assert one.cycles_per_query < half.cycles_per_query < full.cycles_per_query
    assert one.latency_cycles < quarter.latency_cycles < half.latency_cycles  # with so few rows, all are quick
    assert one.candidates < quarter.candidates < half.candidates < full.candidates
    for m in (None, N // 2):
        assert points[Setting(m, 10.0)].latency_cycles <= points[Setting(m, None)].latency_cycles
        assert points[Setting(m, 10.0)].kept <= points[Setting(m, None)].kept


def test_peaky_attention_tolerates_more_than_flat(project: Path) -> None:
    results = {kind: tune(*make_data(kind), tolerance=0.2, project=project, grid=GRID) for kind in ("peaky", "flat")}
    peaky, flat = (results[kind].chosen for kind in ("peaky", "flat"))
    assert peaky is not None and flat is not None
    assert peaky.cycles_per_query < flat.cycles_per_query
    assert peaky.kept < flat.kept


def test_heads_share_a_setting(project: Path) -> None:
    data = make_data("peaky", count=4)
    one = tune(*data, tolerance=0.3, project=project, grid=GRID[:3])
    two = tune(*(np.stack([array, array]) for array in data), tolerance=0.3, project=project, grid=GRID[:3])
    assert (one.heads, two.heads) == (1, 2)
    for alone, both in zip(one.points, two.points, strict=True):
        assert both.to_json() == pytest.approx(alone.to_json() | {"latency_cycles": both.latency_cycles})


def test_a_metric_of_ones_own(project: Path) -> None:
    seen = []

    def worst(outputs: NDArray, exact: NDArray) -> float:
        seen.append((outputs.shape, exact.shape))
        return float(np.abs(outputs - exact).max())

    data = make_data("flat", count=6)
    result = tune(*data, tolerance=0.5, metric=worst, project=project, grid=GRID[:1], held_out=1 / 3)
    assert set(seen) == {((4, 8), (4, 8)), ((2, 8), (2, 8))}
    assert result.metric == "worst"
    by_head = tune(*(array[None] for array in data), tolerance=0.5, metric=worst, project=project, grid=GRID[:1])
    assert by_head.heads == 1 and seen[-1] == ((1, 3, 8), (1, 3, 8))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (float("nan"), "returned nan; it must return one finite number"),
        (np.zeros(3), "returned an array (3,)"),
        ("0.5", "returned '0.5'"),
        (None, "returned None"),
    ],
)
def test_a_metric_that_returns_no_number(returned: object, message: str, project: Path) -> None:
    with pytest.raises(ConfigError, match="the metric <lambda> ") as refused:
        tune(*make_data("flat"), tolerance=0.5, metric=lambda *_: returned, project=project, grid=GRID[:1])
    assert message in str(refused.value)


def test_same_seed_gives_the_same_result(project: Path) -> None:
    data = make_data("flat", count=6)
    first, second = (tune(*data, tolerance=0.5, project=project, grid=GRID[:2], seed=7) for _ in range(2))
    assert first.to_json() == second.to_json()


def test_settings_of_a_grid_are_checked(project: Path) -> None:
    for setting, message in (((25, None), "m is 25; a3 takes 1 to 24"), ((0, None), "m is 0"), ((5, 0), "t is 0; ")):
        with pytest.raises(ConfigError, match=message):
            tune(*make_data("flat"), tolerance=0.5, project=project, grid=[Setting(*setting)])
