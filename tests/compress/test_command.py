# SPDX-License-Identifier: Apache-2.0
"""`vitforge prune` without PyTorch, and `vitforge blob`: what they write, and one sentence for what is wrong."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vitforge.cli import main
from vitforge.model.keep import mask_shapes
from vitforge.model.safetensors_io import load_model
from vitforge.model.shipped import shipped_heldout, shipped_model
from vitforge.quantize.store import load_quantized
from vitforge_host.blob import read_blob

KEYS = {"kept_fraction", "float_top1", "control_top1", "footprint_bytes", "dense_footprint_bytes", "dense_top1"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def ran(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def refused(done: Result, message: str, code: int = 2) -> None:
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr


def test_a_pruned_model_goes_all_the_way_to_a_blob_of_the_dense_overlay() -> None:
    facts = ran("prune", "--target", "0.5", "--method", "magnitude", "-o", "P", "--plot", "p.png")
    assert set(facts) >= KEYS
    assert 0.4 < facts["kept_fraction"] <= 0.5
    assert facts["footprint_bytes"] == round(facts["kept_fraction"] * facts["dense_footprint_bytes"])
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    assert load_model("P").keep
    np.save("images.npy", shipped_heldout()[0][:20])
    ran("quantize", "P", "--calibration", "images.npy", "-o", "Q")
    integers = load_quantized(Path("Q"))
    assert integers.keep[0].masks().keys() == load_model("P").keep[0].masks().keys()
    ran("generate", "--board", "zcu104", "-o", "D")
    dense = Path("D/weights/vitforge.blob").read_bytes()
    made = ran("blob", "D", "Q", "-o", "half.blob")
    content = Path("half.blob").read_bytes()
    assert made["blob_bytes"] == len(content) < 0.8 * len(dense)
    assert made["kept_fraction"] == pytest.approx(facts["kept_fraction"])
    assert read_blob(content).manifest["design_hash"] == read_blob(dense).manifest["design_hash"]


def test_two_of_four_by_magnitude_halves_the_weights_and_adds_their_places() -> None:
    facts = ran("prune", "--sparsity", "2:4", "--method", "magnitude", "-o", "P")
    assert facts["kept_fraction"] == 1
    assert facts["footprint_bytes"] == facts["dense_footprint_bytes"] * 5 // 8
    ran("generate", "--board", "zcu104", "-o", "D")
    np.save("images.npy", shipped_heldout()[0][:20])
    refused(run("blob", "D", "P", "--calibration", "images.npy"), "was compiled without them")


def test_a_model_of_another_shape_is_refused_for_an_overlay() -> None:
    ran("generate", "--board", "zcu104", "-o", "D")
    refused(run("blob", "D", "deit_tiny", "-o", "x.blob"), "was compiled for")
    assert not Path("x.blob").exists()


def given_masks(**changes: Any) -> Path:
    model = shipped_model()
    masks = {
        f"blocks.{block}.keep.{name}": np.arange(np.prod(size)).reshape(size) % 3 > 0
        for block in range(model.shape.depth)
        for name, size in mask_shapes(model.shape).items()
    }
    np.savez("masks.npz", **{name: value for name, value in {**masks, **changes}.items() if value is not None})
    return Path("masks.npz")


def test_masks_of_ones_own() -> None:
    facts = ran("prune", "--masks", str(given_masks()), "-o", "P")
    assert facts["method"] == "masks" and facts["control_top1"] is None
    assert not load_model("P").keep[2].hidden[0] and load_model("P").keep[2].hidden[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"blocks.0.keep.qk": np.ones((3, 16), bool)}, "blocks.0.keep.qk is (3, 16)"),
        ({"blocks.3.keep.fc2": None}, "blocks.3.keep.fc2 is missing"),
        ({"blocks.1.keep.norm2": np.full(64, 7, np.uint8)}, "blocks.1.keep.norm2 is 7 at (0,)"),
        ({"blocks.6.keep.norm2": np.ones(64, np.uint8)}, "blocks.6.keep.norm2 is no keep mask of a model of 6 blocks"),
        ({"blocks.0.keep.head": np.ones(4, np.uint8)}, "blocks.0.keep.head is no keep mask"),
    ],
)
def test_masks_that_do_not_fit_are_named(change: dict[str, Any], sentence: str) -> None:
    refused(run("prune", "--masks", str(given_masks(**change))), sentence)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x93NUMPY"])
def test_a_file_that_holds_no_masks(content: bytes) -> None:
    Path("masks.npz").write_bytes(content)
    refused(run("prune", "--masks", "masks.npz"), "masks.npz is not a .npz file of numbers; save keep masks")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"images": np.zeros((2, 28, 28, 1), np.uint8)}, "heldout.npz has no array 'labels'"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.array(["a", "b"])}, "labels are (2,) <U1"),
        ({"images": np.zeros((1, 28, 28, 1), np.uint8), "labels": np.array(3)}, "labels are () int64"),
        ({"images": np.zeros((2, 28, 28, 1)), "labels": np.arange(2)}, "images are (2, 28, 28, 1) float64"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.array([1, 10])}, "labels must be 0 to 9"),
    ],
)
def test_heldout_images_that_do_not_fit_are_one_sentence(arrays: dict[str, Any], sentence: str) -> None:
    np.savez("heldout.npz", **arrays)
    refused(run("prune", "--target", "0.5", "--method", "magnitude", "--heldout", "heldout.npz"), sentence)


def test_an_array_that_is_no_archive_of_masks() -> None:
    np.save("masks.npy", np.ones(4, np.uint8))
    refused(run("prune", "--masks", "masks.npy"), "masks.npy is not a .npz file of numbers")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give --target"),
        (("--target", "0"), "must lie in (0, 1]"),
        (("--target", "1.5"), "must lie in (0, 1]"),
        (("--target", "nan"), "must lie in (0, 1]"),
        (("--target", "0.5", "--masks", "m.npz"), "give --target, or --masks"),
        (("--masks", "absent.npz"), "absent.npz cannot be read"),
        (("--target", "0.5", "--method", "magnitude", "--plot", "p.gif"), "p.gif is no file for a plot"),
        (("absent.safetensors", "--target", "0.5", "--method", "magnitude"), "absent.safetensors"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    refused(run("prune", *arguments), sentence)
    assert not list(Path().iterdir())


def test_a_pruned_model_is_not_pruned_again() -> None:
    ran("prune", "--target", "0.8", "--method", "magnitude", "-o", "P")
    refused(run("prune", "P", "--target", "0.5", "--method", "magnitude", "-o", "P2"), "pruned already")


def test_without_pytorch_training_is_refused_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("vitforge.compress.training.find_spec", lambda name: None if name == "torch" else found(name))
    refused(run("prune", "--target", "0.5"), "pip install 'vitforge[train]'", code=3)
