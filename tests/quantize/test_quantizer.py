# SPDX-License-Identifier: Apache-2.0
"""Quantisation: accurate, within every range the hardware has, and honest about what it cannot hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.support import float_model, pictures
from vitforge.errors import ConfigError, ModelError
from vitforge.golden.linear import linear
from vitforge.golden.vit import forward as golden_forward
from vitforge.model.float_vit import forward as float_forward
from vitforge.model.shipped import shipped_calibration, shipped_heldout, shipped_model, shipped_quantized_path
from vitforge.quantize.calibrate import calibrate
from vitforge.quantize.quantizer import ACCUMULATOR_LIMIT, quantize_linear, quantize_model
from vitforge.quantize.report import sqnr_db
from vitforge.quantize.store import quantized_files
from vitforge.quantize.top1 import top1


def test_int8_top1_is_within_half_a_point_of_float() -> None:
    model = shipped_model()
    images, labels = shipped_heldout()
    quantized, _ = quantize_model(model, shipped_calibration())
    as_float = top1(float_forward(model, images), labels)
    as_int8 = top1(golden_forward(quantized, images), labels)
    assert as_float >= 0.97
    assert as_float - as_int8 <= 0.005


def test_the_quantised_model_that_ships_is_what_quantisation_gives() -> None:
    quantized, _ = quantize_model(shipped_model(), shipped_calibration())
    for name, content in quantized_files(quantized).items():
        assert (shipped_quantized_path() / name).read_bytes() == content, name


@pytest.mark.parametrize("method", ["percentile", "max"])
def test_every_tensor_follows_the_float_model(method: str) -> None:
    model, images = float_model(), pictures(32)
    _, report = quantize_model(model, images, method=method)
    names = {row.name for row in report.rows}
    assert {"patch", "x.0.attn", "blocks.1.q", "blocks.1.score", "blocks.0.gelu", "norm", "logits"} <= names
    for row in report.rows:
        assert row.sqnr_db > 18, row.name  # 3 bits above the noise of int8 would be broken folding, not rounding
        assert row.low <= row.high
        assert row.scale > 0


def test_logits_agree_with_float_on_other_images() -> None:
    model = float_model()
    quantized, _ = quantize_model(model, pictures(64))
    images = pictures(48)
    logits = golden_forward(quantized, images) * quantized.scales["logits"]
    assert sqnr_db(float_forward(model, images), logits) > 20


def test_percentile_clips_what_max_keeps() -> None:
    model, images = float_model(), pictures(32)
    by_max = calibrate(model, images, method="max")
    by_percentile = calibrate(model, images, method="percentile", percentile=99.0)
    for name, span in by_max.items():
        assert span.clip == pytest.approx(span.magnitude)
        assert by_percentile[name].clip <= span.clip
    assert by_percentile["blocks.0.fc1"].clip < 0.95 * by_max["blocks.0.fc1"].clip


def test_calibration_does_not_depend_on_the_batch_for_max() -> None:
    model, images = float_model(), pictures(10)
    whole = calibrate(model, images, method="max", batch=10)
    parts = calibrate(model, images, method="max", batch=3)
    for name, span in whole.items():
        assert parts[name].clip == pytest.approx(span.clip, rel=1e-5)


@given(
    seed=st.integers(0, 2**32 - 1),
    weight_exponent=st.integers(-40, 10),
    bias_exponent=st.integers(-30, 6),
    scale_exponent=st.integers(-12, 4),
)
def test_a_linear_layer_keeps_every_range(
    seed: int, weight_exponent: int, bias_exponent: int, scale_exponent: int
) -> None:
    """Whatever the magnitudes, parameters stay in range and the result is within rounding of the float layer."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((6, 16)) * 2.0**weight_exponent
    weight[0] = 0
    bias = rng.standard_normal(6) * 2.0**bias_exponent
    scale_in = 2.0**scale_exponent
    x = rng.integers(-127, 128, (40, 16)).astype(np.int8)
    real = (x * scale_in) @ weight.T + bias
    scale_out = max(float(np.abs(real).max()), 1e-6) / 127
    layer = quantize_linear("layer", weight, bias, scale_in, scale_out)
    assert np.abs(layer.weight).max() <= 127
    assert layer.mult.min() >= 1 << 15 and layer.mult.max() < 1 << 16
    assert layer.shift.min() >= 1 and layer.shift.max() <= 40
    reach = np.abs(layer.weight.astype(np.int64)).sum(axis=1) * 128 + np.abs(layer.bias.astype(np.int64))
    assert reach.max() < ACCUMULATOR_LIMIT
    # One step for rounding, and half a weight step for each input.
    row_scale = layer.mult * 2.0 ** -layer.shift.astype(float) * scale_out / scale_in
    tolerance = 1.01 + np.abs(x).sum(axis=1)[:, None] * (0.5 * row_scale * scale_in / scale_out)[None, :]
    tolerance = tolerance + 127 * 2.0**-14  # the multiplier has 16 bits
    assert (np.abs(linear(x, layer) - real / scale_out) <= tolerance).all()


def test_a_row_that_overflows_the_accumulator_is_named() -> None:
    weight = np.ones((2, 8192))
    with pytest.raises(ModelError, match=r"blocks\.3\.fc2: row 0 .* 27-bit"):
        quantize_linear("blocks.3.fc2", weight, np.zeros(2), 1.0, 1.0)


@pytest.mark.parametrize(("method", "percentile"), [("median", 99.0), ("percentile", 0.0), ("percentile", 101.0)])
def test_wrong_method_or_percentile(method: str, percentile: float) -> None:
    with pytest.raises(ConfigError):
        quantize_model(float_model(), pictures(2), method=method, percentile=percentile)


def test_images_of_the_wrong_shape() -> None:
    with pytest.raises(ModelError, match="8, 8, 3"):
        quantize_model(float_model(), np.zeros((4, 9, 8, 3), np.uint8))


def test_tensors_that_are_always_zero() -> None:
    model = float_model()
    tensors = dict(model.tensors)
    for name in ("blocks.0.fc2.weight", "blocks.0.fc2.bias", "blocks.1.qkv.weight", "blocks.1.qkv.bias"):
        tensors[name] = np.zeros_like(tensors[name])
    dead = dataclasses.replace(model, tensors=tensors)
    quantized, _ = quantize_model(dead, pictures(16))
    logits = golden_forward(quantized, pictures(16)) * quantized.scales["logits"]
    assert sqnr_db(float_forward(dead, pictures(16)), logits) > 20
