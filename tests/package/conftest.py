# SPDX-License-Identifier: Apache-2.0
"""Projects, their wheel, and an environment with it: made once a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from package.board import Board, make_projects
from vitforge.deploy.package import PackageResult, package


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_projects(tmp_path_factory.mktemp("projects"))


@pytest.fixture(scope="session")
def packed(projects: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> PackageResult:
    """One wheel of all projects."""
    return package(list(projects.values()), tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def board(packed: PackageResult, tmp_path_factory: pytest.TempPathFactory) -> Board:
    made = Board.make(tmp_path_factory.mktemp("board"))
    made.install(packed.wheel)
    return made
