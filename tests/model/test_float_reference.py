# SPDX-License-Identifier: Apache-2.0
"""The float model against another implementation: einsum, one image at a time, LayerScale as the papers write it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.support import FACTS, SHAPE, random_images, random_model, timm_tensors, write
from vitforge.model.float_vit import forward
from vitforge.model.safetensors_io import load_model, save_model

Tensors = dict[str, np.ndarray]
ERF = np.vectorize(math.erf)


def normed(x: np.ndarray, t: Tensors, name: str) -> np.ndarray:
    deviation = np.sqrt(x.var(axis=1) + SHAPE.norm_eps)
    return np.einsum("td,t,d->td", x - x.mean(axis=1)[:, None], 1 / deviation, t[f"{name}.weight"]) + t[f"{name}.bias"]


def attended(x: np.ndarray, t: Tensors, name: str) -> np.ndarray:
    h = SHAPE.num_heads
    weight = t[f"{name}.qkv.weight"].reshape(3, h, -1, x.shape[1])
    q, k, v = np.einsum("td,shcd->shtc", x, weight) + t[f"{name}.qkv.bias"].reshape(3, h, 1, -1)
    power = np.exp(np.einsum("hic,hjc->hij", q, k) * q.shape[-1] ** -0.5)
    mixed = np.einsum("hij,hjc,hi->ihc", power, v, 1 / power.sum(axis=2))
    return (
        np.einsum("ihc,dhc->id", mixed, t[f"{name}.proj.weight"].reshape(-1, *mixed.shape[1:])) + t[f"{name}.proj.bias"]
    )


def features(t: Tensors, picture: np.ndarray, scales: Tensors) -> np.ndarray:
    """(tokens, D) after the last norm, from timm's names, for pixels in [0, 1] already normalised."""
    p = SHAPE.patch_size
    kernel = t["patch.weight"].reshape(-1, SHAPE.channels, p, p)
    rows = [
        np.einsum("ijc,dcij->d", picture[y : y + p, x : x + p], kernel) + t["patch.bias"]
        for y in range(0, SHAPE.image_size[0], p)
        for x in range(0, SHAPE.image_size[1], p)
    ]
    x = np.stack([t["cls"], *rows]) + t["pos"]
    for i in range(SHAPE.depth):
        b = f"blocks.{i}"
        x = x + scales[f"{b}.ls1"] * attended(normed(x, t, f"{b}.norm1"), t, b)
        hidden = np.einsum("td,hd->th", normed(x, t, f"{b}.norm2"), t[f"{b}.fc1.weight"]) + t[f"{b}.fc1.bias"]
        hidden = hidden * (1 + ERF(hidden / math.sqrt(2))) / 2
        x = x + scales[f"{b}.ls2"] * (np.einsum("th,dh->td", hidden, t[f"{b}.fc2.weight"]) + t[f"{b}.fc2.bias"])
    return normed(x, t, "norm")


def layer_scales(seed: int) -> Tensors:
    rng = np.random.default_rng(seed)
    names = [f"blocks.{i}.{scale}" for i in range(SHAPE.depth) for scale in ("ls1", "ls2")]
    return {name: rng.uniform(0.2, 2, SHAPE.embed_dim).astype(np.float32) for name in names}


@pytest.mark.parametrize("head", [True, False], ids=["class head", "backbone"])
def test_imported_with_layer_scale(tmp_path: Path, head: bool) -> None:
    model, scales, images = random_model(5), layer_scales(6), random_images(3)
    tensors = timm_tensors(model) | {f"{name}.gamma": value for name, value in scales.items()}
    facts = FACTS
    if not head:
        tensors = {name: value for name, value in tensors.items() if not name.startswith("head")}
        facts = {**FACTS, "labels": []}
    loaded = load_model(write(tmp_path / "m.safetensors", tensors, facts))
    assert loaded.shape == (SHAPE if head else replace(SHAPE, num_classes=0))
    wide = {name: value.astype(np.float64) for name, value in model.tensors.items()}
    pixels = (images / 255 - model.mean) / model.std
    expected = np.stack([features(wide, picture, scales) for picture in pixels])
    if head:
        expected = np.einsum("nd,cd->nc", expected[:, 0], wide["head.weight"]) + wide["head.bias"]
    np.testing.assert_allclose(forward(loaded, images, dtype=np.float64), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(forward(loaded, images), expected, rtol=1e-3, atol=1e-3)


def test_a_backbone_is_saved_and_loaded(tmp_path: Path) -> None:
    model = random_model()
    tensors = {name: value for name, value in model.tensors.items() if not name.startswith("head")}
    backbone = replace(model, shape=replace(SHAPE, num_classes=0), labels=(), tensors=tensors)
    save_model(backbone, tmp_path / "backbone.safetensors")
    loaded = load_model(tmp_path / "backbone.safetensors")
    assert (loaded.shape, loaded.labels) == (backbone.shape, ())
    assert all(np.array_equal(loaded.tensors[name], value) for name, value in tensors.items())
