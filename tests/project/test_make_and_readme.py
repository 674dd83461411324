# SPDX-License-Identifier: Apache-2.0
"""Make targets, CI script and documents: what they name exists."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from project.command import parse
from vitforge.doctor import PACKAGES

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *CHECKOUT.glob("docs/**/*.md")])


def dry_run(*targets: str) -> str:
    """What make would do in a fresh clone."""
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", *targets]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("demo", ".venv/bin/vitforge demo"),
        ("test", ".venv/bin/pytest"),
        ("lint", ".venv/bin/mypy"),
        ("docs", "sphinx-build"),
    ],
)
def test_targets_set_up_their_own_environment(target: str, runs: str) -> None:
    lines = dry_run(target).splitlines()
    install = next(i for i, line in enumerate(lines) if "pip install" in line)
    assert "'.[sim,test]'" in lines[install]
    assert any(runs in line for line in lines[install:])


def test_an_old_python_is_refused_with_the_cure(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "setup.py").touch()
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\nexec python3 -c "import sys; sys.version_info = (3, 8); exec(sys.argv[1])" "$2"\n')
    old.chmod(0o755)
    result = subprocess.run(
        ["make", "demo", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "vitforge needs Python 3.10 or newer: make PYTHON=python3.11" in result.stderr


def test_ci_runs_lint_docs_and_test() -> None:
    script = CHECKOUT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert re.findall(r"make --no-print-directory (\w+)", script.read_text()) == ["lint", "docs", "test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_references_say_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("reference", CHECKOUT / "docs" / "reference.py")
    assert spec is not None and spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert reference.stale() == []  # python docs/reference.py


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menus = re.findall(r"```{toctree}\n(?::.*\n)*\n([^`]*)```", (CHECKOUT / "docs" / "index.md").read_text())
    pages = {path.relative_to(CHECKOUT / "docs").as_posix() for path in CHECKOUT.glob("docs/**/*.md")}
    assert {f"{page}.md" for menu in menus for page in menu.split()} | {"index.md"} == pages


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.S):
        for line in block.splitlines():
            command = line.partition("#")[0].strip()
            if command.startswith("vitforge "):
                parse(command)
            elif command.startswith("make "):
                assert dry_run(command.removeprefix("make "))


def test_readme_opens_with_five_lines_and_a_picture() -> None:
    heading, blank, *rest = (CHECKOUT / "README.md").read_text().splitlines()
    assert (heading, blank) == ("# vitforge", "")
    assert rest.index("") == 5
    assert rest[6].startswith("![")


def test_what_doctor_looks_for_is_what_is_installed() -> None:
    declared = (CHECKOUT / "pyproject.toml").read_text()
    assert [name for name, _, _ in PACKAGES if f'"{name}' not in declared] == []


def test_every_source_file_has_its_licence_line() -> None:
    sources = [p for tree in ("generator", "host", "tests", "boards") for p in (CHECKOUT / tree).rglob("*")]
    bare = [
        p.relative_to(CHECKOUT)
        for p in sources
        if p.suffix in (".py", ".toml", ".hpp", ".cpp")
        and "SPDX-License-Identifier: Apache-2.0" not in p.read_text().split("\n", 1)[0]
    ]
    assert bare == []
