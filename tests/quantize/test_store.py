# SPDX-License-Identifier: Apache-2.0
"""Quantised models on disk: the same back, and every damage refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from vitforge.errors import ModelError
from vitforge.golden.random_model import random_quant_model
from vitforge.model.vit import ViTShape
from vitforge.quantize.store import load_quantized, quantized_files

SHAPE = ViTShape(
    image_size=(8, 12), channels=1, patch_size=4, embed_dim=12, depth=2, num_heads=2, hidden_dim=20, num_classes=3
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, content in quantized_files(random_quant_model(np.random.default_rng(3), SHAPE)).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_round_trip(directory: Path) -> None:
    model = load_quantized(directory)
    again = quantized_files(model)
    assert model.shape == SHAPE
    assert again == {name: (directory / name).read_bytes() for name in again}


def edit_json(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        content = json.loads((directory / "model.json").read_text())
        change(content)
        (directory / "model.json").write_text(json.dumps(content))

    return damage


def edit_tensors(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        tensors = {name: value.copy() for name, value in load((directory / "model.safetensors").read_bytes()).items()}
        change(tensors)
        (directory / "model.safetensors").write_bytes(save(tensors))

    return damage


def cut(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def set_weight(tensors: dict) -> None:
    tensors["blocks.1.fc1.weight"][0, 0] = -128


def set_mult(tensors: dict) -> None:
    tensors["head.mult"][0] = 3


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no json": (lambda d: (d / "model.json").unlink(), "model.json"),
    "not json": (lambda d: (d / "model.json").write_text("{"), "damaged"),
    "json list": (lambda d: (d / "model.json").write_text("[]"), "damaged"),
    "no tensors": (lambda d: (d / "model.safetensors").unlink(), "model.safetensors"),
    "cut off": (cut, "damaged"),
    "foreign": (edit_json(lambda c: c.update(generator="other")), "format"),
    "newer format": (edit_json(lambda c: c.update(format=99)), "format"),
    "missing tensor": (edit_tensors(lambda t: t.pop("blocks.0.gelu")), "blocks.0.gelu"),
    "missing scalar": (edit_json(lambda c: c["scalars"].pop("norm.shift")), "norm.shift"),
    "scalar out of range": (edit_json(lambda c: c["scalars"].update({"norm.shift": 77})), "norm.shift"),
    "scalar of a wrong type": (edit_json(lambda c: c["scalars"].update({"norm.eps": "x"})), "norm.eps"),
    "weight of -128": (edit_tensors(set_weight), "blocks.1.fc1.weight"),
    "multiplier out of range": (edit_tensors(set_mult), "head.mult"),
    "misshapen": (edit_tensors(lambda t: t.update(x0=t["x0"][:-1].copy())), "x0"),
    "wrong type": (edit_tensors(lambda t: t.update({"head.bias": t["head.bias"].astype(np.int64)})), "head.bias"),
    "shape without depth": (edit_json(lambda c: c["shape"].pop("depth")), "depth"),
}


@pytest.mark.parametrize("case", sorted(DAMAGES))
def test_damage_is_named(directory: Path, case: str) -> None:
    damage, says = DAMAGES[case]
    damage(directory)
    with pytest.raises(ModelError) as caught:
        load_quantized(directory)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
