# SPDX-License-Identifier: Apache-2.0
"""Simulated cycles of generated sparse_matmul kernels: dense, pruned and 2:4, beside the closed form of `estimate`.

Each board gets the array that `vitforge generate --kernel sparse_matmul` chooses for 1024 inputs and outputs. It is
compiled, and its results are compared with the golden model on the way. Launches of one and three blocks of rows give
the cycles of a block in steady state; DDR, and a DMA engine that moves a beat a cycle, are part of what is simulated.
Exit code 1 if the closed form differs by more than 3 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from vitforge.boards import load_board
from vitforge.cli.common import ProgressCallback, print_table, progress_bars
from vitforge.errors import VitforgeError
from vitforge.sparse_matmul_generate import generate_sparse_matmul
from vitforge.timing.sparse_matmul_cases import KEPT
from vitforge.timing.sparse_matmul_estimate import estimate_sparse_matmul
from vitforge.timing.sparse_matmul_trace import trace_sparse_matmul

BOARDS = ("zcu104", "kv260", "pynq-z2")
DENSE = "dense"
MOST_DIFFERENCE = 0.03
RECORDED = Path(__file__).parent / "results" / "sparse_matmul_cycles.json"
_SIZES = ("tt", "tc", "tk", "td", "block_rows", "k_max", "n_max", "clock_mhz", "macs_per_cycle")
Row = dict[str, Any]


def measure(board: str, kept: tuple[float, ...] = KEPT, progress: ProgressCallback | None = None) -> Row:
    """The design of ``board``, and a row for each kind of matrix."""
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch:
        directory = Path(scratch) / "project"
        fitted = generate_sparse_matmul(board=load_board(board), output=directory).fitted
        found = trace_sparse_matmul(directory, smallest=False, kept=kept, progress=progress)
    if found.report.deadlock is not None:
        raise SystemExit(f"{board}: the generated depths deadlock: {found.report.deadlock}")
    modelled, dense = estimate_sparse_matmul(fitted.design, kept).cases, found.report.cases[DENSE]
    rows = [
        {
            "matrix": name,
            "kept_inputs": case.kept_inputs,
            "kept_outputs": case.kept_outputs,
            "macs": case.macs,
            "ideal_cycles": case.ideal_cycles,
            "cycles": case.cycles,
            "cycles_estimated": modelled[name].cycles,
            "limited_by": modelled[name].limited_by,
            "macs_per_cycle": case.macs_per_cycle,
            "speedup": case.speedup,
            "to_macs": round(case.cycles / dense.cycles / (case.macs / dense.macs), 3),
            "launch_cycles": case.launch_cycles,
            "weight_bytes": modelled[name].weight_bytes,
            "ddr_bytes": modelled[name].ddr_bytes,
        }
        for name, case in found.report.cases.items()
    ]
    sizes = {name: getattr(fitted.design, name) for name in _SIZES}
    used = {name: getattr(fitted.resources, name) for name in ("dsp", "lut", "bram36", "uram")}
    return {"board": board, "title": fitted.design.board.title, **sizes, **used, "rows": rows}


def difference(row: Row) -> float:
    """Of the closed form from the simulation, as a fraction."""
    return float(row["cycles_estimated"] / row["cycles"] - 1)


def failures(boards: list[Row]) -> list[str]:
    """Where the closed form is wrong, in sentences."""
    return [
        f"{board['board']}, {row['matrix']}: estimated {row['cycles_estimated']:,}, simulated {row['cycles']:,}"
        for board in boards
        for row in board["rows"]
        if abs(difference(row)) > MOST_DIFFERENCE
    ]


def show(boards: list[Row]) -> None:
    """Tables on stdout."""
    names = ("matrix", "macs", "cycles", "cycles_estimated", "limited_by", "speedup", "to_macs", "ddr_bytes")
    columns = ("matrix", "products", "cycles", "modelled", "limited by", "times dense", "to products", "DDR bytes")
    for board in boards:
        title = f"{board['title']}, {board['tt']} x {board['tc']} x {board['tk']}, {board['block_rows']} rows"
        print_table(title, columns, [[row[name] for name in names] for row in board["rows"]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--record", action="store_true", help=f"also put the figures into results/{RECORDED.name}")
    parser.add_argument("--boards", nargs="+", choices=BOARDS, default=list(BOARDS), metavar="BOARD")
    options = parser.parse_args()
    if options.record and set(options.boards) != set(BOARDS):
        parser.error("--record takes all boards")
    try:
        with progress_bars(options.json) as progress:
            boards = [measure(name, progress=progress) for name in options.boards]
    except VitforgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    text = json.dumps({"boards": boards}, indent=1)
    if options.record:
        RECORDED.write_text(text + "\n")
    if options.json:
        print(text)
    else:
        show(boards)
    wrong = failures(boards)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
