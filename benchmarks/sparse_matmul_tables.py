# SPDX-License-Identifier: Apache-2.0
"""Tables of docs/sparse_matmul.md: recorded figures, and what the sources say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from document_tables import paragraph, percent, table

from vitforge.design.loops import SPARSE_MATMUL_LOOPS

RESULTS = Path(__file__).parent / "results"
README_BOARD, README_MATRIX = "zcu104", "structured_50_two_of_four"
Row = dict[str, Any]


def _boards() -> list[Row]:
    boards: list[Row] = json.loads((RESULTS / "sparse_matmul_cycles.json").read_text())["boards"]
    return boards


def _array(board: Row) -> str:
    return f"{board['tt']} × {board['tc']} × {board['tk']}"


def _matrix(name: str) -> str:
    """ "structured_50_two_of_four" as "50 %, 2:4"."""
    parts = [part for part in (_share(name), "2:4" if name.endswith("two_of_four") else "") if part]
    return ", ".join(parts) or name


def _share(name: str) -> str:
    return f"{name.split('_')[1]} %" if name.startswith("structured") else ""


def sparse_matmul_arrays() -> str:
    """What boards get."""
    columns = ("board", "array", "rows of a block", "products a cycle", "DSP", "BRAM36", "URAM", "LUT", "MHz")
    rows = [
        (
            board["title"],
            _array(board),
            board["block_rows"],
            *(f"{board[name]:,}" for name in ("macs_per_cycle", "dsp", "bram36", "uram", "lut")),
            f"{board['clock_mhz']:g}",
        )
        for board in _boards()
    ]
    return table(columns, rows, 2)


def sparse_matmul_cycles() -> str:
    """Cycles and bytes of a block of rows."""
    columns = (
        *("board", "weights kept", "products", "ideal cycles", "cycles", "times dense", "against products"),
        *("limited by", "DDR bytes", "one block alone"),
    )
    rows = [
        (
            board["title"],
            _matrix(row["matrix"]),
            *(f"{row[name]:,.0f}" for name in ("macs", "ideal_cycles", "cycles")),
            f"{row['speedup']:.2f}",
            f"{row['to_macs']:.2f}",
            row["limited_by"],
            *(f"{row[name]:,}" for name in ("ddr_bytes", "launch_cycles")),
        )
        for board in _boards()
        for row in board["rows"]
    ]
    return table(columns, rows, 2)


def sparse_matmul_estimate() -> str:
    """How far the closed form is from the simulation."""
    rows = [row for board in _boards() for row in board["rows"]]
    worst = max(abs(row["cycles_estimated"] / row["cycles"] - 1) for row in rows)
    exact = sum(row["cycles_estimated"] == row["cycles"] for row in rows)
    return paragraph(
        "`vitforge estimate` has a closed form of these cycles. It equals the simulation in "
        f"{exact} of the {len(rows)} rows, and differs by at most {percent(worst, 1)}."
    )


def sparse_matmul_loops() -> str:
    """The machine model's intervals and depths, from the sources."""
    depths = ", ".join(f"`{name}` {loop.depth}" for name, loop in SPARSE_MATMUL_LOOPS.items())
    slow = ", ".join(f"`{name}` {loop.interval}" for name, loop in SPARSE_MATMUL_LOOPS.items() if loop.interval > 1)
    return paragraph(f"Assumed of the loops: intervals {slow or 'all 1'}; depths {depths}.")


def sparse_matmul_short() -> str:
    """For the README."""
    board = next(board for board in _boards() if board["board"] == README_BOARD)
    rows = {row["matrix"]: row for row in board["rows"]}
    return paragraph(
        f"Simulated on a ZCU104 it makes {rows['dense']['macs_per_cycle']:,.0f} products a cycle of "
        f"{board['macs_per_cycle']:,} possible, and takes a matrix that is pruned to half and 2:4 in "
        f"{rows[README_MATRIX]['speedup']:.2f} times fewer cycles. [docs/sparse_matmul.md](docs/sparse_matmul.md) has "
        "the record format and all figures."
    )


SPARSE_MATMUL_TABLES: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        sparse_matmul_arrays,
        sparse_matmul_cycles,
        sparse_matmul_estimate,
        sparse_matmul_loops,
        sparse_matmul_short,
    )
}
