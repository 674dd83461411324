# SPDX-License-Identifier: Apache-2.0
"""What quantisation did to each tensor: range, scale, and signal-to-quantisation-noise ratio."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.vit import forward as golden_forward
from vitforge.model.float_vit import forward as float_forward
from vitforge.model.vit import ViTModel
from vitforge.quantize.calibrate import Range, images_at_once
from vitforge.quantize.model import QuantModel

MEASURED_IMAGES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorRow:
    """One tensor on the calibration images."""

    name: str
    low: float  # smallest value seen
    high: float
    clip: float  # magnitude that the integers reach
    scale: float  # value of one step
    sqnr_db: float  # 10 log10(signal power / power of the difference to float) [dB]


@dataclass(frozen=True, kw_only=True)
class QuantReport:
    """All tensors, in the order of computation."""

    method: str
    images: int  # that SQNR was measured on
    rows: tuple[TensorRow, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data; JSON has no infinity, so the ratio of a tensor without error or without signal is None."""
        tensors = [asdict(row) for row in self.rows]
        for row in tensors:
            row["sqnr_db"] = row["sqnr_db"] if math.isfinite(row["sqnr_db"]) else None
        return {"method": self.method, "images": self.images, "tensors": tensors}

    def columns(self) -> tuple[str, ...]:
        """Heads of `table_rows`."""
        return ("tensor", "min", "max", "clipped at", "scale", "SQNR [dB]")

    def table_rows(self) -> list[tuple[object, ...]]:
        """One row a tensor, for a terminal."""
        return [
            (row.name, round(row.low, 3), round(row.high, 3), round(row.clip, 3), row.scale, round(row.sqnr_db, 1))
            for row in self.rows
        ]


def measure(
    model: ViTModel,
    quantized: QuantModel,
    images: NDArray[np.uint8],
    ranges: Mapping[str, Range],
    method: str,
    progress: Callable[[str, int, int], None] | None = None,
) -> QuantReport:
    """Runs float and golden model on the first `MEASURED_IMAGES` of ``images`` and compares every tensor."""
    if progress is not None:
        progress("measure SQNR", 0, 1)
    few, batch = images[:MEASURED_IMAGES], images_at_once(model.shape)
    powers: dict[str, NDArray] = {}  # name -> power of the reference and of the difference to it
    for first in range(0, len(few), batch):
        for name, value in _powers(model, quantized, few[first : first + batch]).items():
            powers[name] = powers.get(name, 0) + value
    rows = tuple(_row(name, ranges[name], quantized.scales[name], *power) for name, power in powers.items())
    return QuantReport(method=method, images=len(few), rows=rows)


def _row(name: str, span: Range, scale: float, signal: float, noise: float) -> TensorRow:
    sqnr = round(_ratio_db(signal, noise), 2)
    return TensorRow(name=name, low=span.low, high=span.high, clip=span.clip, scale=scale, sqnr_db=sqnr)


def _powers(model: ViTModel, quantized: QuantModel, images: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Of every tensor on a batch: (sum r^2, sum (r - v)^2)."""
    reference: dict[str, NDArray] = {}
    float_forward(model, images, observe=reference.__setitem__, batch=len(images), dtype=np.float64)
    powers: dict[str, NDArray] = {}

    def compare(name: str, value: NDArray) -> None:
        # The patch branch of the class token is the bias of a zero patch; only patches are compared.
        part = np.s_[:, 1:] if name == "patch" else np.s_[:]
        powers[name] = _signal_and_noise(reference.pop(name)[part], value[part] * quantized.scales[name])

    golden_forward(quantized, images, observe=compare, batch=len(images))
    return powers


def _signal_and_noise(reference: NDArray, value: NDArray) -> NDArray:
    reference = reference.astype(np.float64)
    return np.array([(reference * reference).sum(), ((reference - value) ** 2).sum()])


def sqnr_db(reference: NDArray, value: NDArray) -> float:
    """10 log10(sum r^2 / sum (r - v)^2); infinite where they agree, minus infinite where the reference is zero."""
    return _ratio_db(*_signal_and_noise(reference, value))


def _ratio_db(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
