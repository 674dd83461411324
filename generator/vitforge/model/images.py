# SPDX-License-Identifier: Apache-2.0
"""Images from files, checked before anything is made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.golden.patch import check_images
from vitforge.model.vit import ViTShape

_KEY = "images"


def load_images(path: Path, shape: ViTShape | None = None) -> NDArray[np.uint8]:
    """Images (n, H, W, C) uint8 of a .npy file, or of the array "images" of a .npz file; (n, H, W) means one channel.

    Raises ModelError if the file is not that, or its images do not fit ``shape``.
    """
    images = _read(path)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) == 0:
        raise ModelError(
            f"{path}: images are {images.shape} {images.dtype}, "
            "expected (n, height, width, channels) uint8 with n at least 1"
        )
    if shape is not None:
        try:
            check_images(images, shape)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
    return images


def _read(path: Path) -> NDArray:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            names = content.files
            images = content[_KEY] if _KEY in names else None
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror or error}); give a .npy or .npz file of images"
        ) from None
    except Exception:  # a damaged header or archive raises what its parser, unzip or zlib happen to raise
        raise ModelError(f"{path} is not a .npy or .npz file of numbers; save images with numpy.save") from None
    if images is None:
        shown = ", ".join(repr(name) for name in names[:5]) or "nothing"
        raise ModelError(f"{path}: has no array '{_KEY}' (it has {shown}); save the images under that name")
    return images
