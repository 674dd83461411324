# SPDX-License-Identifier: Apache-2.0
"""Random float models with every tensor alive, and images for them."""

from __future__ import annotations

import numpy as np

from vitforge.model.vit import ViTModel, ViTShape

SHAPE = ViTShape(
    image_size=(8, 8), channels=3, patch_size=4, embed_dim=24, depth=2, num_heads=3, hidden_dim=40, num_classes=5
)


def float_model(seed: int = 0, scale: float = 1.0) -> ViTModel:
    """A random model with all tensors alive."""
    rng = np.random.default_rng(seed)
    d, hidden = SHAPE.embed_dim, SHAPE.hidden_dim

    def normal(*shape: int, spread: float = 1.0) -> np.ndarray:
        return (scale * spread * rng.standard_normal(shape)).astype(np.float32)

    tensors = {"cls": normal(d), "pos": normal(SHAPE.seq_len, d)}
    layers = {"patch": (d, SHAPE.patch_len), "head": (SHAPE.num_classes, d)}
    norms = ["norm"]
    for i in range(SHAPE.depth):
        layers |= {f"blocks.{i}.{n}": s for n, s in (("qkv", (3 * d, d)), ("proj", (d, d)))}
        layers |= {f"blocks.{i}.{n}": s for n, s in (("fc1", (hidden, d)), ("fc2", (d, hidden)))}
        norms += [f"blocks.{i}.norm1", f"blocks.{i}.norm2"]
    for name, (rows, columns) in layers.items():
        tensors |= {
            f"{name}.weight": normal(rows, columns, spread=columns**-0.5),
            f"{name}.bias": normal(rows, spread=0.1),
        }
    for name in norms:
        tensors |= {f"{name}.weight": 1 + normal(d, spread=0.2), f"{name}.bias": normal(d, spread=0.2)}
    return ViTModel(
        name="random",
        shape=SHAPE,
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.25, 0.3),
        labels=tuple("abcde"),
        tensors=tensors,
    )


def pictures(count: int) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, *SHAPE.image_size, SHAPE.channels), np.uint8)
