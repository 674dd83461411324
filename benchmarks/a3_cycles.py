# SPDX-License-Identifier: Apache-2.0
"""Simulated cycles of generated A3 kernels, beside those of the paper and of the closed form of `vitforge estimate`.

Each design is generated for the ZCU104 and compiled, and its results are compared with the golden model on the way.
Steady state: two launches of 12 and 48 pairs of queries a unit; their difference has no start and no end in it.
Latency: a launch of one query, from the first beat of its packet to the last beat of its result. A DMA engine that
moves a beat a cycle is part of what is simulated.
Exit code 1 if the closed form differs by more than 3 % and more than a few cycles.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.cli.common import ProgressCallback, print_table, progress_bars
from vitforge.config import A3Config, ProjectConfig
from vitforge.csim.project import load_a3_project
from vitforge.design.a3 import LANES, A3Design
from vitforge.errors import VitforgeError
from vitforge.timing.a3_estimate import a3_cycles
from vitforge.timing.a3_simulate import Run, Simulator, solve_launch
from vitforge.timing.recording import Recording

BOARD = "zcu104"
ROWS = (20, 50, 186, 197, 320)  # n: the paper's three workloads, its longest story, and DeiT's tokens
SETTINGS: dict[str, tuple[Fraction | None, float | None]] = {  # M of n rows, T
    "exact": (None, None),
    "conservative": (Fraction(1, 2), 5.0),
    "aggressive": (Fraction(1, 8), 10.0),
}
DESIGNS = {  # all of n_max = 512
    "deferred": A3Config(),
    "divide_first": A3Config(normalisation="divide_first"),
    "two_units": A3Config(units=2),
    "exact_only": A3Config(units=7, approximate=False),  # as many as fit
    "d128": A3Config(d_max=128, width=64),
}
PAIRS = (12, 48)  # a unit
SEED = 20261123
MOST_DIFFERENCE, FEW_CYCLES = 0.03, 4
RECORDED = Path(__file__).parent / "results" / "a3_cycles.json"
Row = dict[str, Any]


def codes(design: A3Design, n: int, d: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Keys, values and queries: normal with standard deviation 1, from a seed."""
    rng, limit = np.random.default_rng(SEED), design.numbers.limit
    counts = (n, n, LANES * design.units * PAIRS[1])
    drawn = (rng.normal(scale=1 << design.numbers.fraction_bits, size=(count, d)) for count in counts)
    keys, values, queries = (np.clip(np.rint(part), -limit, limit).astype(np.int64) for part in drawn)
    return keys, values, queries


def measure(simulator: Simulator, n: int, d: int, setting: str) -> Row:
    """Simulated and estimated cycles of one size and setting."""
    design, (share, t) = simulator.design, SETTINGS[setting]
    m = None if share is None else math.floor(share * n)
    keys, values, queries = codes(design, n, d)
    launch = partial(simulator.run, keys, values, scale=d**-0.5, m=m, t=t)
    loaded = simulator.load(keys, values)
    runs = [launch(queries[: pairs * LANES * design.units]) for pairs in PAIRS]
    single = launch(queries[:1])
    short, long = (_cycles(simulator, run.recording) for run in runs)
    interval = (long - short) / (PAIRS[1] - PAIRS[0])
    row: Row = {
        "n": n,
        "setting": setting,
        "m": m,
        "t": t,
        "load": _cycles(simulator, loaded),
        "interval": round(interval, 3),
        "cycles_per_query": round(interval / (LANES * design.units), 3),
        "latency": simulator.latency(single.recording),
    }
    if m is None:
        row |= {"paper_cycles_per_query": n + 9, "paper_latency": 3 * n + 27}
    else:
        row |= _counts(runs[1], single)
        passes = m + row["latency_candidates"] + 2 * row["latency_kept"]
        row |= {"paper_cycles_per_query": m + 5, "paper_latency": passes}
    return row | _estimate(design, d, row)


def _cycles(simulator: Simulator, recording: Recording) -> int:
    solution = solve_launch(recording, simulator.capacities(recording))
    if solution.deadlock is not None:
        raise SystemExit(f"{simulator.name}: the generated depths deadlock: {solution.deadlock}")
    return solution.cycles


