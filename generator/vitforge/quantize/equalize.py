# SPDX-License-Identifier: Apache-2.0
"""The same function with tensors that int8 holds better: what the "smooth" method does before calibration.

Every change is exact in the reals and free in the accelerator, whose weights and biases it only alters:

* keys lose their common offset, which softmax does not see: it raises every score of a row alike;
* values lose theirs to the bias after them, for the weights of a row sum to 1;
* the output of a layer norm is centred channel by channel, its beta paying what the next bias gets;
* its channels, and those of the values, are scaled towards the weights after them (SmoothQuant, Xiao et al. 2023).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitforge.model.float_vit import forward
from vitforge.model.vit import FloatArray, ViTModel
from vitforge.quantize.calibrate import Progress, images_at_once

_MIGRATION = 0.5  # share of a channel's range that the weights take
_SMALLEST = 1e-4  # of the largest channel: below, a channel is scaled no further
_NORMS = (("norm1", "qkv"), ("norm2", "fc1"))
Spans = dict[str, tuple[NDArray, NDArray]]  # tensor -> (lowest, highest) of each channel


def equalize(model: ViTModel, images: NDArray[np.uint8], progress: Progress | None = None) -> ViTModel:
    """A model of the same function, by the ranges that its channels have on ``images``."""
    spans = _spans(model, images, progress)
    tensors = {name: value.astype(np.float64) for name, value in model.tensors.items()}
    for i in range(model.shape.depth):
        prefix, dim = f"blocks.{i}.", model.shape.embed_dim
        tensors[prefix + "qkv.bias"][dim : 2 * dim] -= _middle(spans[prefix + "k"])
        values = slice(2 * dim, None)
        _balance(tensors, (prefix + "qkv", values), prefix + "proj", spans[prefix + "v"])
        for norm, layer in _NORMS:
            _balance(tensors, (prefix + norm, slice(None)), prefix + layer, spans[prefix + norm])
    changed: dict[str, FloatArray] = {name: value.astype(np.float32) for name, value in tensors.items()}
    return replace(model, tensors=changed)


def _spans(model: ViTModel, images: NDArray[np.uint8], progress: Progress | None) -> Spans:
    wanted = {f"blocks.{i}.{name}" for i in range(model.shape.depth) for name in ("norm1", "norm2", "k", "v")}
    spans: Spans = {}

    def observe(name: str, value: NDArray) -> None:
        if name in wanted:
            rows = value.reshape(-1, value.shape[-1]).astype(np.float32)
            low, high = spans.get(name, (rows[0], rows[0]))
            spans[name] = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))

    batch = images_at_once(model.shape)
    for first in range(0, len(images), batch):
        if progress is not None:
            progress("equalise", first, len(images))
        forward(model, images[first : first + batch], observe=observe, batch=batch, dtype=np.float64)
    return spans


def _middle(span: tuple[NDArray, NDArray]) -> NDArray[np.float64]:
    low, high = span
    return (low.astype(np.float64) + high) / 2


def _balance(tensors: dict[str, NDArray], source: tuple[str, slice], layer: str, span: tuple[NDArray, NDArray]) -> None:
    """Centres and scales the channels that rows of ``source`` make and ``layer`` takes."""
    name, rows = source
    weight, bias = tensors[name + ".weight"], tensors[name + ".bias"]
    middle, factor = _middle(span), _factor(span, tensors[layer + ".weight"])
    tensors[layer + ".bias"] += tensors[layer + ".weight"] @ middle
    bias[rows] = (bias[rows] - middle) / factor
    weight[rows] = (weight[rows].T / factor).T
    tensors[layer + ".weight"] *= factor


def _factor(span: tuple[NDArray, NDArray], weight: NDArray) -> NDArray[np.float64]:
    """What a tensor is divided by and the columns of ``weight`` after it are multiplied by; 1 where all is zero."""
    reach, columns = (span[1].astype(np.float64) - span[0]) / 2, np.abs(weight).max(axis=0)
    if not (reach.max() > 0 and columns.max() > 0):
        return np.ones(len(reach))
    reach, columns = (np.maximum(part, _SMALLEST * part.max()) for part in (reach, columns))
    factor = reach**_MIGRATION / columns ** (1 - _MIGRATION)
    return factor / np.exp(np.log(factor).mean())
