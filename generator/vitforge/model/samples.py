# SPDX-License-Identifier: Apache-2.0
"""Pictures to run a model on when the user gave none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.model.images import load_images
from vitforge.model.shipped import shipped_heldout, shipped_model
from vitforge.model.vit import ViTShape

_SEED = 20261123
_FIRST_DIGIT = 64  # of the samples: one of the next twelve is taken for another, and a picture should be honest
_DIGITS = "The images are handwritten digits, held out of the training."
_CALIBRATION = "The images are the first ones of the calibration."
_DRAWN = "The images are drawn at random; after `vitforge generate --calibration IMAGES` they would be yours."


@dataclass(frozen=True)
class Samples:
    """Images that a project carries: (n, H, W, C) uint8, a sentence about them, and their n classes, if known."""

    images: NDArray[np.uint8]
    what: str
    truth: NDArray[np.uint8] | None = None


def project_samples(
    shape: ViTShape, labels: tuple[str, ...], count: int, least: int, calibration: str | Path | None = None
) -> Samples:
    """``count`` samples for a model: the first images of the file ``calibration``, or `sample_images`.

    A file may have fewer; they are repeated until there are ``least``. Raises ModelError as `load_images` does.
    """
    if calibration is not None:
        images = load_images(Path(calibration), shape)[:count]
        return Samples(np.resize(images, (max(least, len(images)), *images.shape[1:])), _CALIBRATION)
    images = sample_images(shape, _FIRST_DIGIT + count)[_FIRST_DIGIT:]
    digits, truth = (part[_FIRST_DIGIT : _FIRST_DIGIT + count] for part in shipped_heldout())
    if not np.array_equal(images, digits):
        return Samples(images, _DRAWN)
    return Samples(images, _DIGITS, truth if labels == shipped_model().labels else None)


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
