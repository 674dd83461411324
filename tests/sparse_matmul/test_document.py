# SPDX-License-Identifier: Apache-2.0
"""Cycles that were recorded for docs/sparse_matmul.md are those of the designs that the generator chooses now."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vitforge.boards import load_board
from vitforge.design.sparse_matmul_fit import fit_sparse_matmul
from vitforge.timing.sparse_matmul_estimate import estimate_sparse_matmul

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
_FILE = BENCHMARKS / "results" / "sparse_matmul_cycles.json"
RECORDED = {row["board"]: row for row in json.loads(_FILE.read_text())["boards"]}


def benchmark() -> ModuleType:
    """The program that recorded them; benchmarks/ is no package."""
    spec = importlib.util.spec_from_file_location("sparse_matmul_cycles", BENCHMARKS / "sparse_matmul_cycles.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("board", RECORDED)
def test_recorded_arrays_and_estimates_are_those_of_today(board: str) -> None:
    """Else run python benchmarks/sparse_matmul_cycles.py --record and python benchmarks/documents.py."""
    recorded, fitted = RECORDED[board], fit_sparse_matmul(load_board(board))
    for name in ("tt", "tc", "tk", "block_rows", "macs_per_cycle"):
        assert recorded[name] == getattr(fitted.design, name)
    for name in ("dsp", "lut", "bram36", "uram"):
        assert recorded[name] == getattr(fitted.resources, name)
    cases = estimate_sparse_matmul(fitted.design).cases
    assert [row["matrix"] for row in recorded["rows"]] == list(cases)
    for row in recorded["rows"]:
        case: Any = cases[row["matrix"]]
        assert (row["cycles_estimated"], row["ddr_bytes"]) == (case.cycles, case.ddr_bytes)


def test_recorded_cycles_are_those_of_the_kernel() -> None:
    """Else run python benchmarks/sparse_matmul_cycles.py --record and python benchmarks/documents.py."""
    found = benchmark().measure("pynq-z2", kept=(0.25,))["rows"]
    recorded = {row["matrix"]: row for row in RECORDED["pynq-z2"]["rows"]}
    assert found == [recorded[row["matrix"]] for row in found]


def test_the_closed_form_is_within_its_limit() -> None:
    assert benchmark().failures(list(RECORDED.values())) == []
    wrong = {"board": "b", "rows": [{"matrix": "dense", "cycles": 100, "cycles_estimated": 104}]}
    assert benchmark().failures([wrong]) == ["b, dense: estimated 104, simulated 100"]


def test_pruning_and_two_of_four_pay_in_proportion_on_zcu104() -> None:
    rows = {row["matrix"]: row for row in RECORDED["zcu104"]["rows"]}
    assert all(row["cycles"] < 1.03 * row["ideal_cycles"] for row in rows.values() if row["limited_by"] != "rows")
    assert [name for name, row in rows.items() if row["limited_by"] == "rows"] == ["structured_25_two_of_four"]