def _counts(steady: Run, single: Run) -> Row:
    """Rows that selection and post-scoring leave: means of a query, and of the query alone."""
    return {
        "candidates": _mean(steady.golden.candidates),
        "kept": _mean(steady.golden.kept),
        "latency_candidates": int(single.golden.candidates[0]),
        "latency_kept": int(single.golden.kept[0]),
    }


def _mean(counts: ArrayLike) -> float:
    return round(float(np.mean(counts)), 2)


def _estimate(design: A3Design, d: int, row: Row) -> Row:
    """Of the closed form, which is told how many rows are left."""
    n, m = row["n"], row["m"]
    steady = () if m is None else (row["candidates"], row["kept"])
    alone = () if m is None else (row["latency_candidates"], row["latency_kept"])
    return {
        "interval_estimated": a3_cycles(design, n, d, m, *steady).interval,
        "latency_estimated": a3_cycles(design, n, d, m, *alone).latency,
    }


def measure_design(name: str, progress: ProgressCallback) -> Row:
    """All sizes and settings of a design."""
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch:
        config = ProjectConfig(kernel="a3", a3=DESIGNS[name])
        done = generate_a3(board=load_board(BOARD), output=Path(scratch) / "a3", config=config)
        simulator = Simulator.of(load_a3_project(done.directory))
    design = simulator.design
    settings = SETTINGS if design.approximate else ["exact"]
    points = [(n, design.d_max, setting) for n in ROWS for setting in settings]
    rows: list[Row] = []
    for point in points:
        progress(name, len(rows), len(points))
        rows.append(measure(simulator, *point))
    facts = {key: getattr(design, key) for key in ("n_max", "d_max", "width", "units", "approximate", "clock_mhz")}
    used = {key: getattr(done.fitted.resources, key) for key in ("dsp", "lut")}
    return {"design": name, **facts, **used, "normalisation": design.numbers.policy, "rows": rows}


def differences(designs: list[Row]) -> Row:
    """The largest difference of the closed form from the simulation, as a fraction and in cycles."""
    found: Row = {}
    for what in ("interval", "latency"):
        pairs = [(row[f"{what}_estimated"], row[what]) for design in designs for row in design["rows"]]
        found[f"{what}_fraction"] = round(max(abs(estimated / simulated - 1) for estimated, simulated in pairs), 4)
        found[f"{what}_cycles"] = round(max(abs(estimated - simulated) for estimated, simulated in pairs), 2)
    return found


def failures(designs: list[Row]) -> list[str]:
    """Where the closed form is wrong, in sentences."""
    return [
        f"{design['design']}, n = {row['n']}, {row['setting']}: {what} estimated {row[f'{what}_estimated']}, simulated "
        f"{row[what]:g}"
        for design in designs
        for row in design["rows"]
        for what in ("interval", "latency")
        if abs(row[f"{what}_estimated"] - row[what]) > max(MOST_DIFFERENCE * row[what], FEW_CYCLES)
    ]


def show(designs: list[Row]) -> None:
    """Tables on stdout."""
    columns = (
        *("n", "setting", "M", "interval", "modelled", "per query", "paper", "latency", "modelled", "paper"),
        *("C", "K", "C alone", "K alone"),
    )
    keys = (
        *("interval", "interval_estimated", "cycles_per_query", "paper_cycles_per_query", "latency"),
        *("latency_estimated", "paper_latency", "candidates", "kept", "latency_candidates", "latency_kept"),
    )
    for design in designs:
        heads = [[row["n"], row["setting"], row["m"]] for row in design["rows"]]
        figures = [[_rounded(row.get(key)) for key in keys] for row in design["rows"]]
        lines = [head + rest for head, rest in zip(heads, figures, strict=True)]
        title = f"{design['design']}: units = {design['units']}, width = {design['width']}, d = {design['d_max']}"
        print_table(title, columns, lines)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--record", action="store_true", help=f"also put the figures into results/{RECORDED.name}")
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS), metavar="DESIGN")
    options = parser.parse_args()
    if options.record and set(options.designs) != set(DESIGNS):
        parser.error("--record takes all designs")
    try:
        with progress_bars(options.json) as progress:
            designs = [measure_design(name, progress) for name in options.designs]
    except VitforgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    result = {"board": BOARD, "seed": SEED, "pairs": PAIRS, "differences": differences(designs), "designs": designs}
    text = json.dumps(result, indent=1)
    if options.record:
        RECORDED.write_text(text + "\n")
    if options.json:
        print(text)
    else:
        show(designs)
    wrong = failures(designs)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
