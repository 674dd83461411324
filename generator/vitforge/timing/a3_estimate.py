# SPDX-License-Identifier: Apache-2.0
"""Closed-form cycles of an A3 design, stage by stage of a unit; `vitforge trace` simulates them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vitforge.design.a3 import GROUP, LANES, A3Design
from vitforge.design.geometry import ceil_div
from vitforge.design.loops import A3_LOOPS
from vitforge.errors import ConfigError

# Loops that a query passes one after the other, each with its depth; and with candidate selection. The reciprocal of a
# deferred division is made beside the output.
_PATH = (
    *("feed_beat", "receive_beat", "spread_beat", "distribute_beat", "gather_beat", "pick_row", "dot_word"),
    *("collect_row", "post_score_group", "exponent_row", "output_word", "normalise_beat", "join_beat", "send_beat"),
    "drain_beat",
)
_SELECTION_PATH = ("select_step", "scan_cycle")
_SEED_OVERHEAD, _SCAN_OVERHEAD = 1, LANES  # cycles that selection and scan take beside what they count
_END_ROWS = 1  # candidates are followed by the end of their pair


@dataclass(frozen=True, kw_only=True)
class A3Cycles:
    """Cycles of a pair of queries, which a unit takes at a time.

    stages : of each stage, a pair; the units share the streams, whose cycles are those of a pair for every unit
    interval : between two pairs of a unit in steady state
    latency : of a query that finds the units empty
    queries_at_once : of all units
    """

    n: int
    d: int
    m: int | None
    stages: dict[str, int]
    interval: int
    latency: int
    queries_at_once: int
    clock_mhz: float

    @property
    def limited_by(self) -> str:
        """The stage that takes longest."""
        return max(self.stages, key=lambda name: self.stages[name])

    @property
    def cycles_per_query(self) -> float:
        """In steady state, with all units busy."""
        return self.interval / self.queries_at_once

    @property
    def queries_per_second(self) -> int:
        """In steady state, with all units busy."""
        return int(self.clock_mhz * 1e6 / self.cycles_per_query)

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            **asdict(self),
            "limited_by": self.limited_by,
            "cycles_per_query": self.cycles_per_query,
            "queries_per_second": self.queries_per_second,
        }


def a3_cycles(
    design: A3Design,
    n: int,
    d: int,
    m: int | None = None,
    candidates: int | None = None,
    kept: int | None = None,
) -> A3Cycles:
    """Cycles of ``design`` for keys and values (n, d).

    m : iterations of candidate selection; None takes all rows
    candidates : rows that are a candidate of either query of a pair; by default the most there can be, min(n, 2 m)
    kept : rows that post-scoring leaves, of the query that keeps more; by default the most there can be

    Processes take pair after pair without a pause, so that the longest one alone counts in steady state.
    Raises ConfigError for what the design cannot hold.
    """
    _check(design, n, d, m)
    words, beats = ceil_div(d, design.width), ceil_div(d, design.per_beat)
    rows = candidates if candidates is not None else n if m is None else min(n, LANES * m)
    last = kept if kept is not None else rows if m is None else min(rows, m)
    stages = {"input": LANES * beats * design.units}
    if m is not None:
        stages["selection"] = beats + _SEED_OVERHEAD + m
        stages["scan"] = ceil_div(n, GROUP) + _SCAN_OVERHEAD
        rows += _END_ROWS
    stages["dot"] = rows * words
    stages["exponent"] = max(ceil_div(rows, GROUP), last)
    if not design.numbers.is_deferred:
        stages["division"] = last
    stages["output"] = last * words
    stages["results"] = LANES * ceil_div(d, design.result_per_beat) * design.units
    return A3Cycles(
        n=n,
        d=d,
        m=m,
        stages=stages,
        interval=max(stages.values()),
        latency=_latency(design, stages),
        queries_at_once=LANES * design.units,
        clock_mhz=design.clock_mhz,
    )


def _latency(design: A3Design, stages: dict[str, int]) -> int:
    """Of a query alone: its dot products start with the first candidate, its output with the first score."""
    path = [*_PATH, *(_SELECTION_PATH if "selection" in stages else ())]
    if not design.numbers.is_deferred:
        path.append("weigh_row")
    beats = (stages["input"] + stages["results"]) // (LANES * design.units)
    front = stages.get("selection", 0) + max(stages.get("scan", 0), stages["dot"])
    back = stages.get("division", 0) + max(stages["exponent"], stages["output"])
    return beats + front + back + sum(A3_LOOPS[name].depth for name in path)


def _check(design: A3Design, n: int, d: int, m: int | None) -> None:
    limits = {"n": (n, design.n_max), "d": (d, design.d_max)}
    if m is not None and not design.approximate:
        raise ConfigError(f"m is {m}, but the design {design.name} was generated without candidate selection")
    if m is not None:
        limits["m"] = (m, design.m_max)
    for name, (value, limit) in limits.items():
        if not 1 <= value <= limit:
            raise ConfigError(f"{name} is {value}; the design {design.name} takes 1 to {limit}")
