# SPDX-License-Identifier: Apache-2.0
"""Keep masks put on an integer model: zeros where something is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vitforge.model.keep import (
    LAYERS,
    TWO_OF_FOUR,
    BlockKeep,
    check_masks,
    kept_sides,
    mask_shapes,
    reduction_groups,
    two_of_four,
)
from vitforge.model.vit import ViTShape
from vitforge.quantize.compact import keep_of
from vitforge.quantize.model import QuantBlock, QuantLinear, QuantModel
from vitforge.quantize.records import ZERO_MULT, ZERO_SHIFT


def prune_quantized(model: QuantModel, keep: Sequence[BlockKeep]) -> QuantModel:
    """``model`` with what the masks of its blocks leave. Raises ModelError where a mask has the wrong size."""
    check_masks(tuple(keep), model.shape)
    blocks = tuple(_prune_block(block, masks) for block, masks in zip(model.blocks, keep, strict=True))
    return replace(model, blocks=blocks, keep=tuple(keep))


def prune_two_of_four(model: QuantModel) -> QuantModel:
    """``model`` with the two largest weights of every four along the reduction of its blocks' linear layers."""
    blocks = []
    for i, block in enumerate(model.blocks):
        layers: dict[str, QuantLinear] = {name: getattr(block, name) for name in LAYERS}
        for name, layer in layers.items():
            mask = two_of_four(layer.weight, reduction_groups(keep_of(model, i), name))
            layers[name] = replace(layer, weight=layer.weight * mask)
        blocks.append(_with_layers(block, layers))
    return replace(model, blocks=tuple(blocks), sparsity=TWO_OF_FOUR)


def _prune_block(block: QuantBlock, keep: BlockKeep) -> QuantBlock:
    layers = {name: _prune_linear(getattr(block, name), *kept_sides(keep, name)) for name in LAYERS}
    return _with_layers(block, layers)


def _with_layers(block: QuantBlock, layers: dict[str, QuantLinear]) -> QuantBlock:
    return replace(block, qkv=layers["qkv"], proj=layers["proj"], fc1=layers["fc1"], fc2=layers["fc2"])


def _prune_linear(layer: QuantLinear, outputs: np.ndarray, inputs: np.ndarray) -> QuantLinear:
    return QuantLinear(
        weight=layer.weight * (outputs[:, None] & inputs[None, :]),
        bias=layer.bias * outputs,
        mult=np.where(outputs, layer.mult, ZERO_MULT).astype(layer.mult.dtype),
        shift=np.where(outputs, layer.shift, ZERO_SHIFT).astype(layer.shift.dtype),
    )


def random_keep(rng: np.random.Generator, shape: ViTShape, fraction: float) -> BlockKeep:
    """Masks of a block that keep each dimension with a probability of ``fraction``."""
    return BlockKeep(**{name: rng.random(size) < fraction for name, size in mask_shapes(shape).items()})
