# SPDX-License-Identifier: Apache-2.0
"""Equalisation changes no function; with bias correction it keeps models whose channels have outliers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantize.support import SHAPE, float_model, pictures
from vitforge.golden.vit import forward as golden_forward
from vitforge.model.float_vit import forward as float_forward
from vitforge.model.shipped import shipped_calibration, shipped_heldout, shipped_model
from vitforge.model.vit import ViTModel
from vitforge.quantize.correct import correct_biases
from vitforge.quantize.equalize import equalize
from vitforge.quantize.quantizer import quantize_model
from vitforge.quantize.report import sqnr_db
from vitforge.quantize.store import load_quantized, quantized_files, save_quantized
from vitforge.quantize.top1 import top1


def backbone(model: ViTModel) -> ViTModel:
    tensors = {name: value for name, value in model.tensors.items() if not name.startswith("head")}
    return replace(model, shape=replace(model.shape, num_classes=0), labels=(), tensors=tensors)


def with_outliers() -> ViTModel:
    """Keys far from zero, and channels of norms and values that dwarf the rest."""
    model = float_model()
    tensors = {name: value.copy() for name, value in model.tensors.items()}
    dim = SHAPE.embed_dim
    for i in range(SHAPE.depth):
        tensors[f"blocks.{i}.qkv.bias"][dim : dim + 4] += 30
        for layer in ("norm1", "norm2"):
            tensors[f"blocks.{i}.{layer}.weight"][3] *= 40
        tensors[f"blocks.{i}.qkv.weight"][:, 3] /= 40
        tensors[f"blocks.{i}.fc1.weight"][:, 3] /= 40
        tensors[f"blocks.{i}.qkv.weight"][2 * dim + 5] *= 30
        tensors[f"blocks.{i}.proj.weight"][:, 5] /= 30
    return replace(model, tensors=tensors)


@pytest.mark.parametrize("make", [float_model, with_outliers], ids=["plain", "outliers"])
def test_equalised_is_the_same_function(make) -> None:
    model, images = make(), pictures(8)
    expected = float_forward(model, images, dtype=np.float64)
    np.testing.assert_allclose(float_forward(equalize(model, images), images, dtype=np.float64), expected, atol=1e-4)


def features_sqnr(model: ViTModel, method: str) -> float:
    quantized, _ = quantize_model(model, pictures(32), method=method)
    images = pictures(24)
    return sqnr_db(float_forward(model, images), golden_forward(quantized, images) * quantized.feature_scale)


def test_outliers_cost_smooth_less() -> None:
    model = backbone(with_outliers())
    smooth = features_sqnr(model, "smooth")
    assert smooth > 20
    assert smooth > features_sqnr(model, "max") + 6
    assert smooth > features_sqnr(model, "percentile") + 6


@pytest.mark.parametrize("method", ["percentile", "max", "smooth"])
def test_backbone_features_follow_float(method: str, tmp_path) -> None:
    model = backbone(float_model())
    quantized, report = quantize_model(model, pictures(32), method=method)
    names = {row.name for row in report.rows}
    assert "norm" in names and "logits" not in names
    assert all(row.sqnr_db > 18 for row in report.rows)
    assert features_sqnr(model, method) > 20
    save_quantized(quantized, report, tmp_path / "int8")  # its loader checks every range of the hardware
    assert quantized_files(load_quantized(tmp_path / "int8")) == quantized_files(quantized)


def test_smooth_keeps_the_shipped_model() -> None:
    images, labels = shipped_heldout()
    quantized, _ = quantize_model(shipped_model(), shipped_calibration(), method="smooth")
    assert top1(golden_forward(quantized, images), labels) >= 0.98


def test_bias_correction_changes_biases_alone_and_centres_the_stream() -> None:
    model, images = float_model(), pictures(32)
    quantized, _ = quantize_model(model, images)
    corrected = correct_biases(model, quantized, images)
    before, after = quantized_files(quantized), quantized_files(corrected)
    assert before["model.json"] == after["model.json"]
    for old, new in zip(quantized.blocks, corrected.blocks, strict=True):
        assert np.array_equal(old.fc2.weight, new.fc2.weight) and np.array_equal(old.qkv.bias, new.qkv.bias)
    step = quantized.scales["residual"]
    reference: dict[str, np.ndarray] = {}
    float_forward(model, images, observe=reference.__setitem__, dtype=np.float64)

    def shift(candidate) -> float:
        seen: dict[str, np.ndarray] = {}
        golden_forward(candidate, images, observe=seen.__setitem__)
        return float(np.abs((reference["x.1.mlp"] / step - seen["x.1.mlp"]).mean(axis=(0, 1))).max())

    assert shift(corrected) < 1 < shift(quantized)
