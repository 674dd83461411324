# SPDX-License-Identifier: Apache-2.0
"""The published DeiT shapes with seeded random weights: for figures of speed and resources, which no weight changes.

They recognise nothing. Shapes and tensor names are those of timm, so a trained file can take their place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vitforge.errors import ModelError
from vitforge.model.vit import FloatArray, ViTModel, ViTShape
from vitforge.validate import nearest

CALIBRATION_IMAGES = 2  # random weights have no rare activations that more images would find
_WIDTHS: Mapping[str, tuple[int, int]] = {  # embed_dim, num_heads
    "deit_tiny": (192, 3),
    "deit_small": (384, 6),
    "deit_base": (768, 12),
}
DEIT_NAMES = tuple(_WIDTHS)
_SPREAD = 0.02  # timm's trunc_normal_; it cuts at +-2, a hundred deviations out, so nothing is ever cut
_SCORE_SPREAD = 2.0  # of q.k / sqrt(head_dim); with timm's .02 it is about .1 and every key weighs the same
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def deit_shape(name: str) -> ViTShape:
    """Architecture of ``name``, one of `DEIT_NAMES`; raises ModelError for another name."""
    if name not in _WIDTHS:
        raise ModelError(f"unknown DeiT {name!r}{nearest(name, DEIT_NAMES)}; they are {', '.join(DEIT_NAMES)}")
    width, heads = _WIDTHS[name]
    return ViTShape(
        image_size=(224, 224),
        channels=3,
        patch_size=16,
        embed_dim=width,
        depth=12,
        num_heads=heads,
        hidden_dim=4 * width,
        num_classes=1000,
    )


def seeded_deit(name: str, seed: int = 0) -> ViTModel:
    """``name``, one of `DEIT_NAMES`, with weights drawn from ``seed``; the same seed gives the same weights."""
    shape = deit_shape(name)
    return seeded_vit(name, shape, seed)


def seeded_vit(name: str, shape: ViTShape, seed: int = 0) -> ViTModel:
    """A model of any RGB ``shape`` with seeded weights, attention that is not uniform, and no labels but numbers."""
    draw = _Draw(seed)
    width, hidden = shape.embed_dim, shape.hidden_dim
    tensors = draw.linear("patch", width, shape.patch_len)
    tensors |= {"cls": draw.normal(width), "pos": draw.normal(shape.seq_len, width)}
    for i in range(shape.depth):
        block = f"blocks.{i}."
        tensors |= draw.norm(block + "norm1", width)
        tensors |= draw.linear(block + "qkv", 3 * width, width)
        # q and k of a normalised token then spread by the root of what their product is to spread by.
        tensors[block + "qkv.weight"][: 2 * width] *= np.float32(math.sqrt(_SCORE_SPREAD / width) / _SPREAD)
        tensors |= draw.linear(block + "proj", width, width)
        tensors |= draw.norm(block + "norm2", width)
        tensors |= draw.linear(block + "fc1", hidden, width)
        tensors |= draw.linear(block + "fc2", width, hidden)
    tensors |= draw.norm("norm", width)
    tensors |= draw.linear("head", shape.num_classes, width)
    labels = tuple(str(i) for i in range(shape.num_classes))
    return ViTModel(name=name, shape=shape, mean=_MEAN, std=_STD, labels=labels, tensors=tensors)


class _Draw:
    """Tensors from one stream of random numbers."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def normal(self, *shape: int, mean: float = 0.0) -> FloatArray:
        value = self._rng.standard_normal(shape, dtype=np.float32)
        value *= np.float32(_SPREAD)
        return value + np.float32(mean) if mean else value

    def linear(self, name: str, rows: int, columns: int) -> dict[str, FloatArray]:
        return {f"{name}.weight": self.normal(rows, columns), f"{name}.bias": self.normal(rows)}

    def norm(self, name: str, width: int) -> dict[str, FloatArray]:
        return {f"{name}.weight": self.normal(width, mean=1.0), f"{name}.bias": self.normal(width)}
