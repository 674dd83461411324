# SPDX-License-Identifier: Apache-2.0
"""What README.md and docs/performance.md say is what was recorded."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parents[2]
RESULTS = CHECKOUT / "benchmarks" / "results"
MOST_BYTES = 300 * 1024


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


@pytest.mark.parametrize("name", ["performance.png", "performance.svg", "timeline.png", "timeline.svg"])
def test_figures_are_small(name: str) -> None:
    assert 0 < (CHECKOUT / "docs" / "images" / name).stat().st_size < MOST_BYTES
