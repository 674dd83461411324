# SPDX-License-Identifier: Apache-2.0
"""The float reference: a pre-norm Vision Transformer in numpy, every tensor that quantisation touches observable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.patch import check_images
from vitforge.model.vit import ViTModel

Observe = Callable[[str, NDArray], None]
Real = type[np.floating[Any]]  # np.float32 or np.float64
_PIXEL_LEVELS = 255.0
_CDF_REACH, _CDF_STEPS = 8.0, 1 << 14


def _ignore(name: str, value: NDArray) -> None:
    """Observer of a run that nobody watches."""


def patches(images: NDArray[np.uint8], model: ViTModel, dtype: Real = np.float32) -> NDArray:
    """Normalised patches (n, patches, C*P*P), (channel, row, column) order, of images (n, H, W, C) uint8."""
    shape = model.shape
    size, (height, width) = shape.patch_size, shape.image_size
    mean: NDArray = np.asarray(model.mean, dtype)
    std: NDArray = np.asarray(model.std, dtype)
    pixels = (images.astype(dtype) / _PIXEL_LEVELS - mean) / std
    high, wide = height // size, width // size
    grid = pixels[:, : high * size, : wide * size].reshape(len(images), high, size, wide, size, shape.channels)
    return grid.transpose(0, 1, 3, 5, 2, 4).reshape(len(images), shape.num_patches, shape.patch_len)


def layer_norm(x: NDArray, weight: NDArray, bias: NDArray, eps: float) -> NDArray:
    """Over the last axis, with the biased variance."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(eps)) * weight + bias


@cache
def _cdf_table(dtype: str) -> tuple[NDArray, NDArray]:
    """Standard normal distribution function on a uniform grid, and its steps: numpy has no erf."""
    grid = np.linspace(-_CDF_REACH, _CDF_REACH, _CDF_STEPS + 2)
    values = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in grid])
    return values[:-1].astype(dtype), np.diff(values).astype(dtype)


def gelu(x: NDArray) -> NDArray:
    """x * Phi(x), the erf form; Phi by linear interpolation, the result is within 5e-7 of exact for |x| up to 12."""
    return x * normal_cdf(x)


def normal_cdf(x: NDArray) -> NDArray:
    """Phi(x) by linear interpolation."""
    real = x.dtype.type
    values, steps = _cdf_table(x.dtype.name)
    place = np.clip((x + real(_CDF_REACH)) * real((_CDF_STEPS + 1) / (2 * _CDF_REACH)), 0, _CDF_STEPS)
    below = np.floor(place)
    index = below.astype(np.int32)
    return values[index] + (place - below) * steps[index]


def softmax(scores: NDArray) -> NDArray:
    """Over the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def attention_branch(model: ViTModel, i: int, x: NDArray, observe: Observe = _ignore) -> NDArray:
    """Of block i: what it adds to the residual stream x (n, N, D) first."""
    t, shape, name = model.tensors, model.shape, f"blocks.{i}."
    n, tokens, dim = x.shape
    normed = layer_norm(x, t[name + "norm1.weight"], t[name + "norm1.bias"], shape.norm_eps)
    observe(name + "norm1", normed)
    qkv = normed @ t[name + "qkv.weight"].T + t[name + "qkv.bias"]
    heads = []
    for part, value in zip("qkv", np.split(qkv, 3, axis=-1), strict=True):
        observe(name + part, value)
        heads.append(value.reshape(n, tokens, shape.num_heads, shape.head_dim).transpose(0, 2, 1, 3))
    q, k, v = heads
    scores = q @ k.transpose(0, 1, 3, 2) / x.dtype.type(math.sqrt(shape.head_dim))
    observe(name + "score", scores)
    context = (softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(n, tokens, dim)
    observe(name + "context", context)
    branch = context @ t[name + "proj.weight"].T + t[name + "proj.bias"]
    observe(name + "proj", branch)
    return branch


def mlp_branch(model: ViTModel, i: int, x: NDArray, observe: Observe = _ignore) -> NDArray:
    """Of block i: what it adds to the residual stream x (n, N, D) then."""
    t, name = model.tensors, f"blocks.{i}."
    normed = layer_norm(x, t[name + "norm2.weight"], t[name + "norm2.bias"], model.shape.norm_eps)
    observe(name + "norm2", normed)
    hidden = normed @ t[name + "fc1.weight"].T + t[name + "fc1.bias"]
    observe(name + "fc1", hidden)
    hidden = gelu(hidden)
    observe(name + "gelu", hidden)
    branch = hidden @ t[name + "fc2.weight"].T + t[name + "fc2.bias"]
    observe(name + "fc2", branch)
    return branch


def embed(model: ViTModel, images: NDArray[np.uint8], observe: Observe = _ignore) -> NDArray:
    """The residual stream (n, N, D) that enters block 0."""
    t, shape = model.tensors, model.shape
    # Token 0 stands for a zero patch, as in the integer model, whose class token has one.
    dtype = t["patch.weight"].dtype.type
    branch = np.empty((len(images), shape.seq_len, shape.embed_dim), dtype)
    branch[:, 0] = t["patch.bias"]
    branch[:, 1:] = patches(images, model, dtype) @ t["patch.weight"].T + t["patch.bias"]
    observe("patch", branch)
    x = branch + t["pos"]
    x[:, 0] = t["cls"] + t["pos"][0]
    return x


def _forward_batch(model: ViTModel, images: NDArray[np.uint8], observe: Observe) -> NDArray:
    t, shape = model.tensors, model.shape
    x = embed(model, images, observe)
    for i in range(shape.depth):
        observe(f"x.{i}.attn", x)
        x = x + attention_branch(model, i, x, observe)
        observe(f"x.{i}.mlp", x)
        x = x + mlp_branch(model, i, x, observe)
    observe("x.final", x)
    seen = x[:, 0] if shape.num_classes else x
    normed = layer_norm(seen, t["norm.weight"], t["norm.bias"], shape.norm_eps)
    observe("norm", normed)
    if not shape.num_classes:
        return normed
    logits = normed @ t["head.weight"].T + t["head.bias"]
    observe("logits", logits)
    return logits


def forward(
    model: ViTModel,
    images: NDArray[np.uint8],
    observe: Observe | None = None,
    batch: int = 64,
    dtype: Real = np.float32,
) -> NDArray:
    """Logits (n, classes) of images (n, H, W, C) uint8, computed in ``dtype`` (float32 or float64).

    A model without a class head gives features (n, tokens, D): every token after the last norm.

    observe : called once a batch of images as ``observe(name, array)`` with every intermediate, named as in
        `vitforge.golden.vit.forward`, and "x.final", the residual before the last norm

    Raises ModelError for images of another shape or type.
    """
    check_images(images, model.shape)
    typed = replace(model, tensors={name: value.astype(dtype, copy=False) for name, value in model.tensors.items()})
    results: NDArray = np.zeros((len(images), *model.shape.output_shape), dtype)
    for first in range(0, len(images), batch):
        results[first : first + batch] = _forward_batch(typed, images[first : first + batch], observe or _ignore)
    return results
