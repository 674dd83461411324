# SPDX-License-Identifier: Apache-2.0
"""The whole integer model: what the accelerator computes, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.arith import INT8_LIMIT, INT16_LIMIT
from vitforge.golden.attention import attention
from vitforge.golden.gelu import gelu
from vitforge.golden.layer_norm import layer_norm
from vitforge.golden.linear import linear
from vitforge.golden.patch import check_images, extract_patches
from vitforge.quantize.model import QuantBlock, QuantModel

Observe = Callable[[str, NDArray], None]


def residual_add(x: NDArray[np.int16], branch: NDArray[np.int16]) -> NDArray[np.int16]:
    """``clamp(x + branch, +-32767)``."""
    total = x.astype(np.int32) + branch
    return np.clip(total, -INT16_LIMIT, INT16_LIMIT, out=total).astype(np.int16)


def _ignore(name: str, value: NDArray) -> None:
    """Observer of a run that nobody watches."""


def self_attention_branch(
    x: NDArray[np.int16], block: QuantBlock, num_heads: int, prefix: str = "", observe: Observe = _ignore
) -> NDArray[np.int16]:
    """proj(attention(qkv(norm1(x)))): x (n, N, D) int16 -> branch (n, N, D) int16 at the scale of x."""
    normed = layer_norm(x, block.norm1)
    observe(prefix + "norm1", normed)
    qkv = linear(normed, block.qkv)
    q, k, v = np.split(qkv, 3, axis=-1)
    for name, value in zip("qkv", (q, k, v), strict=True):
        observe(prefix + name, value)
    mixed = attention(q, k, v, block, num_heads, lambda name, value: observe(prefix + name, value))
    observe(prefix + "context", mixed)
    branch = linear(mixed, block.proj, INT16_LIMIT)
    observe(prefix + "proj", branch)
    return branch


def mlp_branch(
    x: NDArray[np.int16], block: QuantBlock, prefix: str = "", observe: Observe = _ignore
) -> NDArray[np.int16]:
    """fc2(gelu(fc1(norm2(x)))): x (n, N, D) int16 -> branch (n, N, D) int16 at the scale of x."""
    normed = layer_norm(x, block.norm2)
    observe(prefix + "norm2", normed)
    hidden = linear(normed, block.fc1, INT8_LIMIT)
    observe(prefix + "fc1", hidden)
    hidden = gelu(hidden, block.gelu)
    observe(prefix + "gelu", hidden)
    branch = linear(hidden, block.fc2, INT16_LIMIT)
    observe(prefix + "fc2", branch)
    return branch


def _forward_batch(model: QuantModel, images: NDArray[np.uint8], observe: Observe) -> NDArray[np.signedinteger]:
    branch = linear(extract_patches(images, model.shape), model.patch, INT16_LIMIT)
    observe("patch", branch)
    x = model.x0.astype(np.int16)
    for i, block in enumerate(model.blocks):
        x = residual_add(x, branch)
        observe(f"x.{i}.attn", x)
        x = residual_add(x, self_attention_branch(x, block, model.shape.num_heads, f"blocks.{i}.", observe))
        observe(f"x.{i}.mlp", x)
        branch = mlp_branch(x, block, f"blocks.{i}.", observe)
    x = residual_add(x, branch)
    normed = layer_norm(x if model.head is None else x[:, 0], model.norm)
    observe("norm", normed)
    if model.head is None:
        return normed
    logits = linear(normed, model.head, None)
    observe("logits", logits)
    return logits


def forward(
    model: QuantModel, images: NDArray[np.uint8], observe: Observe | None = None, batch: int = 64
) -> NDArray[np.signedinteger]:
    """Logits (n, classes) int32 of images (n, height, width, channels) uint8.

    A model without a class head gives features (n, N, D) int8, the last layer norm of every token, in steps of
    ``model.feature_scale``.

    observe : called once per batch of images as ``observe(name, array)`` with every intermediate: "patch" (branch),
        "x.{i}.attn" and "x.{i}.mlp" (residual stream after its add), "blocks.{i}.X" with X one of norm1, q, k, v,
        score, context, proj, norm2, fc1, gelu, fc2, then "norm" and "logits". Arrays are (n, N, channels);
        scores (n, H, N, N); norm and logits, of the class token only, (n, channels); without a class head there are
        no logits, and norm is of every token
    batch : images computed at once; bounds memory, changes no result

    Raises ModelError for images of another shape or type.
    """
    check_images(images, model.shape)
    dtype = np.int8 if model.head is None else np.int32
    results: NDArray = np.zeros((len(images), *model.shape.output_shape), dtype=dtype)
    for first in range(0, len(images), batch):
        results[first : first + batch] = _forward_batch(model, images[first : first + batch], observe or _ignore)
    return results
