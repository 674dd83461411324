# SPDX-License-Identifier: Apache-2.0
"""The model that ships: a small ViT for handwritten digits, its held-out images, and its quantised form."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.model.safetensors_io import load_model
from vitforge.model.vit import ViTModel
from vitforge.resources import data_dir

SHIPPED = "mnist_vit"


def _directory() -> Path:
    return data_dir("models") / SHIPPED


def shipped_model_path() -> Path:
    """Its float weights."""
    return _directory() / "model.safetensors"


def shipped_quantized_path() -> Path:
    """The directory that ``vitforge quantize`` makes of it with the calibration images."""
    return _directory() / "int8"


@cache
def shipped_model() -> ViTModel:
    """The float model."""
    return load_model(shipped_model_path())


@cache
def shipped_heldout() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(images (1000, 28, 28, 1) uint8, labels (1000,) uint8), which no training step saw."""
    with np.load(_directory() / "heldout.npz", allow_pickle=False) as content:
        return content["images"], content["labels"]


@cache
def shipped_calibration() -> NDArray[np.uint8]:
    """Training images (256, 28, 28, 1) uint8 for calibration."""
    with np.load(_directory() / "calibration.npz", allow_pickle=False) as content:
        return content["images"]
