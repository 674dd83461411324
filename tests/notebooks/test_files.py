# SPDX-License-Identifier: Apache-2.0
"""The notebooks as files: valid, the same bytes every time, without outputs, and in good Python."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest

from notebooks.support import notebook_path
from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.codegen.a3_notebook_data import misfit
from vitforge.codegen.notebook import notebook
from vitforge.codegen.vit_notebook import image_count
from vitforge.config import ProjectConfig
from vitforge.design.a3 import A3Design
from vitforge.design.a3_numbers import A3Numbers
from vitforge.model.samples import project_samples
from vitforge.model.shipped import shipped_model
from vitforge.model.vit import ViTShape

ROOT = Path(__file__).parents[2]
MARKDOWN = """# Title

```python first
a = "ä"

b = 2
```

```python second
print(a)
```

The end, with `code` and

```sh
ls
```
"""


@pytest.fixture(params=["vit_project", "a3_project", "matmul_project"])
def project(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_cells_and_their_ids() -> None:
    content = nbformat.reads(notebook(MARKDOWN).decode(), as_version=4)
    nbformat.validate(content)
    assert [(cell.id, cell.cell_type) for cell in content.cells] == [
        ("first-text", "markdown"),
        ("first", "code"),
        ("second", "code"),
        ("end-text", "markdown"),
    ]
    assert content.cells[1].source == 'a = "ä"\n\nb = 2'
    assert content.cells[3].source.endswith("```sh\nls\n```")


def test_valid_without_outputs_and_with_distinct_ids(project: Path) -> None:
    content = json.loads(notebook_path(project).read_text())
    nbformat.validate(content)
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)
    assert ids[:4] == ["where-text", "where", "setup-text", "setup"]


def test_the_location_is_one_line_of_the_first_code_cell(project: Path) -> None:
    content = json.loads(notebook_path(project).read_text())
    (where,) = (cell for cell in content["cells"] if cell["id"] == "where")
    assert 'PROJECT = Path("../..")\n' in where["source"]
    others = [line for cell in content["cells"] if cell["id"] != "where" for line in cell["source"]]
    assert not any("../" in line for line in others)


def test_code_passes_the_linter_of_the_project(project: Path) -> None:
    path = notebook_path(project)
    for command in (["check", "--no-cache", "--extend-ignore", "B905,E402"], ["format", "--check", "--no-cache"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    for output in (first, second):
        generate_a3(board=load_board("zcu104"), output=output, config=ProjectConfig(kernel="a3"))
    files = sorted(path.relative_to(first) for path in (first / "host" / "notebooks").iterdir())
    assert [path.suffix for path in files] == [".ipynb", ".npz"]
    for path in files:
        assert (first / path).read_bytes() == (second / path).read_bytes()


def test_data_are_small_and_need_no_pickle(project: Path) -> None:
    for path in (project / "host" / "notebooks").glob("*.npz"):
        assert path.stat().st_size < 200_000
        with np.load(path, allow_pickle=False) as content:
            assert all(content[name].size for name in content.files)


def test_numbers_that_do_not_fit_the_network_are_told_before_it_runs() -> None:
    design = A3Design(name="one", board=load_board("zcu104"), clock_mhz=300.0)
    assert misfit(design) == ""
    assert "larger than 1.9375, the largest" in misfit(replace(design, numbers=A3Numbers(integer_bits=1)))


@pytest.mark.parametrize(("macs", "images"), [(1, 12), (50_000_000, 10), (17_000_000_000, 5)])
def test_large_models_carry_fewer_images(macs: int, images: int) -> None:
    assert image_count(macs) == images


def test_what_is_said_about_the_images() -> None:
    shape = shipped_model().shape
    digits = project_samples(shape, shipped_model().labels, 12, 5)
    assert "digits" in digits.what
    assert digits.truth is not None
    assert len(digits.images) == len(digits.truth) == 12
    letters = project_samples(shape, tuple("abcdefghij"), 12, 5)
    assert letters.truth is None
    small = ViTShape(
        image_size=(8, 8), patch_size=4, channels=1, embed_dim=16, depth=1, num_heads=2, hidden_dim=32, num_classes=3
    )
    assert "drawn at random" in project_samples(small, ("a", "b", "c"), 5, 5).what
