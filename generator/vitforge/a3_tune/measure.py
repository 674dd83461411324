# SPDX-License-Identifier: Apache-2.0
"""What every setting gives on the data: errors by the golden model, cycles by the simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vitforge.a3_tune.data import Arrays
from vitforge.a3_tune.metric import Metric
from vitforge.a3_tune.settings import Point, Setting
from vitforge.design.a3 import LANES
from vitforge.design.a3_numbers import A3Numbers
from vitforge.design.geometry import ceil_div
from vitforge.errors import ConfigError
from vitforge.golden.a3 import attend, attend_float
from vitforge.golden.arith import Float64, Int64
from vitforge.timing.a3_simulate import ROUNDS, Simulator
from vitforge_host.fixed_point import decode, encode

WINDOWS = 4  # stretches of the queries whose steady state is simulated, over all heads; at least one a head
SINGLES = 4  # queries that are simulated alone, over all heads; at least one a head
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Codes of keys and values (H, n, d) and queries (H, b, d), and what their attention should be.

    reference : (H, b, d) exact attention of the real numbers that the user gave
    searched, held_out : rows of the queries
    saturated : elements that did not fit the codes, by name of the array
    """

    keys: Int64
    values: Int64
    queries: Int64
    reference: Float64
    has_heads: bool
    searched: NDArray[np.intp]
    held_out: NDArray[np.intp]
    numbers: A3Numbers
    scale: float
    metric: Metric
    saturated: dict[str, int]

    def error(self, outputs: Float64, part: NDArray[np.intp]) -> float:
        """Of outputs (H, b, d) on the queries of ``part``."""
        found, expected = outputs[:, part], self.reference[:, part]
        return self.metric(found, expected) if self.has_heads else self.metric(found[0], expected[0])


class Quality(NamedTuple):
    """Of a setting; fields as in `Point`."""

    error: float
    search_error: float
    candidates: float
    kept: float


class Cost(NamedTuple):
    """Of a setting; fields as in `Point`."""

    cycles_per_query: float
    latency_cycles: float


def make_problem(
    arrays: Arrays,
    parts: tuple[NDArray[np.intp], NDArray[np.intp]],
    *,
    numbers: A3Numbers,
    scale: float,
    metric: Metric,
) -> Problem:
    """``arrays`` in the formats of ``numbers``; ``parts`` are the rows searched with and held out.

    Raises ConfigError if the numbers are so large that their attention is not finite.
    """
    codes, saturated = {}, {}
    for name in ("keys", "values", "queries"):
        found, count = encode(getattr(arrays, name), numbers.integer_bits, numbers.fraction_bits, name)
        codes[name], saturated[name] = found.astype(np.int64), count
    heads = zip(arrays.keys, arrays.values, arrays.queries, strict=True)
    with np.errstate(over="ignore", invalid="ignore"):
        reference = np.stack([attend_float(*head, scale) for head in heads])
    if not np.isfinite(reference).all():
        raise ConfigError("the attention of these keys, values and queries is not finite; scale them down")
    return Problem(
        **codes,
        reference=reference,
        has_heads=arrays.has_heads,
        searched=parts[0],
        held_out=parts[1],
        numbers=numbers,
        scale=scale,
        metric=metric,
        saturated=saturated,
    )


def measure(problem: Problem, settings: Sequence[Setting], simulator: Simulator, notify: Progress) -> tuple[Point, ...]:
    """A point for each of ``settings``.

    Raises ConfigError if the metric fails, CheckError if csim differs from the golden model.
    """
    qualities = []
    for done, setting in enumerate(settings):
        notify("errors", done, len(settings))
        qualities.append(quality(problem, setting))
    costs = simulate(problem, settings, simulator, notify)
    pairs = zip(settings, qualities, costs, strict=True)
    return tuple(Point(setting=setting, **good._asdict(), **cost._asdict()) for setting, good, cost in pairs)


def quality(problem: Problem, setting: Setting) -> Quality:
    """Errors of the integer pipeline, which is what the kernel computes bit for bit, against exact attention."""
    heads = [
        attend(*head, numbers=problem.numbers, scale=problem.scale, m=setting.m, t=setting.t)
        for head in zip(problem.keys, problem.values, problem.queries, strict=True)
    ]
    outputs = np.stack([decode(head.result, problem.numbers.result_fraction) for head in heads])
    return Quality(
        error=problem.error(outputs, problem.held_out),
        search_error=problem.error(outputs, problem.searched),
        candidates=float(np.mean([head.candidates for head in heads])),
        kept=float(np.mean([head.kept for head in heads])),
    )


def simulate(problem: Problem, settings: Sequence[Setting], simulator: Simulator, notify: Progress) -> list[Cost]:
    """Cycles of each setting, a mean over heads, and over stretches of the queries in the order they were given."""
    heads = len(problem.keys)
    costs = np.zeros((heads, len(settings), len(Cost._fields)))
    for head, (keys, values, queries) in enumerate(zip(problem.keys, problem.values, problem.queries, strict=True)):
        simulator.load(keys, values)
        data = (keys, values, queries)
        for index, (m, t) in enumerate(settings):
            notify("simulated cycles", head * len(settings) + index, heads * len(settings))
            costs[head, index] = _cost(simulator, data, problem.scale, m, t, heads)
    return [Cost(*mean) for mean in costs.mean(axis=0).tolist()]


def _cost(
    simulator: Simulator, data: tuple[Int64, Int64, Int64], scale: float, m: int | None, t: float | None, heads: int
) -> Cost:
    keys, values, queries = data
    at_once, count = LANES * simulator.design.units, len(queries)
    # The simulator takes the difference of two launches. If the longer one repeats the queries of the shorter one,
    # both end alike, and the difference is what just these queries take.
    period = ROUNDS[0] * at_once
    intervals = []
    for start in _spread(count, min(ceil_div(count, period), ceil_div(WINDOWS, heads))):
        stretch = queries[(start + np.arange(period)) % count]
        intervals.append(simulator.steady_interval(keys, values, stretch, scale=scale, m=m, t=t))
    latencies = []
    for start in _spread(count, min(count, ceil_div(SINGLES, heads))):
        run = simulator.run(keys, values, queries[start : start + 1], scale=scale, m=m, t=t)
        latencies.append(simulator.latency(run.recording))
    return Cost(float(np.mean(intervals)) / at_once, float(np.mean(latencies)))


def _spread(count: int, parts: int) -> list[int]:
    """``parts`` starts at equal distances in ``count``."""
    return [part * count // parts for part in range(parts)]
