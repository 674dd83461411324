# SPDX-License-Identifier: Apache-2.0
"""The wheel: what travels in it, and that an installed copy works with no checkout near."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vitforge.resources import DATA_NAMES, data_dir

CHECKOUT = Path(__file__).parents[2]
SOURCES = ("generator", "host", *DATA_NAMES, "pyproject.toml", "setup.py", "README.md", "LICENSE")


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the checkout, so that the checkout stays as it is; nothing is downloaded."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache"))
        else:
            shutil.copy(source, copy)
    stale = copy / "build" / "lib" / "vitforge" / "removed_long_ago.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--quiet")
    run(*pip, "--wheel-dir", target, copy)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which the wheel's packages are imported instead of the checkout's."""
    site = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile", "--quiet")
    run(*pip, "--target", site, wheel)
    cache = tmp_path_factory.mktemp("cache")  # so that csim compiles what the wheel brought
    return {**os.environ, "PYTHONPATH": str(site), "SITE": str(site), "VITFORGE_CACHE": str(cache)}


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"vitforge", "vitforge_host"}
    for tree in DATA_NAMES:
        root = data_dir(tree)
        files = {
            p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts
        }
        packed = {name.split(f"_data/{tree}/")[1] for name in names if name.startswith(f"vitforge/_data/{tree}/")}
        assert packed == files
        assert files
    assert "vitforge_host/sim/device.py" in names
    assert not any("removed_long_ago" in name or name.endswith(".pyc") for name in names)


def test_metadata(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("dist-info/METADATA"))
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.10" in metadata
    assert "Provides-Extra: sim" in metadata
    assert "numpy<2,>=1.23" in metadata
    (entry,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "vitforge = vitforge.cli:main" in entry


def test_an_installed_copy_generates_csims_and_traces(installed: dict[str, str], tmp_path: Path) -> None:
    def vitforge(*arguments: str) -> dict[str, Any]:
        result = run(sys.executable, "-m", "vitforge", *arguments, "--json", cwd=tmp_path, env=installed)
        content = json.loads(result.stdout)
        assert isinstance(content, dict)
        return content

    where = run(
        *(sys.executable, "-c", "import vitforge, vitforge_host; print(vitforge.__file__, vitforge_host.__file__)"),
        cwd=tmp_path,
        env=installed,
    ).stdout.split()
    assert all(place.startswith(installed["SITE"]) for place in where)
    assert len(vitforge("boards")["boards"]) == 7
    generated = vitforge("generate", "--board", "pynq-z2", "-o", "project")
    assert {"board", "dsp", "dsp_limit", "bram36", "uram", "cycles_per_image", "folding"} <= set(generated)
    assert generated["dsp"] <= generated["dsp_limit"] == 198
    checked = vitforge("csim", "project", "--images", "2", "--headers", "vitforge")
    assert checked["mismatches"] == 0
    assert {kernel["name"] for kernel in checked["kernels"]} >= {
        "dsp_pack",
        "layer_norm",
        "softmax",
        "nsa_engine",
        "model",
    }
    traced = vitforge("trace", "project")
    assert traced["deadlock"] is None
    assert traced["cycles_per_image"] > 0
