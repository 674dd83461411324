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
from vitforge.model.vit import ViTModel

Method = Literal["percentile", "max"]
METHODS: tuple[Method, ...] = ("percentile", "max")
DEFAULT_PERCENTILE = 99.99
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


def calibrate(
    model: ViTModel,
    images: NDArray[np.uint8],
    *,
    method: str = "percentile",
    percentile: float = DEFAULT_PERCENTILE,
    batch: int = 64,
    progress: Progress | None = None,
) -> dict[str, Range]:
    """Tensor name -> `Range` over images (n, H, W, C) uint8, ``batch`` at a time.

    "max" clips at the largest magnitude; "percentile" at the largest of the batches' percentiles of the magnitude, so
    that memory stays bounded by one batch. Computed in float64, so that every machine finds the same integers.

    Raises ConfigError for a wrong method or percentile, ModelError where there are no images, they do not fit the
    model, or a tensor leaves the range of float32 on them.
    """
    check_method(method, percentile)
    if len(images) == 0:
        raise ModelError("calibration has no images; give at least 1")
    ranges: dict[str, Range] = {}

    def observe(name: str, value: NDArray) -> None:
        magnitude = np.abs(value)
        if not magnitude.max() <= _LARGEST:
            raise ModelError(f"{name} leaves the range of float32 on the calibration images; its weights are too large")
        # In float32, so that the last bits of a float64 sum, which differ between processors, decide nothing.
        clip = float(np.float32(magnitude.max() if method == "max" else np.percentile(magnitude, percentile)))
        seen = Range(low=float(np.float32(value.min())), high=float(np.float32(value.max())), clip=clip)
        old = ranges.get(name, seen)
        ranges[name] = Range(low=min(old.low, seen.low), high=max(old.high, seen.high), clip=max(old.clip, seen.clip))

    for first in range(0, len(images), batch):
        if progress is not None:
            progress("calibrate", first, len(images))
        forward(model, images[first : first + batch], observe=observe, batch=batch, dtype=np.float64)
    return ranges
