# SPDX-License-Identifier: Apache-2.0
"""The settings that are tried, what is known of each, and which one is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import NamedTuple

# Of the rows. The paper's (1, 3/4, 1/2, 1/4, 1/8), steps between them, and below them halves down to one iteration.
SHARES = tuple(Fraction(1, power) * step for power in (1, 2, 4) for step in (1, Fraction(3, 4)))
THRESHOLDS: tuple[float | None, ...] = (None, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)  # [percent] the paper's, less, and none


class Setting(NamedTuple):
    """m : iterations of candidate selection; None takes all rows
    t : threshold of post-scoring in percent; None keeps all candidates
    """

    m: int | None
    t: float | None

    def __str__(self) -> str:
        rows = "all rows" if self.m is None else f"M = {self.m}"
        return f"{rows}, {'no T' if self.t is None else f'T = {self.t:g} %'}"


EXACT = Setting(None, None)


def default_grid(n: int, approximate: bool = True) -> tuple[Setting, ...]:
    """Settings to try for a key of ``n`` rows, `EXACT` first; without candidate selection M is None in all of them."""
    iterations = {int(share * n) for share in SHARES} | {n >> halves for halves in range(3, n.bit_length())}
    tried = [None, *sorted(iterations - {0}, reverse=True)] if approximate else [None]
    return tuple(Setting(m, t) for m in tried for t in THRESHOLDS)


@dataclass(frozen=True, kw_only=True)
class Point:
    """What is known of a setting.

    error, search_error : on the held-out queries, and on those that it was searched with
    candidates, kept : rows of a query that selection, and then post-scoring, left; means over all queries
    cycles_per_query : simulated, in steady state, all units busy
    latency_cycles : simulated, of a query that finds the units idle
    """

    setting: Setting
    error: float
    search_error: float
    candidates: float
    kept: float
    cycles_per_query: float
    latency_cycles: float

    @property
    def worst_error(self) -> float:
        """The larger of both errors."""
        return max(self.error, self.search_error)

    @property
    def cost(self) -> tuple[float, float]:
        """What "cheap" means. T changes how long a query takes, but not how soon the next one can follow: that is up
        to selection and dot products, which come before post-scoring."""
        return self.cycles_per_query, self.latency_cycles

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        facts = asdict(self)
        return {**facts.pop("setting")._asdict(), **facts}


def pareto_front(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points with a smaller held-out error than all that take as few cycles, cheapest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cycles_per_query, point.error, point.latency_cycles)):
        if not front or point.error < front[-1].error:
            front.append(point)
    return tuple(front)


def choose(points: Sequence[Point], tolerance: float) -> tuple[Point | None, tuple[Point, ...]]:
    """The cheapest point inside ``tolerance`` on both parts, and the cheaper ones that only the search part allowed.

    Of points that cost the same, the one with the smallest error on the search part.
    """
    passed_over: list[Point] = []
    for point in sorted(points, key=lambda point: (*point.cost, point.search_error)):
        if point.search_error <= tolerance:
            if point.error <= tolerance:
                return point, tuple(passed_over)
            passed_over.append(point)
    return None, tuple(passed_over)
