# SPDX-License-Identifier: Apache-2.0
"""Quantised models on disk: the same back, and every damage refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from vitforge.errors import ModelError, OutputError
from vitforge.golden.random_model import random_quant_model
from vitforge.model.vit import ViTShape
from vitforge.quantize.store import load_quantized, quantized_files, save_quantized

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


def test_saved_again_in_place(tmp_path: Path) -> None:
    first, second = (random_quant_model(np.random.default_rng(seed), SHAPE) for seed in (1, 2))
    target = tmp_path / "int8"
    save_quantized(first, None, target)
    save_quantized(second, None, target)
    assert quantized_files(load_quantized(target)) == quantized_files(second)
    assert [path.name for path in tmp_path.iterdir()] == ["int8"]


def test_a_directory_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("x")
    with pytest.raises(OutputError):
        save_quantized(random_quant_model(np.random.default_rng(1), SHAPE), None, tmp_path / "theirs")
    assert [path.name for path in tmp_path.rglob("*")] == ["theirs", "thesis.tex"]


@pytest.mark.parametrize("kind", ["extreme", "zero"])
def test_models_at_the_limits_are_not_damage(tmp_path: Path, kind: str) -> None:
    model = random_quant_model(np.random.default_rng(4), SHAPE, **{kind: True})
    save_quantized(model, None, tmp_path / "int8")
    assert quantized_files(load_quantized(tmp_path / "int8")) == quantized_files(model)


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


def set_shape(**change: object) -> Callable[[Path], None]:
    return edit_json(lambda content: content["shape"].update(change))


def set_entry(name: str, value: int) -> Callable[[Path], None]:
    return edit_tensors(lambda tensors: tensors[name].__setitem__((0,) * tensors[name].ndim, value))


def large_logits(tensors: dict) -> None:
    tensors["head.bias"][0], tensors["head.mult"][0], tensors["head.shift"][0] = 1 << 25, (1 << 16) - 1, 1


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
    "json without end": (lambda d: (d / "model.json").write_text("[" * 100_000), "damaged"),
    "not text": (lambda d: (d / "model.json").write_bytes(b"\xff\xfe{}"), "damaged"),
    "no heads": (set_shape(num_heads=0), "num_heads is 0"),
    "heads that do not divide": (set_shape(num_heads=5), "5 heads do not divide the width of 12"),
    "heads in words": (set_shape(num_heads="2"), "num_heads is '2'"),
    "negative depth": (set_shape(depth=-1), "depth is -1"),
    "fractional depth": (set_shape(depth=2.5), "depth is 2.5"),
    "image of no height": (set_shape(image_size=[0, 12]), "height is 0"),
    "epsilon not a number": (set_shape(norm_eps=float("nan")), "norm_eps"),
    "unknown size": (set_shape(speed=1), "speed"),
    "too few labels": (edit_json(lambda c: c.update(labels=["a"])), "labels are not a list of 3"),
    "labels in one text": (edit_json(lambda c: c.update(labels="abc")), "labels are not a list of 3"),
    "no scale of the logits": (edit_json(lambda c: c["scales"].pop("logits")), "logits"),
    "scale not a number": (edit_json(lambda c: c["scales"].update(logits=float("nan"))), "scale of logits"),
    "scale of zero": (edit_json(lambda c: c["scales"].update({"blocks.0.fc1": 0})), "scale of blocks.0.fc1"),
    "accumulator too small": (set_entry("blocks.0.proj.bias", 1 << 30), "blocks.0.proj can leave its 27-bit"),
    "logits beyond int32": (edit_tensors(large_logits), "head can give logits beyond 32 bits"),
    "table entry of -128": (set_entry("blocks.1.gelu", -128), "blocks.1.gelu holds -128"),
    "position of -32768": (set_entry("x0", -32768), "x0 holds -32768"),
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
