# SPDX-License-Identifier: Apache-2.0
"""`vitforge package`: what is in the wheel, that it is the same every time, and what is refused."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import shutil
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from package.board import Board
from project.command import Vitforge
from vendor.conftest import UNIFIED, VIVADO, Tools
from vitforge import __version__
from vitforge.deploy.package import PackageResult, package
from vitforge.errors import ConfigError
from vitforge.vendor.runner import build
from vitforge_host.errors import IdentityError, OverlayError


@pytest.fixture
def vitforge(capsys: pytest.CaptureFixture[str]) -> Vitforge:
    return Vitforge(capsys)


@pytest.fixture
def project(projects: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the A3 project."""
    return Path(shutil.copytree(projects["stories"], tmp_path / "stories"))


@pytest.fixture
def built(project: Path, tmp_path: Path) -> Path:
    """The project with a bitstream in its overlay, from programs that stand for the vendor's."""
    (tmp_path / "bin").mkdir()
    tools = Tools(tmp_path / "bin").add(*UNIFIED, *VIVADO)
    build(project, environment=tools.environment)
    return project


def read(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_only_the_driver_and_what_goes_with_it(packed: PackageResult) -> None:
    files = read(packed.wheel)
    assert {name.split("/")[0] for name in files} == {"vitforge_host", f"vitforge_host-{packed.version}.dist-info"}
    folder = "vitforge_host/overlays/digits/"
    overlay = {name.removeprefix(folder) for name in files if name.startswith(folder)}
    suffixes = ("bit", "hwh", "vit.json", "sim.json", "so", "blob", "selftest.npz", "sha256")
    assert overlay == {f"digits.{suffix}" for suffix in suffixes}
    assert "vitforge_host/driver.py" in files and "vitforge_host/py.typed" in files
    assert "vitforge_host/notebooks/stories/pictures/rows.svg" in files
    assert "vitforge_host/notebooks/digits/vit_classification.npz" in files


def test_metadata(packed: PackageResult) -> None:
    files = read(packed.wheel)
    folder = f"vitforge_host-{packed.version}.dist-info"
    assert packed.version.startswith(f"{__version__}+zcu104.h")
    about = Parser().parsestr(files[f"{folder}/METADATA"].decode())
    assert (about["Name"], about["Version"], about["Requires-Dist"]) == ("vitforge-host", packed.version, "numpy>=1.21")
    assert b"Root-Is-Purelib: false\nTag: py3-none-linux_" in files[f"{folder}/WHEEL"]
    assert b"Apache License" in files[f"{folder}/licenses/LICENSE"]
    record = {row[0]: row[1:] for row in csv.reader(files[f"{folder}/RECORD"].decode().splitlines())}
    assert record.pop(f"{folder}/RECORD") == ["", ""]
    expected = {name: data for name, data in files.items() if not name.endswith("/RECORD")}
    assert record == {
        name: [f"sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')}", str(len(data))]
        for name, data in expected.items()
    }


def test_the_same_bytes_every_time(projects: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another directory, at another time, with a library that was compiled anew."""
    first = package([projects["array"]], tmp_path / "first")
    elsewhere = shutil.copytree(projects["array"], tmp_path / "a longer way" / "array")
    monkeypatch.setenv("VITFORGE_CACHE", str(tmp_path / "cache"))
    second = package([Path(elsewhere)], tmp_path / "second")
    assert second.wheel.name == first.wheel.name
    assert second.wheel.read_bytes() == first.wheel.read_bytes()


def test_other_weights_are_another_version(projects: dict[str, Path], project: Path, tmp_path: Path) -> None:
    """pip keeps what is installed if the version is the same."""
    first = package([project], tmp_path / "first")
    (project / "host" / "notebooks" / "pictures" / "rows.svg").write_text("<svg></svg>")
    assert package([project], tmp_path / "second").version != first.version


def test_the_command(projects: dict[str, Path], tmp_path: Path, vitforge: Vitforge) -> None:
    done = vitforge("package", projects["stories"], projects["array"], "-o", tmp_path, "--json")
    content = json.loads(done.out)
    wheel = Path(content["wheel"])
    assert done.code == 0 and list(tmp_path.iterdir()) == [wheel]
    assert (content["bytes"], content["board"], content["bitstream"]) == (wheel.stat().st_size, "zcu104", False)
    assert [(one["name"], one["kernel"]) for one in content["overlays"]] == [
        ("stories", "a3"),
        ("array", "sparse_matmul"),
    ]
    assert content["overlays"][0]["notebooks"] == ["a3_attention.ipynb", "a3_attention.npz", "pictures/rows.svg"]
    again = vitforge("package", projects["stories"], projects["array"], "-o", tmp_path)
    assert again.code == 0 and "pip install --no-index --no-deps" in again.out


def test_a_bitstream_goes_in_without_the_simulation(built: Path, tmp_path: Path, board: Board) -> None:
    result = package([built], tmp_path / "wheel")
    assert result.is_bitstream and result.wheel.name.endswith("-py3-none-any.whl")
    files = read(result.wheel)
    overlay = {name for name in files if name.startswith("vitforge_host/overlays/stories/")}
    suffixes = ("bit", "hwh", "a3.json", "selftest.npz", "sha256")
    assert overlay == {f"vitforge_host/overlays/stories/stories.{suffix}" for suffix in suffixes}
    assert files["vitforge_host/overlays/stories/stories.bit"] == (built / "overlay/vitforge.bit").read_bytes()
    zipfile.ZipFile(result.wheel).extractall(tmp_path / "site")
    text = board.refusal("selftest", PYTHONPATH=str(tmp_path / "site"))
    assert "stories.bit is a bitstream, and this is no board" in text


def test_a_bitstream_needs_no_compiler(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert package([built], tmp_path / "wheel").is_bitstream


def test_without_a_compiler_a_simulation_cannot_be_packed(
    project: Path, vitforge: Vitforge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    done = vitforge("package", project, "-o", project / "wheel")
    assert done.code == 3 and "'no-such-compiler' is not on PATH" in done.err


def test_files_that_do_not_belong_together_are_refused(built: Path, tmp_path: Path) -> None:
    handoff = built / "overlay" / "vitforge.hwh"
    handoff.write_text(handoff.read_text() + "<!-- another -->")
    with pytest.raises(OverlayError, match="vitforge.hwh is not the file that vitforge.sha256 beside it lists"):
        package([built], tmp_path / "wheel")


def test_an_overlay_of_another_design_is_refused(project: Path, tmp_path: Path) -> None:
    path = project / "overlay" / "vitforge.a3.json"
    path.write_text(path.read_text().replace(json.loads(path.read_text())["design_hash"], "0" * 64))
    with pytest.raises(IdentityError, match="was built for design 0000000000000000"):
        package([project], tmp_path / "wheel")


def test_a_damaged_blob_is_refused(projects: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(projects["digits"], tmp_path / "digits"))
    blob = copy / "weights" / "vitforge.blob"
    blob.write_bytes(blob.read_bytes()[:-64])
    with pytest.raises(ConfigError, match="vitforge.blob: the weight blob has .* bytes instead of"):
        package([copy], tmp_path / "wheel")


def test_projects_of_two_boards_are_refused(projects: dict[str, Path], tmp_path: Path, vitforge: Vitforge) -> None:
    other = tmp_path / "other"
    assert vitforge("generate", "--kernel", "sparse_matmul", "--board", "kv260", "-o", other).code == 0
    done = vitforge("package", projects["stories"], other, "-o", tmp_path / "wheel")
    assert done.code == 2 and "a wheel is for one board; " in done.err
    assert not (tmp_path / "wheel").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("{stories}", "--name", "../up"), "overlay name '../up' is not allowed: a name is a lower-case letter"),
        (("{stories}", "--name", "a\nb"), "overlay name 'a\\nb' is not allowed"),
        (("{stories}", "{array}", "--name", "one"), "1 names for 2 projects; give one for each, or none"),
        (("{stories}", "{stories}"), "two overlays are named 'stories'; give each its own with --name"),
        (("{stories}/overlay",), "project.json cannot be read"),
        (("no-such-place",), "no-such-place/project.json cannot be read"),
        ((), "Missing argument 'DIR...'"),
    ],
)
def test_wrong_use_gets_one_sentence(
    projects: dict[str, Path], tmp_path: Path, vitforge: Vitforge, arguments: tuple[str, ...], text: str
) -> None:
    done = vitforge("package", *(part.format(**projects) for part in arguments), "-o", tmp_path / "wheel")
    assert done.code == 2 and text in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "wheel").exists()


def test_overlays_have_the_names_of_directories_as_far_as_they_can(
    project: Path, tmp_path: Path, vitforge: Vitforge
) -> None:
    renamed = project.rename(tmp_path / "My Project")
    done = vitforge("package", renamed, "-o", tmp_path / "wheel", "--json")
    assert json.loads(done.out)["overlays"][0]["name"] == "my-project"
    numbered = renamed.rename(tmp_path / "2026")
    done = vitforge("package", numbered, "-o", tmp_path / "other")
    assert done.code == 2 and "2026 cannot be an overlay's, which is a lower-case letter, then" in done.err
    assert vitforge("package", numbered, "-o", tmp_path / "other", "--name", "mine").code == 0


def test_another_wheel_is_not_overwritten(projects: dict[str, Path], tmp_path: Path, vitforge: Vitforge) -> None:
    """Nor does a second one join it: `pip install W/*.whl` would be given both."""
    foreign = tmp_path / "other_project-1.0-py3-none-any.whl"
    foreign.write_text("theirs")
    assert vitforge("package", projects["array"], "-o", tmp_path).code == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = vitforge("package", projects["stories"], "-o", tmp_path)
    assert done.code == 2 and "holds vitforge_host-" in done.err and "another directory with -o" in done.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert before[foreign.name] == b"theirs"


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_an_output_that_cannot_be_written(
    projects: dict[str, Path], tmp_path: Path, vitforge: Vitforge, place: str
) -> None:
    (tmp_path / "file").write_text("")
    done = vitforge("package", projects["array"], "-o", tmp_path / place)
    assert done.code == 2 and "the wheel cannot be written" in done.err and len(done.err.splitlines()) == 1
