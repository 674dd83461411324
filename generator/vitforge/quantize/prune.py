# SPDX-License-Identifier: Apache-2.0
"""Keep masks put on an integer model: zeros where something is gone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vitforge.errors import ConfigError
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

TILE = 8  # channels of a word of the residual, and of a k tile, on the boards that have URAM


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


@dataclass(frozen=True)
class PlannedSizes:
    """What is kept of each dimension of every block."""

    channels: int  # that a layer norm sends on, and that a branch adds to
    head_dim: int
    hidden: int


def plan_sizes(shape: ViTShape, fraction: float, tile: int = TILE) -> PlannedSizes:
    """Sizes in whole tiles that keep ``fraction`` of the blocks' linear weights, or the next less, and about the same
    share of every dimension. Raises ConfigError for a fraction outside (0, 1]."""
    if not 0 < fraction <= 1:
        raise ConfigError(f"keep is {fraction}; it must lie in (0, 1]")

    def tiles(size: int) -> int:
        return size if size < tile else max(tile, round(math.sqrt(fraction) * size / tile) * tile)

    channels, dims = min(shape.embed_dim, tiles(shape.embed_dim)), min(shape.head_dim, tiles(shape.head_dim))
    wanted = fraction * shape.embed_dim * (4 * shape.embed_dim + 2 * shape.hidden_dim)
    hidden = int((wanted / channels - 4 * shape.num_heads * dims) / 2)
    least = min(tile, shape.hidden_dim)
    whole = hidden if hidden >= shape.hidden_dim else hidden // tile * tile
    return PlannedSizes(channels, dims, max(least, min(shape.hidden_dim, whole)))


def magnitude_keep(model: QuantModel, fraction: float, tile: int = TILE) -> tuple[BlockKeep, ...]:
    """Masks of `plan_sizes` that keep the groups of ``tile`` channels with the largest weights, of integers: quick, for
    figures of speed; `vitforge prune` chooses by the float model."""
    sizes, shape = plan_sizes(model.shape, fraction, tile), model.shape

    def best(energy: np.ndarray, count: int) -> np.ndarray:
        groups = [slice(first, first + tile) for first in range(0, energy.size, tile)]
        order = sorted(range(len(groups)), key=lambda group: -float(energy[groups[group]].sum()))
        mask = np.zeros(energy.size, bool)
        for group in order:
            if mask.sum() < count:
                mask[groups[group]] = True
        return mask

    def energy(weight: np.ndarray, axis: int) -> np.ndarray:
        return (weight.astype(np.float64) ** 2).sum(axis=axis)

    found = []
    for block in model.blocks:
        q, k, v = (energy(part, 1).reshape(shape.num_heads, -1) for part in np.split(block.qkv.weight, 3))
        v = v * energy(block.proj.weight, 0).reshape(shape.num_heads, -1)
        found.append(
            BlockKeep(
                norm1=best(energy(block.qkv.weight, 0), sizes.channels),
                qk=np.stack([best(row, sizes.head_dim) for row in q * k]),
                v=np.stack([best(row, sizes.head_dim) for row in v]),
                proj=best(energy(block.proj.weight, 1), sizes.channels),
                norm2=best(energy(block.fc1.weight, 0), sizes.channels),
                hidden=best(energy(block.fc1.weight, 1) * energy(block.fc2.weight, 0), sizes.hidden),
                fc2=best(energy(block.fc2.weight, 1), sizes.channels),
            )
        )
    return tuple(found)


def random_keep(rng: np.random.Generator, shape: ViTShape, fraction: float) -> BlockKeep:
    """Masks of a block that keep each dimension with a probability of ``fraction``."""
    return BlockKeep(**{name: rng.random(size) < fraction for name, size in mask_shapes(shape).items()})
