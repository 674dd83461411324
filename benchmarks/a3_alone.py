# SPDX-License-Identifier: Apache-2.0
"""Simulated latency of queries one by one, beside M + C + 2K + 40 cycles, for many M and T.

n = 320 and d = 64, the largest key that the paper evaluates; C and K are those of each query. The latency goes from the
first beat of the query's packet to the last beat of its result. The paper counts from a register to a register: without
the beats that follow the first one on either port.
Exit code 1 if a query with the paper's settings and the default policy takes longer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from a3_cycles import BOARD, DESIGNS, SEED, codes

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.cli.common import ProgressCallback, print_table, progress_bars
from vitforge.config import ProjectConfig
from vitforge.csim.project import load_a3_project
from vitforge.design.a3 import A3Design
from vitforge.design.geometry import ceil_div
from vitforge.timing.a3_simulate import Simulator

N, D = 320, 64
M = (320, 160, 107, 80, 40, 20)
T = (1.0, 5.0, 10.0, 20.0, 50.0)
PAPER = ((160, 5.0), (40, 10.0))  # conservative, aggressive
QUERIES = 48
ALPHA = 40  # cycles of the pipelines that we aim at; the paper does not state them
POLICIES = ("deferred", "divide_first")
RECORDED = Path(__file__).parent / "results" / "a3_alone.json"
Row = dict[str, Any]


def port_cycles(design: A3Design) -> int:
    """Beats of a query and of its result, after the first one of each."""
    return sum(ceil_div(D, per_beat) - 1 for per_beat in (design.per_beat, design.result_per_beat))


def measure(policy: str, progress: ProgressCallback) -> Iterator[Row]:
    """A row for each M and T."""
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch:
        config = ProjectConfig(kernel="a3", a3=DESIGNS[policy])
        done = generate_a3(board=load_board(BOARD), output=Path(scratch) / "a3", config=config)
        simulator = Simulator.of(load_a3_project(done.directory))
    keys, values, queries = codes(simulator.design, N, D)
    simulator.load(keys, values)
    points = [(m, t) for m in M for t in T]
    for i, (m, t) in enumerate(points):
        progress(policy, i, len(points))
        latencies, spare = [], []
        for query in queries[:QUERIES]:
            run = simulator.run(keys, values, query[None], scale=D**-0.5, m=m, t=t)
            latencies.append(simulator.latency(run.recording))
            passes = m + int(run.golden.candidates[0]) + 2 * int(run.golden.kept[0])
            spare.append(passes + ALPHA - latencies[-1])
        yield {
            "m": m,
            "t": t,
            "latency_mean": round(sum(latencies) / QUERIES, 1),
            "within": sum(cycles >= 0 for cycles in spare),
            "within_registers": sum(cycles + port_cycles(simulator.design) >= 0 for cycles in spare),
            "spare_mean": round(sum(spare) / QUERIES, 1),
            "spare_least": min(spare),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--record", action="store_true", help=f"also put the figures into results/{RECORDED.name}")
    options = parser.parse_args()
    with progress_bars(options.json) as progress:
        found = {policy: list(measure(policy, progress)) for policy in POLICIES}
    text = json.dumps({"board": BOARD, "seed": SEED, "n": N, "d": D, "queries": QUERIES, "policies": found}, indent=1)
    if options.record:
        RECORDED.write_text(text + "\n")
    if options.json:
        print(text)
    else:
        for policy, rows in found.items():
            columns = tuple(rows[0])
            print_table(f"{policy}: {QUERIES} queries, n = {N}", columns, [tuple(row.values()) for row in rows])
    late = [row for row in found["deferred"] if (row["m"], row["t"]) in PAPER and row["within"] < QUERIES]
    for row in late:
        print(f"M = {row['m']}, T = {row['t']:g} %: {row['within']} of {QUERIES} queries are in time", file=sys.stderr)
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()
