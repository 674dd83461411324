# SPDX-License-Identifier: Apache-2.0
"""Closed-form cycles of an A3 design, stage by stage of a unit; `vitforge trace` simulates them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil

from vitforge.design.a3 import GROUP, LANES, PORTS, A3Design
from vitforge.design.geometry import ceil_div
from vitforge.design.loops import A3_LOOPS
from vitforge.errors import ConfigError

# Loops that a query passes one after the other, in parts between which it waits for something.
_ARRIVAL = "receive_beat"
_SELECTION = ("select_step", "track_cycle")
_SCORES = ("dot_word", "collect_rows", "post_score_group")
_DEPARTURE = ("normalise_beat", "send_beat")
_SEED = 1  # cycles of selection before its first iteration


@dataclass(frozen=True, kw_only=True)
class A3Cycles:
    """Cycles of a pair of queries, which a unit selects candidates for at a time.

    stages : of each stage, a pair; the units share the streams, whose cycles are those of a pair for every unit
    interval : between two pairs of a unit in steady state
    latency : of a query that finds the units empty, from its first beat at the kernel to the last one of its result
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
    candidates: float | None = None,
    kept: float | None = None,
) -> A3Cycles:
    """Cycles of ``design`` for keys and values (n, d).

    m : iterations of candidate selection; None takes all rows
    candidates : rows of a query that selection leaves; by default the most there can be, min(n, m). Those that are
        multiplied are more: the ones that iterations meet, which are taken to lie anywhere in the key
    kept : rows of a query that post-scoring leaves; by default all candidates

    Processes take query after query without a pause, so that the longest one alone counts in steady state. Of queries
    that differ, give the means.
    Raises ConfigError for what the design cannot hold.
    """
    _check(design, n, d, m)
    rows = float(n) if m is None else min(n, m) if candidates is None else candidates
    kept = rows if kept is None else min(kept, rows)
    turns = ceil_div(n, PORTS) if m is None else _turns(max(rows, _rows_met(n, m)))
    words = ceil(kept / PORTS)
    stages = _stages(design, n, d, m, turns, words)
    return A3Cycles(
        n=n,
        d=d,
        m=m,
        stages=stages,
        interval=max(stages.values()),
        latency=_latency(design, n, d, m, turns, words),
        queries_at_once=LANES * design.units,
        clock_mhz=design.clock_mhz,
    )


def _rows_met(n: int, m: int) -> float:
    """Expected rows of ``n`` that ``m`` iterations meet."""
    return n * (1 - (1 - 1 / n) ** m)


def _turns(rows: float) -> int:
    """Cycles of ``rows`` rows, two of which share one, and of the end of a query, which comes with an odd one."""
    return int(rows / PORTS) + 1


def _stages(design: A3Design, n: int, d: int, m: int | None, turns: int, kept_words: int) -> dict[str, int]:
    """Cycles of each, of a pair; ``turns`` of the dot product and words of scores are those of one query."""
    words, beats = ceil_div(d, design.width), ceil_div(d, design.per_beat)
    stages = {"input": LANES * beats * design.units}
    if m is not None:
        stages["selection"] = beats + _SEED + m
    stages["dot"] = LANES * turns * words
    stages["exponent"] = LANES * max(ceil_div(PORTS * turns, GROUP), kept_words)
    if not design.numbers.is_deferred:
        stages["division"] = LANES * kept_words
    stages["output"] = LANES * kept_words * words
    stages["results"] = LANES * ceil_div(d, design.result_per_beat) * design.units
    return stages


def _latency(design: A3Design, n: int, d: int, m: int | None, turns: int, kept_words: int) -> int:
    """Of a query alone, from its first beat to the last one of its result, from one event to the next: its last beat is
    with the unit; its dot products begin; its last one is known; its first result goes to the normalisation; its last
    one leaves."""
    words, beats = ceil_div(d, design.width), ceil_div(d, design.per_beat)
    arrived = beats - 1 + _depths(_ARRIVAL)
    if m is None:
        begins, ends = arrived + _depths("gather_beat"), 0
    else:
        # The first row is met in the first iteration, the end of the query comes with the last one.
        begins = arrived + 1 + _SEED + _depths(*_SELECTION)
        ends = begins + m + words - 1
    scored = max(ends, begins + turns * words) - 1 + _depths(*_SCORES)
    if design.approximate:
        scored += _depths("filter_group")
    results = _first_result(design, scored, words, ceil_div(PORTS * turns, GROUP), kept_words)
    return results + ceil_div(d, design.result_per_beat) - 1 + _depths(*_DEPARTURE)


def _first_result(design: A3Design, scored: int, words: int, groups: int, kept_words: int) -> int:
    """When the weighted sum of the rows is known, and what it is divided by: all scores have to be added up for that.

    scored : when the exponent gets its first dot products
    """
    taken = max(kept_words, groups) - 1
    summed = scored + taken + _depths("exponent_rows")
    if not design.numbers.is_deferred:
        return summed + (kept_words - 1) * words + _depths("weigh_rows", "output_word")
    added = scored + max((kept_words - 1) * words, taken) + _depths("exponent_rows", "output_word")
    return max(summed + _depths("invert_query"), added)


def _depths(*loops: str) -> int:
    return sum(A3_LOOPS[name].depth for name in loops)


def _check(design: A3Design, n: int, d: int, m: int | None) -> None:
    limits = {"n": (n, design.n_max), "d": (d, design.d_max)}
    if m is not None and not design.approximate:
        raise ConfigError(f"m is {m}, but the design {design.name} was generated without candidate selection")
    if m is not None:
        limits["m"] = (m, design.m_max)
    for name, (value, limit) in limits.items():
        if not 1 <= value <= limit:
            raise ConfigError(f"{name} is {value}; the design {design.name} takes 1 to {limit}")
