# SPDX-License-Identifier: Apache-2.0
"""Images to patches, as the accelerator reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.golden.arith import INT8_LIMIT
from vitforge.model.vit import ViTShape

PIXEL_ZERO = 128  # pixel value that enters the array as 0


def check_images(images: NDArray[np.uint8], shape: ViTShape) -> None:
    """Raise ModelError unless ``images`` is (n, height, width, channels) uint8 for this model."""
    expected = (*shape.image_size, shape.channels)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
        raise ModelError(
            f"images are {images.dtype} of shape {images.shape}, but the model takes uint8 of shape "
            f"(n, {', '.join(map(str, expected))})"
        )


def _patch_rows(pixels: NDArray, shape: ViTShape) -> NDArray:
    """(n, H, W, C) -> (n, N, C*P*P): patches row-major, each flattened (channel, row, column); token 0 is zero.

    Pixels beyond the last whole patch are left out, as a strided convolution does.
    """
    size = shape.patch_size
    rows, columns = (edge // size for edge in shape.image_size)
    whole = pixels[:, : rows * size, : columns * size]
    tiles = whole.reshape(len(pixels), rows, size, columns, size, shape.channels).transpose(0, 1, 3, 5, 2, 4)
    tokens = np.zeros((len(pixels), shape.seq_len, shape.patch_len), dtype=pixels.dtype)
    tokens[:, 1:] = tiles.reshape(len(pixels), rows * columns, shape.patch_len)
    return tokens


def extract_patches(images: NDArray[np.uint8], shape: ViTShape) -> NDArray[np.int8]:
    """(n, N, C*P*P) int8: pixel p enters as ``max(p - 128, -127)``, the class token as an all-zero patch.

    images : (n, height, width, channels) uint8. -128 is clipped because a DSP48E1 cannot pack it.
    """
    check_images(images, shape)
    pixels = np.maximum(images.astype(np.int16) - PIXEL_ZERO, -INT8_LIMIT).astype(np.int8)
    return _patch_rows(pixels, shape)


def extract_patches_float(images: NDArray[np.uint8], shape: ViTShape) -> NDArray[np.float64]:
    """The same patches with pixel p as p - 128."""
    check_images(images, shape)
    return _patch_rows(images.astype(np.float64) - PIXEL_ZERO, shape)
