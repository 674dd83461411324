# SPDX-License-Identifier: Apache-2.0
"""Generated projects whose csim library is linked, and their notebooks run as a user runs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import ProjectConfig
from vitforge.csim.project import load_a3_project, load_project, load_sparse_matmul_project
from vitforge.deploy.overlay import link_library
from vitforge.generate import generate
from vitforge.sparse_matmul_generate import generate_sparse_matmul

Notebook = Any  # nbformat has no types


def notebook_path(project: Path) -> Path:
    """Of the only one in a project."""
    (path,) = (project / "host" / "notebooks").glob("*.ipynb")
    return path


def run(project: Path, *, probe: str = "", allow_errors: bool = False) -> Notebook:
    """The notebook of a project after all its cells; ``probe`` is a cell that is put before the last one."""
    path = notebook_path(project)
    content = nbformat.read(path, as_version=4)
    content.cells.insert(len(content.cells) - 1, nbformat.v4.new_code_cell(probe, id="probe"))
    environment = {name: value for name, value in os.environ.items() if name != "VITFORGE_SIM"}
    client = NotebookClient(
        content, timeout=120, allow_errors=allow_errors, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env=environment)
    return content


def printed(content: Notebook, cell: str) -> str:
    """What the cell with id ``cell`` wrote to stdout."""
    return "".join(part.text for part in outputs(content, cell) if part.get("name") == "stdout")


def outputs(content: Notebook, cell: str) -> list[Any]:
    (found,) = (one for one in content.cells if one.id == cell)
    return list(found.outputs)


def pictures(content: Notebook) -> list[str]:
    """Ids of the cells that show a PNG, each as often as it does."""
    code = [one for one in content.cells if one.cell_type == "code"]
    return [one.id for one in code for part in one.outputs if "image/png" in part.get("data", {})]


def complaints(content: Notebook) -> list[str]:
    """What came to stderr."""
    code = [one for one in content.cells if one.cell_type == "code"]
    return [part.text for one in code for part in one.outputs if part.get("name") == "stderr"]


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
