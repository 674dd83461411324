# SPDX-License-Identifier: Apache-2.0
"""What a user may name as a model: nothing (the one that ships), a quantised directory, or a float file."""

from __future__ import annotations

from pathlib import Path

from vitforge.errors import ModelError
from vitforge.model.images import load_images
from vitforge.model.safetensors_io import load_model
from vitforge.model.shipped import SHIPPED, shipped_quantized_path
from vitforge.quantize.calibrate import DEFAULT_PERCENTILE
from vitforge.quantize.model import QuantModel
from vitforge.quantize.quantizer import quantize_model
from vitforge.quantize.store import MARKER, load_quantized


def resolve_model(
    source: str | Path | None,
    calibration: str | Path | None = None,
    *,
    images: int | None = None,
    method: str = "percentile",
    percentile: float = DEFAULT_PERCENTILE,
) -> QuantModel:
    """The integer model of ``source``.

    source : None or the name of the model that ships; a directory that ``vitforge quantize`` wrote; or a safetensors
        file, which is quantised on the first ``images`` of the file ``calibration``

    Raises ModelError where it is none of these.
    """
    if source is None or str(source) == SHIPPED:
        return load_quantized(shipped_quantized_path())
    path = Path(source)
    if (path / MARKER).is_file():
        return load_quantized(path)
    model = load_model(path)
    if calibration is None:
        raise ModelError(
            f"{path} is a float model: quantise it first (vitforge quantize {path} --calibration IMAGES -o QDIR) "
            "and give QDIR, or give --calibration IMAGES here"
        )
    pictures = load_images(Path(calibration), model.shape)[:images]
    return quantize_model(model, pictures, method=method, percentile=percentile)[0]
