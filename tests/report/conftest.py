# SPDX-License-Identifier: Apache-2.0
"""Projects without and with reports of the vendor tools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import ProjectConfig

FIXTURES = Path(__file__).parent / "fixtures"
UNIFIED, CLASSIC = "vitis/build/hls/hls/syn/report", "vitis/build/vitis_hls/solution1/syn/report"


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ProjectConfig(kernel="a3")
    return generate_a3(
        board=load_board("zcu104"), output=tmp_path_factory.mktemp("report") / "a3", config=config
    ).directory


@pytest.fixture
def project(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "a3"))


@pytest.fixture
def built(project: Path) -> Path:
    """Whose build left all reports."""
    put(project, UNIFIED, "unified_csynth.xml", "vitforge_a3_csynth.xml")
    put(project, UNIFIED, "unified_module_csynth.xml", "unit_0_csynth.xml")
    put(project, UNIFIED.replace("syn", "sim"), "cosim.rpt", "vitforge_a3_cosim.rpt")
    put(project, "vitis/build/reports", "utilization.rpt")
    put(project, "vitis/build/reports", "timing_summary.rpt")
    return project


def put(project: Path, folder: str, fixture: str, name: str | None = None) -> Path:
    target = project / folder / (name or fixture)
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(FIXTURES / fixture, target))
