# SPDX-License-Identifier: Apache-2.0
"""The integer model in the reals: same parameters, same saturation, no rounding. Reference of `vitforge.golden.vit`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.arith import INT8_LIMIT, INT16_LIMIT, Float64
from vitforge.golden.attention import attention_float
from vitforge.golden.gelu import gelu_float
from vitforge.golden.layer_norm import layer_norm_float
from vitforge.golden.linear import linear_float
from vitforge.golden.patch import extract_patches_float
from vitforge.quantize.model import QuantModel


def residual_add_float(x: NDArray, branch: NDArray) -> Float64:
    """x + branch, saturated to the int16 range."""
    return np.clip(np.asarray(x, dtype=np.float64) + branch, -INT16_LIMIT, INT16_LIMIT)


def _block_float(model: QuantModel, i: int, x: Float64) -> tuple[Float64, Float64]:
    """(residual stream after attention, MLP branch) of block i, in units of the residual scale."""
    block = model.blocks[i]
    q, k, v = np.split(linear_float(layer_norm_float(x, block.norm1), block.qkv), 3, axis=-1)
    mixed = attention_float(q, k, v, block, model.shape.num_heads)
    x = residual_add_float(x, linear_float(mixed, block.proj, INT16_LIMIT))
    hidden = linear_float(layer_norm_float(x, block.norm2), block.fc1)
    scale_in, scale_out = model.scales[f"blocks.{i}.fc1"], model.scales[f"blocks.{i}.gelu"]
    hidden = np.clip(gelu_float(hidden * scale_in) / scale_out, -INT8_LIMIT, INT8_LIMIT)
    return x, linear_float(hidden, block.fc2, INT16_LIMIT)


def forward_float(model: QuantModel, images: NDArray[np.uint8]) -> Float64:
    """Logits (n, classes), in units of the int32 logits, of images (n, height, width, channels) uint8.

    Without a class head: features (n, N, D), in units of the int8 output.

    Reads the real scales of GELU from ``model.scales``: "blocks.{i}.fc1" and "blocks.{i}.gelu".
    """
    branch = linear_float(extract_patches_float(images, model.shape), model.patch, INT16_LIMIT)
    x = model.x0.astype(np.float64)
    for i in range(len(model.blocks)):
        x, branch = _block_float(model, i, residual_add_float(x, branch))
    x = residual_add_float(x, branch)
    if model.head is None:
        return layer_norm_float(x, model.norm)
    return linear_float(layer_norm_float(x[:, 0], model.norm), model.head, None)
