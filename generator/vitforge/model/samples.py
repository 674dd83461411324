# SPDX-License-Identifier: Apache-2.0
"""Pictures to run a model on when the user gave none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.model.shipped import shipped_heldout
from vitforge.model.vit import ViTShape

_SEED = 20261123


def sample_images(shape: ViTShape, count: int) -> NDArray[np.uint8]:
    """``count`` images (count, H, W, C) uint8 that fit ``shape``.

    Held-out digits where they fit; otherwise seeded random rectangles on noise, which have edges and flat areas.
    """
    images, _ = shipped_heldout()
    height, width = shape.image_size
    if images.shape[1:] == (height, width, shape.channels):
        return np.resize(images, (count, *images.shape[1:])) if count > len(images) else images[:count]
    rng = np.random.default_rng(_SEED)
    result = rng.integers(0, 64, (count, height, width, shape.channels), np.uint8)
    for picture in result:
        for _ in range(6):
            top, left = rng.integers(0, height), rng.integers(0, width)
            bottom, right = rng.integers(top, height) + 1, rng.integers(left, width) + 1
            picture[top:bottom, left:right] = rng.integers(0, 256, shape.channels)
    return result
