# SPDX-License-Identifier: Apache-2.0
"""What is installed from the wheel runs alone: no vitforge, no compiler, no network, nothing in the environment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from package.board import Board
from vitforge.deploy.package import PackageResult, package

Edit = Callable[[str, Callable[[Path], None]], dict[str, str]]


@pytest.fixture
def edited(board: Board, tmp_path: Path) -> Edit:
    """Environment in which a file of an installed overlay was changed; what is installed stays as it was."""

    def edit(name: str, change: Callable[[Path], None]) -> dict[str, str]:
        shutil.copytree(board.site / "vitforge_host", tmp_path / "vitforge_host")
        change(tmp_path / "vitforge_host" / "overlays" / name)
        return {"PYTHONPATH": str(tmp_path)}

    return edit


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_the_self_test_runs_every_overlay(board: Board) -> None:
    assert "No module named" in board.run("-c", "import vitforge").stderr
    found = board.self_test()
    assert {(one["overlay"], one["kernel"]) for one in found["overlays"]} == {
        ("digits", "vit"),
        ("stories", "a3"),
        ("array", "sparse_matmul"),
    }
    assert (found["images"], found["mismatches"]) == (8, 0)
    assert found["queries"] > 0 and found["rows"] > 0
    assert (found["board"], found["simulated"]) == ("zcu104", True)
    assert list(board.work.iterdir()) == []


def test_the_self_test_of_one_overlay(board: Board) -> None:
    assert board.self_test("digits", BOARD="zcu104") == {
        "overlay": "digits",
        "kernel": "vit",
        "board": "zcu104",
        "simulated": True,
        "clock_mhz": pytest.approx(300, abs=0.01),
        "images": 8,
        "mismatches": 0,
    }
    done = board.run("-m", "vitforge_host", "selftest", "digits")
    assert done.stdout == "digits: 8 images on the simulated board zcu104, 0 mismatches\n"
    assert "no board here, so on the simulated one" in done.stderr


def test_wrong_results_end_with_exit_code_1(board: Board, edited: Edit) -> None:
    code = """
import sys, numpy as np
from pathlib import Path
folder = Path(sys.argv[1])
with np.load(folder / "digits.selftest.npz") as archive:
    samples = dict(archive)
samples["expected"][3, 2] += 1
np.savez(folder / "digits.selftest.npz", **samples)
"""

    def change(folder: Path) -> None:
        assert board.run("-c", code, folder).returncode == 0
        (folder / "digits.sha256").unlink()

    environment = edited("digits", change)
    done = board.run("-m", "vitforge_host", "selftest", "digits", "--json", **environment)
    assert (done.returncode, json.loads(done.stdout)["mismatches"]) == (1, 1)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("digits.blob", "digits.blob: the weight blob is damaged"),
        ("digits.bit", "digits.bit was made for another digits.hwh"),
        ("digits.hwh", "digits.bit was made for another digits.hwh"),
        ("digits.so", "digits.so is not the file that digits.sha256 beside it lists"),
        ("digits.selftest.npz", "digits.selftest.npz is not the file that digits.sha256 beside it lists"),
    ],
)
def test_a_damaged_file_is_refused(board: Board, edited: Edit, file: str, text: str) -> None:
    environment = edited("digits", lambda folder: damage(folder / file))
    assert text in board.refusal("selftest", "digits", **environment)
    lacking = board.run("-m", "vitforge_host", "doctor", "--json", **environment)
    assert lacking.returncode == 3
    broken = [check for check in json.loads(lacking.stdout)["checks"] if not check["found"]]
    assert [check["name"] for check in broken] == ["overlay digits"]
    assert "/overlays/digits/digits." in broken[0]["cure"]


def test_a_missing_file_is_refused(board: Board, edited: Edit) -> None:
    environment = edited("array", lambda folder: (folder / "array.so").unlink())
    assert "array.so is not the file that array.sha256" in board.refusal("selftest", "array", **environment)


def test_another_board_is_refused(board: Board) -> None:
    text = board.refusal("selftest", "stories", BOARD="KV260")
    assert "is for the board zcu104, whose BOARD is ZCU104, and here BOARD is KV260" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("selftest", "nothing"), "no overlay 'nothing' is installed; there are array, digits, stories"),
        (("selftest", "../digits"), "no overlay '../digits' is installed"),
        (("selftst",), "invalid choice: 'selftst'"),
        ((), "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_use_gets_one_sentence(board: Board, arguments: tuple[str, ...], text: str) -> None:
    assert text in board.refusal(*arguments)


def test_doctor_off_board(board: Board) -> None:
    done = board.run("-m", "vitforge_host", "doctor", "--json")
    found = {check["name"]: check["detail"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0 and json.loads(done.stdout)["good"]
    assert found["overlay stories"] == "a3, simulation of zcu104"
    assert found["board"].startswith("none here")
    assert "all that the installed overlays need is here" in board.run("-m", "vitforge_host", "doctor").stdout


def test_without_pynq(board: Board, tmp_path: Path) -> None:
    (tmp_path / "pynq.py").write_text("raise ModuleNotFoundError('no pynq', name='pynq')")
    text = board.refusal("selftest", code=3, PYTHONPATH=str(tmp_path))
    assert "the simulated board needs pynq; install it with: pip install 'vitforge[sim]'" in text


def test_drivers_open_by_name_and_pynq_finds_the_overlay(board: Board) -> None:
    code = """
