# SPDX-License-Identifier: Apache-2.0
"""ONNX Resize, axis by axis: how exporters bring a position table to another image size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLAGS = {"antialias": 0, "exclude_outside": 0, "keep_aspect_ratio_policy": "stretch"}  # that are not built otherwise


def resize(data: NDArray, sizes: Sequence[int], factors: Sequence[float], attrs: Mapping[str, Any]) -> NDArray:
    """``data`` at ``sizes``. Raises ValueError for an option that is not built."""
    for name, value in _FLAGS.items():
        if attrs.get(name, value) != value:
            raise ValueError(f"{name}={attrs[name]!r} is not built")
    result = data.astype(np.float64)
    for axis, (old, new, factor) in enumerate(zip(data.shape, sizes, factors, strict=True)):
        if new != old or factor != 1:
            weights = _axis_weights(old, new, factor, attrs)
            result = np.moveaxis(np.tensordot(weights, result, axes=(1, axis)), 0, axis)
    return result.astype(data.dtype)


def _axis_weights(old: int, new: int, factor: float, attrs: Mapping[str, Any]) -> NDArray[np.float64]:
    """(new, old): the share of every old sample in every new one."""
    weights: NDArray[np.float64] = np.zeros((new, old))
    mode = attrs.get("mode", "nearest")
    for i in range(new):
        place = _place(i, old, new, factor, attrs.get("coordinate_transformation_mode", "half_pixel"))
        for sample, share in _taps(place, mode, attrs):
            weights[i, min(max(sample, 0), old - 1)] += share
    return weights


def _place(i: int, old: int, new: int, factor: float, mode: str) -> float:
    if mode == "half_pixel":
        return (i + 0.5) / factor - 0.5
    if mode == "pytorch_half_pixel":
        return (i + 0.5) / factor - 0.5 if new > 1 else 0.0
    if mode == "align_corners":
        return i * (old - 1) / (new - 1) if new > 1 else 0.0
    if mode == "asymmetric":
        return i / factor
    raise ValueError(f"coordinate_transformation_mode={mode!r} is not built")


def _taps(place: float, mode: str, attrs: Mapping[str, Any]) -> list[tuple[int, float]]:
    """(sample, share) around ``place``."""
    below = math.floor(place)
    t = place - below
    if mode == "linear":
        return [(below, 1 - t), (below + 1, t)]
    if mode == "cubic":
        a = attrs.get("cubic_coeff_a", -0.75)
        return [(below + k, _cubic(abs(t - k), a)) for k in (-1, 0, 1, 2)]
    if mode == "nearest":
        return [(_nearest(place, attrs.get("nearest_mode", "round_prefer_floor")), 1.0)]
    raise ValueError(f"mode={mode!r} is not built")


def _cubic(distance: float, a: float) -> float:
    """Keys' kernel."""
    if distance <= 1:
        return ((a + 2) * distance - (a + 3)) * distance**2 + 1
    return ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a


def _nearest(place: float, mode: str) -> int:
    rounding = {
        "round_prefer_floor": lambda x: math.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: math.floor(x + 0.5),
        "floor": math.floor,
        "ceil": math.ceil,
    }
    return rounding[mode](place)
