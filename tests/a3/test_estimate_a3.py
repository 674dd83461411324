# SPDX-License-Identifier: Apache-2.0
"""The closed form of an A3 design against the simulation of its generated sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import A3Config, ProjectConfig
from vitforge.timing.a3_estimate import a3_cycles
from vitforge.timing.a3_trace import trace_a3

WIDE = A3Config(n_max=64, d_max=16)
FEW = 6  # cycles
NARROW = A3Config(n_max=64, d_max=32, width=8, units=2, normalisation="divide_first")


@pytest.mark.parametrize("sizes", [WIDE, NARROW], ids=["a-word-a-row", "four-words-a-row"])
def test_closed_form_and_simulation_agree(sizes: A3Config, tmp_path: Path) -> None:
    config = ProjectConfig(kernel="a3", a3=sizes)
    design = generate_a3(board=load_board("zcu104"), output=tmp_path / "a3", config=config).fitted.design
    for n, d in ((64, 16), (37, 11)):
        found = trace_a3(tmp_path / "a3", n=n, d=d, m=n // 2, t=10.0, smallest=False).report
        base = a3_cycles(design, n, d)
        assert found.base_interval_cycles == base.interval
        assert found.base_latency_cycles == pytest.approx(base.latency, abs=FEW)
        assert found.candidates is not None and found.kept is not None
        alone = a3_cycles(design, n, d, n // 2, found.candidates, found.kept)
        assert found.approx_latency_cycles == pytest.approx(alone.latency, abs=FEW)
        # Which rows are a candidate of either query is not known here: at least those of one, at most those of both.
        fewest, most = (a3_cycles(design, n, d, n // 2, c, 1).interval for c in (1, n))
        assert found.approx_interval_cycles is not None
        assert 0.95 * fewest <= found.approx_interval_cycles <= 1.05 * most
