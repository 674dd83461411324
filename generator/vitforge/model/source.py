# SPDX-License-Identifier: Apache-2.0
"""What a user may name as a model: nothing (the one that ships), a quantised directory, or a float file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.model.safetensors_io import load_model
from vitforge.model.shipped import shipped_quantized_path
from vitforge.quantize.model import QuantModel
from vitforge.quantize.quantizer import quantize_model
from vitforge.quantize.store import load_quantized

SHIPPED_NAMES = ("mnist_vit",)


def resolve_model(source: str | Path | None, calibration: NDArray[np.uint8] | None = None) -> QuantModel:
    """The integer model of ``source``: None or a shipped name, a directory that ``vitforge quantize`` wrote, or a
    safetensors file with ``calibration`` images (n, H, W, C) uint8.

    Raises ModelError where it is none of these.
    """
    if source is None or str(source) in SHIPPED_NAMES:
        return load_quantized(shipped_quantized_path())
    path = Path(source)
    if path.is_dir() and (path / "model.json").is_file():
        return load_quantized(path)
    model = load_model(path)
    if calibration is None:
        raise ModelError(
            f"{path} is a float model: quantise it first (vitforge quantize {path} --calibration IMAGES -o QDIR) "
            "and give QDIR, or give --calibration IMAGES here"
        )
    return quantize_model(model, calibration)[0]
