# SPDX-License-Identifier: Apache-2.0
"""What `vitforge a3 tune` found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vitforge.a3_tune.settings import EXACT, Point, choose, pareto_front
from vitforge.design.a3 import A3Design


@dataclass(frozen=True, kw_only=True)
class TuneResult:
    """Every setting that was tried, and the choice.

    points : in the order tried; one of them is the exact pipeline
    searched, held_out : queries of either part
    saturated : elements that did not fit the number format, by name of the array
    elements : of each array
    config, plot : files that were written
    """

    design: A3Design
    n: int
    d: int
    heads: int
    scale: float
    metric: str
    tolerance: float
    searched: int
    held_out: int
    points: tuple[Point, ...]
    saturated: dict[str, int]
    elements: dict[str, int]
    config: Path | None = None
    plot: Path | None = None

    @property
    def chosen(self) -> Point | None:
        """The cheapest setting inside the tolerance on both parts; None if there is none."""
        return choose(self.points, self.tolerance)[0]

    @property
    def passed_over(self) -> tuple[Point, ...]:
        """Cheaper than the choice, and inside the tolerance on the queries searched with, but not on those held out."""
        return choose(self.points, self.tolerance)[1]

    @property
    def exact(self) -> Point:
        """All rows, all kept: what is left of its error is quantisation."""
        return next(point for point in self.points if point.setting == EXACT)

    @property
    def pareto(self) -> tuple[Point, ...]:
        """Simulated cycles against held-out error, cheapest first."""
        return pareto_front(self.points)

    def speedup(self, point: Point) -> float:
        """Throughput as a multiple of that of the exact pipeline, both simulated."""
        return self.exact.cycles_per_query / point.cycles_per_query

    def refusal(self) -> str:
        """Why nothing was chosen, and what would be within reach: one sentence."""
        best = min(self.points, key=lambda point: point.worst_error)
        numbers, name = self.design.numbers, "the exact pipeline" if best.setting == EXACT else str(best.setting)
        return (
            f"no setting keeps the {self.metric} within {self.tolerance:g}: quantisation to {numbers.integer_bits} + "
            f"{numbers.fraction_bits} bits alone gives {self.exact.worst_error:.4g}; try a tolerance of "
            f"{_rounded_up(best.worst_error)}, which {name} keeps, or a design with more fraction_bits"
        )

    def warnings(self) -> Iterator[str]:
        """A sentence about each thing that a user may not expect."""
        numbers = self.design.numbers
        largest = numbers.limit / (1 << numbers.fraction_bits)
        for name, count in self.saturated.items():
            if count:
                yield (
                    f"{count:,} of {self.elements[name]:,} elements of the {name} are beyond +-{largest:g} and were "
                    "saturated; scale them down, or give the design more integer_bits"
                )
        if self.passed_over:
            first = self.passed_over[0]
            others = f" and {len(self.passed_over) - 1} more" * (len(self.passed_over) > 1)
            yield (
                f"{first.setting}{others} would be cheaper, and inside the tolerance on the queries searched with "
                f"({first.search_error:.4g}), but not on those held out ({first.error:.4g})"
            )

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints. m and t of null mean all rows; if nothing was chosen, ``within_tolerance`` is false
        and error, cycles and speedup are null."""
        chosen = self.chosen
        numbers = self.design.numbers
        return {
            "within_tolerance": chosen is not None,
            "m": chosen and chosen.setting.m,
            "t": chosen and chosen.setting.t,
            "error": chosen and chosen.error,
            "search_error": chosen and chosen.search_error,
            "cycles_per_query": chosen and chosen.cycles_per_query,
            "latency_cycles": chosen and chosen.latency_cycles,
            "speedup": chosen and self.speedup(chosen),
            "candidates": chosen and chosen.candidates,
            "kept": chosen and chosen.kept,
            "tolerance": self.tolerance,
            "metric": self.metric,
            "quantisation_error": self.exact.error,
            "n": self.n,
            "d": self.d,
            "heads": self.heads,
            "scale": self.scale,
            "queries_searched": self.searched,
            "queries_held_out": self.held_out,
            "saturated": self.saturated,
            "board": self.design.board.name,
            "units": self.design.units,
            "integer_bits": numbers.integer_bits,
            "fraction_bits": numbers.fraction_bits,
            "normalisation": numbers.policy,
            "exact": self.exact.to_json(),
            "pareto": [point.to_json() for point in self.pareto],
            "points": [point.to_json() for point in self.points],
            "warnings": list(self.warnings()),
            "config": None if self.config is None else str(self.config),
            "plot": None if self.plot is None else str(self.plot),
        }


def _rounded_up(value: float, digits: int = 3) -> str:
    """So that it is no less than ``value``."""
    if value <= 0 or not math.isfinite(value):
        return f"{value:g}"
    step = 10.0 ** (math.floor(math.log10(value)) + 1 - digits)
    return f"{math.ceil(value / step - 1e-9) * step:.{digits}g}"
