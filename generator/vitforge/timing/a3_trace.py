# SPDX-License-Identifier: Apache-2.0
"""`vitforge trace` of an A3 project: simulated cycles of launches of all rows, and of candidates alone.

Launches of two lengths give the interval of the steady state, one of a single query the latency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.project import A3Project, load_a3_project
from vitforge.design.a3 import LANES, A3Design
from vitforge.design.a3_resources import a3_dsp_rows
from vitforge.design.loops import A3_LOOPS, CALL_CYCLES
from vitforge.errors import ConfigError
from vitforge.timing.a3_report import A3TraceReport, deadlock_facts, fifo_rows, mode_facts, short_name
from vitforge.timing.a3_simulate import LAUNCH_CYCLES, ROUNDS, Run, Simulator, flushed, solve_launch
from vitforge.timing.blocks import Fifo, with_depths
from vitforge.timing.depths import smallest_depths
from vitforge.timing.recording import Recording
from vitforge.timing.solution import Solution

ROWS, T = 320, 5.0  # by default: the paper's longest key, and its conservative setting with M = n / 2
BASE, APPROX = "base", "approx"
SINGLE = 0  # rounds of a launch of one query
_LOAD = ("load", SINGLE)
_SEED = 20261123
Progress = Callable[[str, int, int], None]  # (what, done, total)
Key = tuple[str, int]  # mode and rounds of a launch


@dataclass(frozen=True)
class Workload:
    """Codes of keys, values and queries with standard deviation 1, and what is asked of them."""

    keys: NDArray[np.int64]
    values: NDArray[np.int64]
    queries: NDArray[np.int64]
    m: int | None
    t: float | None

    @property
    def modes(self) -> tuple[str, ...]:
        return (BASE,) if self.m is None else (BASE, APPROX)

    @property
    def scale(self) -> float:
        return float(self.keys.shape[1] ** -0.5)


@dataclass(frozen=True)
class A3Trace:
    """The longest launch (of candidates alone if there is selection), its FIFO depths, and the report on all."""

    recording: Recording
    capacities: Mapping[str, int | None]
    report: A3TraceReport


def trace_a3(
    directory: Path | str,
    *,
    n: int | None = None,
    d: int | None = None,
    m: int | None = None,
    t: float | None = None,
    depths: Mapping[str, int] | None = None,
    clock_mhz: float | None = None,
    smallest: bool = True,
    progress: Progress | None = None,
) -> A3Trace:
    """Simulated cycles of the A3 project in ``directory``.

    n, d : of the key; by default 320 rows, or as many as fit, and the longest row
    m, t : of the approximate launches; by default those of the project's config, else n / 2 and 5 percent
    depths : FIFO name -> depth, instead of the generated ones
    clock_mhz : instead of the design's
    smallest : also search the smallest depth of each FIFO that costs no cycle

    Raises
    ------
    ConfigError
        If ``directory`` is no A3 project, or an argument is out of range.
    CheckError
        If csim differs from the golden model, or faults.
    ToolError
        If there is no compiler.
    """
    notify = progress or (lambda what, done, total: None)
    project = load_a3_project(directory)
    design = project.design
    clock = design.clock_mhz if clock_mhz is None else design.board.legal_clock(clock_mhz)
    work = _workload(project, n, d, m, t)
    notify("csim", 0, 1)
    simulator = Simulator.of(project)
    runs = _record(simulator, work)
    found = _fifos(simulator, runs)
    capacities = with_depths(found, depths or {})
    notify("solve", 0, 1)
    solved = {key: solve_launch(run.recording, capacities) for key, run in runs.items()}
    facts = _facts(design, work, clock)
    stuck = next((key for key, solution in solved.items() if solution.deadlock is not None), None)
    if stuck is not None:
        facts["deadlock"] = deadlock_facts(flushed(runs[stuck].recording, capacities), solved[stuck], found)
    else:
        by_mode = {mode: _mode(design, mode, runs, solved, found, clock) for mode in work.modes}
        for each in by_mode.values():
            facts |= {name: value for name, value in each.items() if name not in ("busy", "stalls")}
        facts |= {name: {mode: each[name] for mode, each in by_mode.items()} for name in ("busy", "stalls")}
        facts["load_cycles"] = solved[_LOAD].cycles
        least = _smallest(runs, work, capacities, notify) if smallest else {}
        facts["fifos"] = fifo_rows(found, list(solved.values()), least, capacities)
    longest = runs[work.modes[-1], ROUNDS[1]].recording
    return A3Trace(longest, capacities, A3TraceReport(**facts))  # type: ignore[arg-type]


def _facts(design: A3Design, work: Workload, clock: float) -> dict[str, object]:
    """What is known before anything is solved."""
    rows, width = work.keys.shape
    return {
        "n": rows,
        "d": width,
        "m": work.m,
        "t": work.t,
        "units": design.units,
        "queries_at_once": LANES * design.units,
        "clock_mhz": clock,
        "dsp": sum(a3_dsp_rows(design).values()),
        "launch_cycles": LAUNCH_CYCLES,
        "loops": {
            name: {"interval": loop.interval, "depth": loop.depth, "what": loop.what} for name, loop in A3_LOOPS.items()
        },
    }


def _workload(project: A3Project, n: int | None, d: int | None, m: int | None, t: float | None) -> Workload:
    design, chosen = project.design, project.settings
    rows, width = min(design.n_max, ROWS) if n is None else n, design.d_max if d is None else d
    limits = {"n": (rows, design.n_max), "d": (width, design.d_max)}
    if design.approximate:
        m = m if m is not None else chosen.get("m") or max(1, rows // 2)
        t = t if t is not None else chosen.get("t") or T
        limits["m"] = (m, design.m_max)
    elif m is not None:
        raise ConfigError(f"m is {m}, but {design.name} was generated without candidate selection")
    for name, (value, limit) in limits.items():
        if not 1 <= value <= limit:
            raise ConfigError(f"{name} is {value}; {design.name} takes 1 to {limit}")
    if t is not None and not 0 < t <= 100:
        raise ConfigError(f"t is {t}; it must lie in (0, 100] percent")
    rng, one = np.random.default_rng(_SEED), 1 << design.numbers.fraction_bits
    limit = design.numbers.limit
    keys, values, queries = (
        np.clip(np.rint(rng.normal(scale=one, size=(count, width))), -limit, limit).astype(np.int64)
        for count in (rows, rows, LANES * design.units * ROUNDS[1])
    )
    return Workload(keys, values, queries, m, t)


def _record(simulator: Simulator, work: Workload) -> dict[Key, Run]:
    """A load, then launches of one query and of both numbers of rounds in each mode."""
    loaded = simulator.load(work.keys, work.values)
    runs = {}
    for mode in work.modes:
        m, t = (work.m, work.t) if mode == APPROX else (None, None)
        for rounds in (SINGLE, *ROUNDS):
            queries = work.queries[: rounds * LANES * simulator.design.units or 1]
            runs[mode, rounds] = simulator.run(work.keys, work.values, queries, scale=work.scale, m=m, t=t)
    return runs | {_LOAD: Run(loaded, runs[BASE, SINGLE].golden)}


def _fifos(simulator: Simulator, runs: Mapping[Key, Run]) -> list[Fifo]:
    """Of all launches: a load uses other streams than a query."""
    declared: dict[str, int | None] = {}
    for run in runs.values():
        declared |= simulator.capacities(run.recording)
    return [Fifo(short_name(path), path, depth or 0) for path, depth in declared.items()]


def _mode(
    design: A3Design,
    mode: str,
    runs: Mapping[Key, Run],
    solved: Mapping[Key, Solution],
    found: list[Fifo],
    clock: float,
) -> dict[str, object]:
    goldens = (runs[mode, SINGLE].golden, runs[mode, ROUNDS[1]].golden) if mode == APPROX else None
    launches = [solved[mode, rounds] for rounds in (SINGLE, *ROUNDS)]
    return mode_facts(mode, launches, ROUNDS[1] - ROUNDS[0], LANES * design.units, clock, found, goldens)


def _smallest(
    runs: Mapping[Key, Run], work: Workload, capacities: Mapping[str, int | None], notify: Progress
) -> dict[str, int]:
    """The smallest depth of each FIFO with which neither kind of launch takes longer, nor a load."""
    least: dict[str, int] = {}
    keys = [_LOAD, *((mode, ROUNDS[1]) for mode in work.modes)]
    for done, key in enumerate(keys):
        notify("FIFO depths", done, len(keys))
        recording = runs[key].recording
        parts, uses = flushed(recording, capacities), solve_launch(recording, capacities).streams
        used = [path for path in recording.stream_paths if uses[path].tokens]
        found = smallest_depths(parts.recording, parts.timings, parts.capacities, None, CALL_CYCLES, used)
        least |= {path: max(depth, least.get(path, 1)) for path, depth in found.items()}
    return least
