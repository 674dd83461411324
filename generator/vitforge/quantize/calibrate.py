# SPDX-License-Identifier: Apache-2.0
"""Calibration: the range of every tensor of a float model on given images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ConfigError, ModelError
from vitforge.model.float_vit import forward
from vitforge.model.vit import ViTModel, ViTShape

Method = Literal["percentile", "max", "smooth"]
METHODS: tuple[Method, ...] = ("percentile", "max", "smooth")
DEFAULT_PERCENTILE = 99.99
_BATCH_VALUES, _LARGEST_BATCH = 1 << 22, 64  # bounds the memory of a batch
_LARGEST = float(np.finfo(np.float32).max)
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """What one tensor spans: its extremes, and the magnitude that quantisation keeps."""

    low: float
    high: float
    clip: float

    @property
    def magnitude(self) -> float:
        """Largest absolute value seen."""
        return max(-self.low, self.high)


def check_method(method: str, percentile: float) -> None:
    """Raises ConfigError for an unknown method or a percentile outside (50, 100]."""
    if method not in METHODS:
        raise ConfigError(f"calibration method {method!r} is unknown; choose {' or '.join(METHODS)}")
    if not 50 < percentile <= 100:
        raise ConfigError(f"percentile is {percentile:g}; it must be above 50 and at most 100")


def images_at_once(shape: ViTShape) -> int:
    """Images whose largest tensor stays below `_BATCH_VALUES`."""
    widest = max(shape.hidden_dim, 3 * shape.embed_dim, shape.num_heads * shape.seq_len)
    return max(1, min(_LARGEST_BATCH, _BATCH_VALUES // (shape.seq_len * widest)))


def calibrate(
    model: ViTModel,
    images: NDArray[np.uint8],
    *,
    method: str = "percentile",
    percentile: float = DEFAULT_PERCENTILE,
    batch: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Range]:
    """Tensor name -> `Range` over images (n, H, W, C) uint8, ``batch`` at a time, by default `images_at_once`.

    "max" and "smooth" clip at the largest magnitude; "percentile" at the largest of the batches' percentiles of
    the magnitude, so that memory stays bounded by one batch. Computed in float64, so that every machine finds the same
    integers.

    Raises ConfigError for a wrong method or percentile, ModelError where there are no images, they do not fit the
    model, or a tensor leaves the range of float32 on them.
    """
    check_method(method, percentile)
    if len(images) == 0:
        raise ModelError("calibration has no images; give at least 1")
    batch = batch or images_at_once(model.shape)
    ranges: dict[str, Range] = {}

    def observe(name: str, value: NDArray) -> None:
        magnitude = np.abs(value)
        if not magnitude.max() <= _LARGEST:
            raise ModelError(f"{name} leaves the range of float32 on the calibration images; its weights are too large")
        # In float32, so that the last bits of a float64 sum, which differ between processors, decide nothing.
        clip = float(np.float32(np.percentile(magnitude, percentile) if method == "percentile" else magnitude.max()))
        seen = Range(low=float(np.float32(value.min())), high=float(np.float32(value.max())), clip=clip)
        old = ranges.get(name, seen)
        ranges[name] = Range(low=min(old.low, seen.low), high=max(old.high, seen.high), clip=max(old.clip, seen.clip))

    for first in range(0, len(images), batch):
        if progress is not None:
            progress("calibrate", first, len(images))
        forward(model, images[first : first + batch], observe=observe, batch=batch, dtype=np.float64)
    return ranges
