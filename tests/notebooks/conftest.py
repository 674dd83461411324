# SPDX-License-Identifier: Apache-2.0
"""Generated projects whose csim library is linked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import ProjectConfig
from vitforge.csim.project import load_a3_project, load_project, load_sparse_matmul_project
from vitforge.deploy.overlay import link_library
from vitforge.generate import generate
from vitforge.sparse_matmul_generate import generate_sparse_matmul


@pytest.fixture(scope="session")
def vit_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that ships, on a ZCU104."""
    output: Path = tmp_path_factory.mktemp("notebooks") / "vit"
    generate(board=load_board("zcu104"), output=output)
    link_library(output / "overlay", load_project(output).compile())
    return output


@pytest.fixture(scope="session")
def a3_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An A3 overlay of a ZCU104, everything by default."""
    output: Path = tmp_path_factory.mktemp("notebooks") / "a3"
    generate_a3(board=load_board("zcu104"), output=output)
    link_library(output / "overlay", load_a3_project(output).compile())
    return output


@pytest.fixture(scope="session")
def matmul_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small array on a ZCU104."""
    output: Path = tmp_path_factory.mktemp("notebooks") / "matmul"
    sizes = {"tt": 8, "rows_max": 64, "n_max": 128, "k_max": 128}
    config = ProjectConfig(kernel="sparse_matmul").with_options(sparse_matmul=sizes)
    generate_sparse_matmul(board=load_board("zcu104"), output=output, config=config)
    link_library(output / "overlay", load_sparse_matmul_project(output).compile())
    return output


@pytest.fixture
def copied(vit_project: Path, tmp_path: Path) -> Path:
    """A project to break."""
    shutil.copytree(vit_project, tmp_path / "project")
    return tmp_path / "project"
