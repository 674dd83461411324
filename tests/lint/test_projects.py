# SPDX-License-Identifier: Apache-2.0
"""What vitforge generates keeps every rule; the command says what does not."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from lint.projects import ALL, write_hls
from project.command import Vitforge
from vitforge.cli import main
from vitforge.lint import clang, lint_hls
from vitforge.lint.rules import RULES


@pytest.fixture
def vitforge(capsys: pytest.CaptureFixture[str]) -> Vitforge:
    return Vitforge(capsys)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A generated project of a kernel."""
    directory = tmp_path_factory.mktemp("lint") / request.param
    with pytest.raises(SystemExit) as end:
        main(["generate", "--board", "kv260", "--kernel", request.param, "-o", str(directory)])
    assert not end.value.code
    return directory


@pytest.mark.parametrize(("kernel", "name"), ALL)
def test_small_designs_are_clean(kernel: str, name: str, tmp_path: Path) -> None:
    write_hls(kernel, name, tmp_path)
    assert lint_hls(tmp_path).findings == ()


@pytest.mark.parametrize("project", ["vit", "a3", "sparse_matmul"], indirect=True)
def test_generated_projects_are_clean(project: Path, vitforge: Vitforge) -> None:
    outcome = vitforge("lint", project, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    assert report["good"] and report["findings"] == []
    assert report["rules"] == list(RULES)
    assert report["files"] >= 19


@pytest.mark.parametrize("project", ["sparse_matmul"], indirect=True)
def test_a_finding_names_place_rule_and_what_is_wrong(project: Path, vitforge: Vitforge, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(project, changed)
    top = changed / "hls" / "src" / "vitforge_sparse_matmul.cpp"
    text = top.read_text()
    assert text.count("variable=head depth=3") == 1
    top.write_text(text.replace("variable=head depth=3", "variable=head depht=3"))
    outcome = vitforge("lint", changed)
    assert outcome.code == 1
    first = outcome.out.splitlines()[0]
    assert first.startswith("hls/src/vitforge_sparse_matmul.cpp:")
    assert first.endswith("[stream-depth]")
    assert "pragma stream has no option 'depht' (did you mean 'depth'?) [pragma-option]" in outcome.out
    assert outcome.out.splitlines()[-1].endswith("2 findings")
    assert outcome.err.startswith("vitforge: lint: hls/src/vitforge_sparse_matmul.cpp:")
    report = json.loads(vitforge("lint", changed, "--json").out)
    assert not report["good"]
    assert {found["rule"] for found in report["findings"]} == {"stream-depth", "pragma-option"}


def test_no_project(vitforge: Vitforge, tmp_path: Path) -> None:
    outcome = vitforge("lint", tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert "project.json cannot be read" in outcome.err


@pytest.mark.parametrize("project", ["sparse_matmul"], indirect=True)
def test_a_project_without_its_sources(project: Path, vitforge: Vitforge, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(project, changed)
    (changed / "hls" / "tb" / "tb_main.cpp").unlink()
    outcome = vitforge("lint", changed)
    assert outcome.code == 2
    assert "names tb/tb_main.cpp, which is not there; generate the project again" in outcome.err
    (changed / "hls" / "hls_config.cfg").unlink()
    outcome = vitforge("lint", changed)
    assert outcome.code == 2
    assert "hls_config.cfg cannot be read" in outcome.err


@pytest.mark.parametrize("project", ["sparse_matmul"], indirect=True)
def test_without_libclang(project: Path, vitforge: Vitforge, monkeypatch: pytest.MonkeyPatch) -> None:
    clang.cindex.cache_clear()
    monkeypatch.setitem(sys.modules, "clang", None)
    outcome = vitforge("lint", project)
    clang.cindex.cache_clear()
    assert (outcome.code, outcome.out) == (3, "")
    assert "pip install 'vitforge[lint]'" in outcome.err
    assert outcome.err.count("\n") == 1
