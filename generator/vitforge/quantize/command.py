# SPDX-License-Identifier: Apache-2.0
"""`vitforge quantize`: a float model file to a directory of integers."""

from __future__ import annotations

from pathlib import Path

from vitforge.errors import ConfigError
from vitforge.model.source import resolve_float
from vitforge.output import check_output
from vitforge.quantize.calibrate import DEFAULT_PERCENTILE, Progress, check_method
from vitforge.quantize.quantizer import quantize_model
from vitforge.quantize.report import QuantReport
from vitforge.quantize.store import MARKER, save_quantized


def quantize_files(
    model: Path | str,
    calibration: Path | None,
    output: Path,
    *,
    method: str = "percentile",
    percentile: float | None = None,
    images: int | None = None,
    progress: Progress | None = None,
) -> QuantReport:
    """Quantises the safetensors file ``model`` on the first ``images`` images of ``calibration`` into ``output``.

    One of `vitforge.model.deit.DEIT_NAMES` goes for ``model`` too, and needs no ``calibration``.

    Raises
    ------
    ModelError
        If the model or the images are not usable.
    ConfigError
        If an option is out of range.
    OutputError
        If ``output`` exists and is not ours, or cannot be written.
    """
    percentile = DEFAULT_PERCENTILE if percentile is None else percentile
    check_method(method, percentile)
    if images is not None and images < 1:
        raise ConfigError(f"images is {images}; calibration needs at least 1")
    check_output(output, MARKER)
    float_model, pictures = resolve_float(model, calibration, images)
    quantized, report = quantize_model(float_model, pictures, method=method, percentile=percentile, progress=progress)
    save_quantized(quantized, report, output)
    return report
