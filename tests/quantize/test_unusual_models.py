# SPDX-License-Identifier: Apache-2.0
"""Models of unusual magnitudes: quantised into what the hardware can hold, or refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from quantize.support import SHAPE, float_model, pictures
from vitforge.errors import ModelError
from vitforge.golden.vit import forward as golden_forward
from vitforge.model.float_vit import forward as float_forward
from vitforge.model.vit import ViTModel
from vitforge.quantize.quantizer import INT16, quantize_model
from vitforge.quantize.report import sqnr_db
from vitforge.quantize.store import load_quantized, quantized_files, save_quantized

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # numpy says so where an integer wraps
BRANCHES = [f"blocks.{i}.{layer}" for i in range(SHAPE.depth) for layer in ("proj", "fc2")]
STREAM = ["cls", "pos", *(f"{name}.{kind}" for name in ("patch", *BRANCHES) for kind in ("weight", "bias"))]


def scaled(factors: Mapping[str, float]) -> ViTModel:
    """The random model with some tensors multiplied."""
    model = float_model()
    changed = {name: (model.tensors[name] * np.float64(factor)).astype(np.float32) for name, factor in factors.items()}
    return dataclasses.replace(model, tensors={**model.tensors, **changed})


def grey_patch_far_from_all_images() -> ViTModel:
    """Weights of one sign on dark images: the patch of the class token, pixel 128, embeds far from any seen one."""
    model = scaled({"patch.weight": 20.0})
    tensors = {**model.tensors, "patch.weight": np.abs(model.tensors["patch.weight"])}
    return dataclasses.replace(model, tensors=tensors, mean=(0.0,) * 3, std=(1.0,) * 3)


HELD = {
    "attention that is flat": scaled({"blocks.0.qkv.weight": 1e-9, "blocks.0.qkv.bias": 1e-9}),
    "residual stream below epsilon": scaled(dict.fromkeys(STREAM, 1e-9)),
    "large class token": scaled({"cls": 1000.0}),
    "large positions": scaled({"pos": 1000.0}),
    "large logits": scaled({"head.weight": 1e30}),
    "grey patch": grey_patch_far_from_all_images(),
    "all zero": scaled(dict.fromkeys(float_model().tensors, 0.0)),
}


@pytest.mark.parametrize("case", sorted(HELD))
def test_what_is_quantised_follows_float_and_can_be_stored(tmp_path: Path, case: str) -> None:
    model, images = HELD[case], pictures(16) // 16
    quantized, report = quantize_model(model, images)
    logits = golden_forward(quantized, images) * quantized.scales["logits"]
    assert sqnr_db(float_forward(model, images, dtype=np.float64), logits) > 20
    save_quantized(quantized, report, tmp_path / "int8")  # its loader checks every range of the hardware
    assert quantized_files(load_quantized(tmp_path / "int8")) == quantized_files(quantized)


def test_class_token_enters_as_in_the_float_model() -> None:
    """x(0) of the class token is cls + pos[0], though the array adds the embedding of a grey patch."""
    model, images = HELD["grey patch"], pictures(4) // 16
    quantized, _ = quantize_model(model, images)
    seen: dict[str, np.ndarray] = {}
    golden_forward(quantized, images, observe=seen.__setitem__)
    step = quantized.scales["residual"]
    expected = (model.tensors["cls"] + model.tensors["pos"][0]) / step
    assert np.abs(expected).max() < INT16
    np.testing.assert_allclose(seen["x.0.attn"][:, 0], np.tile(expected, (4, 1)), rtol=0, atol=1)


REFUSED = {
    "scores": (scaled({"blocks.0.qkv.weight": 1e4}), "blocks.0.score: q times k goes in steps of .* up to 127"),
    "norm weight": (
        scaled(dict.fromkeys(STREAM, 0.0) | {"blocks.0.norm1.weight": 1e8, "blocks.0.norm1.bias": 1e-8}),
        "blocks.0.norm1: its weight of up to .* is too large",
    ),
    "beyond float32": (scaled({f"blocks.0.fc{k}.weight": 1e38 for k in (1, 2)}), "blocks.0.fc1 leaves .* of float32"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_cannot_be_held_is_named(case: str) -> None:
    model, says = REFUSED[case]
    with pytest.raises(ModelError, match=says):
        quantize_model(model, pictures(16))


def test_no_images() -> None:
    with pytest.raises(ModelError, match="calibration has no images"):
        quantize_model(float_model(), pictures(1)[:0])


def test_report_of_tensors_without_signal_is_strict_json() -> None:
    quantized, report = quantize_model(HELD["all zero"], pictures(4))

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    content = json.loads(quantized_files(quantized, report)["report.json"], parse_constant=refuse)
    ratios = {row["name"]: row["sqnr_db"] for row in content["tensors"]}
    assert ratios["logits"] is None
