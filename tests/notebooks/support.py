# SPDX-License-Identifier: Apache-2.0
"""Runs the notebook of a project as a user does, and reads what came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

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
