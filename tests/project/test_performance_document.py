# SPDX-License-Identifier: Apache-2.0
"""What README.md, docs/performance.md and docs/a3.md say is what was recorded."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import ProjectConfig
from vitforge.csim.project import load_a3_project
from vitforge.timing.a3_simulate import Simulator

CHECKOUT = Path(__file__).parents[2]
RESULTS = CHECKOUT / "benchmarks" / "results"
MOST_BYTES = 300 * 1024
sys.path.append(str(CHECKOUT / "benchmarks"))  # its programs import each other by name


def load(name: str) -> ModuleType:
    """A program of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_those_of_the_recorded_results() -> None:
    documents = load("documents")
    stale = [path.name for path in documents.DOCUMENTS if documents.filled(path.read_text()) != path.read_text()]
    assert stale == []  # python benchmarks/documents.py


def test_recorded_estimates_are_within_the_limit() -> None:
    rows = json.loads((RESULTS / "estimate_vs_trace.json").read_text())["rows"]
    models = [row for row in rows if row["fits"] and row["model"].startswith("deit")]
    assert {row["model"] for row in models if row["board"] == "zcu104"} == {"deit_tiny", "deit_small", "deit_base"}
    assert all(abs(row["ratio"] - 1) <= 0.03 and row["estimate_seconds"] < 0.1 for row in models)
    assert max(row["memory_mib"] for row in models) < 4096
    for row in models:
        assert all(sum(parts.values()) == pytest.approx(1, abs=1e-3) for parts in row["array_cycles"].values())


def recorded_cycles() -> dict[str, dict[tuple[int, str], dict[str, Any]]]:
    """Design -> (n, setting) -> row of the A3 benchmark."""
    designs = json.loads((RESULTS / "a3_cycles.json").read_text())["designs"]
    return {each["design"]: {(row["n"], row["setting"]): row for row in each["rows"]} for each in designs}


def test_recorded_a3_cycles_are_within_the_papers() -> None:
    recorded = recorded_cycles()
    for (n, setting), row in recorded["deferred"].items():
        fewest_outputs = 8  # a result of 64 elements is as many beats
        assert row["cycles_per_query"] <= max(row["paper_cycles_per_query"], fewest_outputs)
        if setting == "exact":
            assert row["cycles_per_query"] == max((n + n % 2) / 2, fewest_outputs)
    assert recorded["deferred"][320, "exact"]["latency"] <= 3 * 320 + 27
    for setting in ("conservative", "aggressive"):
        assert recorded["deferred"][320, setting]["latency"] <= recorded["deferred"][320, setting]["paper_latency"] + 40


def test_recorded_a3_estimates_are_within_the_limit() -> None:
    designs = json.loads((RESULTS / "a3_cycles.json").read_text())["designs"]
    assert load("a3_cycles").failures(designs) == []


def test_recorded_a3_cycles_are_those_of_the_kernel(tmp_path: Path) -> None:
    """Else run python benchmarks/a3_cycles.py --record and python benchmarks/documents.py."""
    benchmark = load("a3_cycles")
    config = ProjectConfig(kernel="a3", a3=benchmark.DESIGNS["deferred"])
    generate_a3(board=load_board(benchmark.BOARD), output=tmp_path / "a3", config=config)
    simulator = Simulator.of(load_a3_project(tmp_path / "a3"))
    recorded = recorded_cycles()["deferred"]
    for setting in benchmark.SETTINGS:
        assert benchmark.measure(simulator, 50, 64, setting) == recorded[50, setting]


@pytest.mark.parametrize(
    "name", ["performance.png", "performance.svg", "timeline.png", "timeline.svg", "a3.svg", "a3-tune.png"]
)
def test_figures_are_small(name: str) -> None:
    assert 0 < (CHECKOUT / "docs" / "images" / name).stat().st_size < MOST_BYTES