from pynq import Overlay
from vitforge_host import A3, SparseMatmul, VitAccelerator, OverlayError
with VitAccelerator.installed() as accelerator:
    print(accelerator.image_shape)
with A3.installed("stories", batch=4) as a3:
    print(a3.n_max, a3.batch)
with SparseMatmul.installed() as matmul:
    print(matmul.format.k_max)
try:
    A3.installed("digits")
except OverlayError as error:
    print(error)
print(Overlay("stories.bit").bitfile_name)
"""
    done = board.run("-W", "error::UserWarning", "-c", code, VITFORGE_SIM="1")
    assert done.stdout.splitlines() == [
        "(28, 28, 1)",
        "32 4",
        "128",
        "the overlay digits is of the kernel vit, and this opens those of a3",
        str(board.site / "vitforge_host" / "overlays" / "stories" / "stories.bit"),
    ], done.stderr


def test_pynq_delivers_the_notebooks(board: Board, tmp_path: Path) -> None:
    code = "import sys; from pynq._cli.get_notebooks import main; sys.argv[0] = 'pynq-get-notebooks'; main()"
    listed = board.run("-c", code, "--list")
    assert "vitforge (source: vitforge_host)" in listed.stdout, listed.stderr
    done = board.run("-c", code, "--ignore-overlays", "--path", tmp_path, "vitforge")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "vitforge" / "stories" / "pictures" / "rows.svg").is_file()
    for path in tmp_path.rglob("*.ipynb"):
        done = board.run("-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", path)
        assert done.returncode == 0, done.stderr
    cells = {path.stem: json.loads(path.read_text())["cells"] for path in tmp_path.rglob("*.ipynb")}
    checks = {
        name: "".join(
            text for cell in found if cell["id"] == "check" for out in cell["outputs"] for text in out["text"]
        )
        for name, found in cells.items()
    }
    assert checks["vit_classification"] == "0 of 120 logits differ from the golden model\n"
    assert checks["a3_attention"].count(" 0 of ") == 3
    assert [line.split()[2] for line in checks["sparse_matmul"].splitlines()[1:]] == ["0"] * 4


def test_another_wheel_takes_its_place(projects: dict[str, Path], packed: PackageResult, tmp_path: Path) -> None:
    board = Board.make(tmp_path)
    board.install(packed.wheel)
    board.install(package([projects["array"]], tmp_path / "next").wheel)
    assert [path.parent.name for path in board.site.glob("vitforge_host/overlays/*/*.bit")] == ["array"]
    assert len(list(board.site.glob("vitforge_host-*.dist-info"))) == 1
    assert board.self_test()["rows"] > 0
