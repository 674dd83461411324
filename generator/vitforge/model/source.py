# SPDX-License-Identifier: Apache-2.0
"""What a user may name as a model: nothing (the one that ships), a known name, a quantised directory, a float file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.model.deit import CALIBRATION_IMAGES, DEIT_NAMES, seeded_deit
from vitforge.model.float_file import load_float_model
from vitforge.model.images import load_images
from vitforge.model.samples import sample_images
from vitforge.model.shipped import SHIPPED, shipped_quantized_path
from vitforge.model.vit import ViTModel
from vitforge.quantize.calibrate import DEFAULT_PERCENTILE
from vitforge.quantize.model import QuantModel
from vitforge.quantize.quantizer import quantize_model
from vitforge.quantize.report import QuantReport
from vitforge.quantize.store import MARKER, load_quantized, load_report
from vitforge.validate import nearest

MODEL_NAMES = (SHIPPED, *DEIT_NAMES)
Progress = Callable[[str, int, int], None]  # (what, done, total)


def is_model_name(source: str | Path) -> bool:
    """Whether ``source`` is one of `MODEL_NAMES`, and no file or directory of that name hides behind it.

    Raises ModelError where it can only be meant as a name, a bare word that exists nowhere, and is not a known one.
    """
    path = Path(source)
    if os.path.exists(source) or path.suffix or len(path.parts) != 1 or str(source) != path.name:
        return False
    if str(source) in MODEL_NAMES:
        return True
    raise ModelError(
        f"there is no model or file {str(source)!r}{nearest(str(source), MODEL_NAMES)}; give "
        f"{', '.join(MODEL_NAMES)}, a directory of vitforge quantize, or a safetensors or ONNX file"
    )


def resolve_float(
    source: str | Path, calibration: str | Path | None, images: int | None = None
) -> tuple[ViTModel, NDArray[np.uint8]]:
    """The float model of ``source`` and the pictures to quantise it on: the first ``images`` of ``calibration``.

    source : one of `DEIT_NAMES`, which bring pictures of their own where ``calibration`` is None, or a file

    Raises ModelError where it is neither, or a file comes without pictures.
    """
    if is_model_name(source) and str(source) in DEIT_NAMES:
        model = seeded_deit(str(source))
        if calibration is None:
            return model, sample_images(model.shape, images or CALIBRATION_IMAGES)
    else:
        model = load_float_model(source)
    if calibration is None:
        raise ModelError(
            f"{source} is a float model: quantise it first (vitforge quantize {source} --calibration IMAGES -o QDIR) "
            "and give QDIR, or give --calibration IMAGES here"
        )
    return model, load_images(Path(calibration), model.shape)[:images]


def resolve_model(source: str | Path | None, calibration: str | Path | None = None, **options: Any) -> QuantModel:
    """The integer model of ``source``; see `resolve_quantized`."""
    return resolve_quantized(source, calibration, **options)[0]


def resolve_quantized(
    source: str | Path | None,
    calibration: str | Path | None = None,
    *,
    images: int | None = None,
    method: str = "percentile",
    percentile: float = DEFAULT_PERCENTILE,
    progress: Progress | None = None,
) -> tuple[QuantModel, QuantReport | None]:
    """The integer model of ``source``, and what quantisation did to it if that is known.

    source : None or one of `MODEL_NAMES`; a directory that ``vitforge quantize`` wrote; or a safetensors or
        ONNX file, which is quantised on the first ``images`` of the file ``calibration``. A file or directory goes
        before a name.

    Raises ModelError where it is none of these.
    """
    if source is None or (is_model_name(source) and str(source) == SHIPPED):
        source = shipped_quantized_path()
    if (Path(source) / MARKER).is_file():
        return load_quantized(Path(source)), load_report(Path(source))
    if progress is not None:
        progress("load model", 0, 1)
    model, pictures = resolve_float(source, calibration, images)
    return quantize_model(model, pictures, method=method, percentile=percentile, progress=progress)
