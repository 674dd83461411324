# SPDX-License-Identifier: Apache-2.0
"""Bias correction (Nagel et al. 2019): integer branches that are right on average.

Rounding, clipping and 7-bit softmax weights shift the mean of a channel; a bias takes the shift back. Blocks are
corrected in order, each against the float residual stream, so that it also sees what the blocks before it left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.linear import ACCUMULATOR_LIMIT, linear
from vitforge.golden.patch import extract_patches
from vitforge.golden.vit import mlp_branch, residual_add, self_attention_branch
from vitforge.model import float_vit
from vitforge.model.vit import ViTModel
from vitforge.quantize.calibrate import Progress, images_at_once
from vitforge.quantize.model import QuantBlock, QuantLinear, QuantModel

CORRECTED_IMAGES = 32
_INT16 = 32767


def correct_biases(
    model: ViTModel, quantized: QuantModel, images: NDArray[np.uint8], progress: Progress | None = None
) -> QuantModel:
    """``quantized`` with other biases in proj and fc2 of every block, by the first `CORRECTED_IMAGES` images."""
    few, batch = images[:CORRECTED_IMAGES], images_at_once(model.shape)
    parts = [few[first : first + batch] for first in range(0, len(few), batch)]
    typed = replace(model, tensors={name: value.astype(np.float64) for name, value in model.tensors.items()})
    real = [float_vit.embed(typed, part) for part in parts]
    whole = [_embed(quantized, part) for part in parts]
    blocks = []
    for i, block in enumerate(quantized.blocks):
        if progress is not None:
            progress("correct biases", i, len(quantized.blocks))
        real = [x + float_vit.attention_branch(typed, i, x) for x in real]
        block, whole = _correct(block, "proj", real, whole, quantized)
        real = [x + float_vit.mlp_branch(typed, i, x) for x in real]
        block, whole = _correct(block, "fc2", real, whole, quantized)
        blocks.append(block)
    return replace(quantized, blocks=tuple(blocks))


def _embed(model: QuantModel, images: NDArray[np.uint8]) -> NDArray[np.int16]:
    return residual_add(model.x0, linear(extract_patches(images, model.shape), model.patch, _INT16))


def _branch(block: QuantBlock, layer: str, x: NDArray[np.int16], num_heads: int) -> NDArray[np.int16]:
    return self_attention_branch(x, block, num_heads) if layer == "proj" else mlp_branch(x, block)


def _correct(
    block: QuantBlock, layer: str, real: list[NDArray], whole: list[NDArray[np.int16]], model: QuantModel
) -> tuple[QuantBlock, list[NDArray[np.int16]]]:
    """The block whose ``layer`` is corrected, and the stream after it."""
    heads, step = model.shape.num_heads, model.scales["residual"]
    total = np.zeros(model.shape.embed_dim)
    for wanted, x in zip(real, whole, strict=True):
        total += (wanted / step - residual_add(x, _branch(block, layer, x, heads))).sum(axis=(0, 1))
    missing = total / sum(x.shape[0] * x.shape[1] for x in whole)
    if layer == "proj":
        block = replace(block, proj=_with_bias(block.proj, missing))
    else:
        block = replace(block, fc2=_with_bias(block.fc2, missing))
    return block, [residual_add(x, _branch(block, layer, x, heads)) for x in whole]


def _with_bias(layer: QuantLinear, missing: NDArray[np.float64]) -> QuantLinear:
    """``layer`` with ``missing``, in steps of its output, added to its biases, as far as the accumulator has room."""
    steps = missing * np.exp2(layer.shift.astype(np.float64)) / layer.mult
    room = ACCUMULATOR_LIMIT - 1 - np.abs(layer.weight.astype(np.int64)).sum(axis=1) * 128
    bias = np.clip(np.rint(layer.bias + steps), -room, room)
    return replace(layer, bias=bias.astype(np.int32))
