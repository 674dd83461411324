# SPDX-License-Identifier: Apache-2.0
"""Models without a class head: features of every token, from the same parameters as a model with one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitforge.errors import ModelError
from vitforge.golden.random_model import random_images, random_linear, random_quant_model
from vitforge.golden.vit import forward
from vitforge.golden.vit_float import forward_float
from vitforge.model.vit import ViTShape
from vitforge.quantize.store import load_quantized, save_quantized

SHAPE = ViTShape(
    image_size=(6, 8), channels=2, patch_size=2, embed_dim=12, depth=2, num_heads=3, hidden_dim=20, num_classes=0
)


@pytest.mark.parametrize("kind", [{}, {"extreme": True}, {"zero": True}], ids=["random", "extreme", "zero"])
def test_class_token_feeds_the_head_that_a_class_model_has(kind: dict[str, bool]) -> None:
    rng = np.random.default_rng(3)
    backbone = random_quant_model(rng, SHAPE, **kind)
    images = random_images(rng, SHAPE, 5)
    features = forward(backbone, images)
    assert backbone.head is None and backbone.labels == ()
    assert features.dtype == np.int8 and features.shape == (5, SHAPE.seq_len, SHAPE.embed_dim)
    head = random_linear(rng, SHAPE.embed_dim, 4, 40.0, 20000.0)
    seen: dict[str, np.ndarray] = {}
    forward(replace(backbone, head=head, shape=replace(SHAPE, num_classes=4)), images, seen.__setitem__)
    assert np.array_equal(features[:, 0], seen["norm"])


def test_batches_and_observer() -> None:
    rng = np.random.default_rng(4)
    model = random_quant_model(rng, SHAPE)
    images = random_images(rng, SHAPE, 5)
    seen: dict[str, np.ndarray] = {}
    features = forward(model, images, seen.__setitem__)
    assert np.array_equal(seen["norm"], features) and "logits" not in seen
    assert np.array_equal(forward(model, images, batch=2), features)
    assert forward(model, images[:0]).shape == (0, SHAPE.seq_len, SHAPE.embed_dim)


def test_integers_follow_the_reals() -> None:
    rng = np.random.default_rng(5)
    model = random_quant_model(rng, SHAPE)
    images = random_images(rng, SHAPE, 8)
    reference = forward_float(model, images)
    assert reference.shape == forward(model, images).shape
    assert np.sqrt(np.mean((forward(model, images) - reference) ** 2)) < 0.06 * reference.std()


def test_stored_and_loaded(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    model = random_quant_model(rng, SHAPE)
    save_quantized(model, None, tmp_path / "int8")
    loaded = load_quantized(tmp_path / "int8")
    images = random_images(rng, SHAPE, 3)
    assert loaded.head is None and loaded.feature_scale == model.feature_scale
    assert np.array_equal(forward(loaded, images), forward(model, images))
    content = (tmp_path / "int8" / "model.json").read_text().replace('"norm"', '"other"')
    (tmp_path / "int8" / "model.json").write_text(content)
    with pytest.raises(ModelError, match="'norm' is missing"):
        load_quantized(tmp_path / "int8")
