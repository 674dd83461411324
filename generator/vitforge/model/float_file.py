# SPDX-License-Identifier: Apache-2.0
"""Float models from files of every kind that can be imported."""

from __future__ import annotations

from pathlib import Path

from vitforge.model.onnx_import import load_onnx
from vitforge.model.safetensors_io import load_model
from vitforge.model.vit import ViTModel


def load_float_model(path: str | Path) -> ViTModel:
    """The ViT of a safetensors file, of a directory that has one, or of an ONNX file (.onnx).

    Raises ModelError where the file is not a whole Vision Transformer, ToolError where the onnx package is missing.
    """
    return load_onnx(path) if Path(path).suffix.lower() == ".onnx" else load_model(path)
