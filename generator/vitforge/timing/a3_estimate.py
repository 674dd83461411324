# SPDX-License-Identifier: Apache-2.0
"""Closed-form cycles of an A3 design, stage by stage of a unit; `vitforge trace` simulates them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vitforge.design.a3 import GROUP, LANES, QUEUE, A3Design
from vitforge.design.geometry import ceil_div
from vitforge.design.loops import A3_LOOPS, CALL_CYCLES
from vitforge.errors import ConfigError

# Loops that a query passes one after the other, in parts between which it waits for something.
_ARRIVAL = ("feed_beat", "receive_beat", "distribute_beat")
_SELECTION = ("select_step", "scan_cycle", "pick_row")
_SCORES = ("dot_word", "collect_row", "post_score_group")
_DEPARTURE = ("normalise_beat", "join_beat", "send_beat", "drain_beat")
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
    candidates : rows that are a candidate: of either query of a pair for the interval, of the query for the latency;
        by default the most there can be, min(n, 2 m) and min(n, m)
    kept : rows that post-scoring leaves, of the query that keeps more; by default the most there can be

    Processes take pair after pair without a pause, so that the longest one alone counts in steady state. Of pairs that
    differ, give the means.
    Raises ConfigError for what the design cannot hold.
    """
    _check(design, n, d, m)
    most = n if m is None else min(n, m)
    rows = most if candidates is None else candidates
    kept = min(rows, most) if kept is None else kept
    of_pair = min(n, LANES * most) if candidates is None else candidates
    stages = _stages(design, n, d, m, of_pair, kept)
    return A3Cycles(
        n=n,
        d=d,
        m=m,
        stages=stages,
        interval=max(stages.values()),
        latency=_latency(design, n, d, m, rows, kept),
        queries_at_once=LANES * design.units,
        clock_mhz=design.clock_mhz,
    )


def _stages(design: A3Design, n: int, d: int, m: int | None, rows: int, kept: int) -> dict[str, int]:
    """Cycles of each, of a pair."""
    words, beats = ceil_div(d, design.width), ceil_div(d, design.per_beat)
    stages = {"input": LANES * beats * design.units}
    if m is not None:
        stages["selection"] = beats + _SEED_OVERHEAD + m
        stages["scan"] = _scan_period(n, m)
        rows += _END_ROWS
    stages["dot"] = rows * words
    stages["exponent"] = max(ceil_div(rows, GROUP), ceil_div(kept, design.exp_rows))
    if not design.numbers.is_deferred:
        stages["division"] = kept
    stages["output"] = kept * words
    stages["results"] = LANES * ceil_div(d, design.result_per_beat) * design.units
    return stages


def _scan_cycles(n: int) -> int:
    return ceil_div(n, GROUP) + _SCAN_OVERHEAD


def _scan_period(n: int, m: int) -> int:
    """A pair's scores are added up while those of the pair before are scanned; then the memories rest."""
    return max(m, _scan_cycles(n)) + QUEUE


def _latency(design: A3Design, n: int, d: int, m: int | None, rows: int, kept: int) -> int:
    """Of a query alone, from one event to the next: its last beat is with the unit; its dot products begin; its last
    one goes to the exponent; its first result goes to the normalisation; its last one is with the host. The launch ends
    when the counts of all units are read, one after the other."""
    words, beats = ceil_div(d, design.width), ceil_div(d, design.per_beat)
    arrived = CALL_CYCLES + beats - 1 + _depths(*_ARRIVAL)
    arrived += _depths("spread_beat") if design.units > 1 else 0
    if m is None:
        begins, cycles = arrived + _depths("gather_beat"), (rows - 1) * words
    else:
        begins = arrived + 1 + _SEED_OVERHEAD + _scan_period(n, m) + _depths(*_SELECTION)
        cycles = max((rows + _END_ROWS) * words, _scan_cycles(n)) - 1
    scored = begins + cycles + _depths(*_SCORES)
    results = _first_result(design, scored, words, ceil_div(rows, GROUP), kept)
    last = results + ceil_div(d, design.result_per_beat) - 1 + _depths(*_DEPARTURE)
    return last + design.units - 1 + CALL_CYCLES


def _first_result(design: A3Design, scored: int, words: int, groups: int, kept: int) -> int:
    """When the weighted sum of the rows is known, and what it is divided by: all scores have to be added up for that.

    scored : when the exponent gets its first dot product
    """
    taken = max(ceil_div(kept, design.exp_rows), groups) - 1
    summed = scored + taken + _depths("exponent_row")
    if not design.numbers.is_deferred:
        return summed + (kept - 1) * words + _depths("weigh_row", "output_word")
    added = scored + max((kept - 1) * words, taken) + _depths("exponent_row", "output_word")
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
