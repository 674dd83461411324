# SPDX-License-Identifier: Apache-2.0
"""Structured pruning by magnitude: every block keeps the same sizes, in whole tiles, so that one buffer fits all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ConfigError
from vitforge.model.keep import LAYERS, BlockKeep, Mask
from vitforge.model.vit import ViTModel, ViTShape
from vitforge.quantize.model import QuantModel

TILE = 8  # channels of a word of the residual, and of a k tile, where a DSP packs two products
Weights = Mapping[str, NDArray]  # layer -> (out, in), of a block


@dataclass(frozen=True)
class Sizes:
    """What is kept of each dimension of every block."""

    channels: int  # that a layer norm sends on, and that a branch adds to
    head_dim: int
    hidden: int

    def fraction(self, shape: ViTShape) -> float:
        """Of the blocks' linear weights."""
        kept = self.channels * (4 * shape.num_heads * self.head_dim + 2 * self.hidden)
        return kept / (shape.embed_dim * (4 * shape.embed_dim + 2 * shape.hidden_dim))


def check_fraction(fraction: float) -> None:
    """Raises ConfigError for a fraction outside (0, 1]."""
    if not 0 < fraction <= 1:
        raise ConfigError(f"the fraction to keep is {fraction}; it must lie in (0, 1]")


def plan_sizes(shape: ViTShape, fraction: float, tile: int = TILE) -> Sizes:
    """Sizes in whole tiles that keep ``fraction`` of the blocks' linear weights, or the next less, and about the same
    share of every dimension. Raises ConfigError for a fraction outside (0, 1]."""
    check_fraction(fraction)

    def tiles(size: int) -> int:
        return size if size < tile else max(tile, round(math.sqrt(fraction) * size / tile) * tile)

    channels, dims = min(shape.embed_dim, tiles(shape.embed_dim)), min(shape.head_dim, tiles(shape.head_dim))
    wanted = fraction * shape.embed_dim * (4 * shape.embed_dim + 2 * shape.hidden_dim)
    hidden = int((wanted / channels - 4 * shape.num_heads * dims) / 2)
    least = min(tile, shape.hidden_dim)
    whole = hidden if hidden >= shape.hidden_dim else hidden // tile * tile
    return Sizes(channels, dims, max(least, min(shape.hidden_dim, whole)))


def largest_groups(energy: NDArray, count: int, tile: int) -> Mask:
    """(n,) mask of the groups of ``tile`` neighbours with the largest sums of ``energy``, until ``count`` are kept."""
    groups = [slice(first, first + tile) for first in range(0, energy.size, tile)]
    mask = np.zeros(energy.size, bool)
    for group in sorted(groups, key=lambda group: -float(energy[group].sum())):
        if mask.sum() < count:
            mask[group] = True
    return mask


def _energy(weight: NDArray, axis: int) -> NDArray[np.float64]:
    energy: NDArray[np.float64] = (weight.astype(np.float64) ** 2).sum(axis=axis)
    return energy


def block_masks(shape: ViTShape, weights: Weights, sizes: Sizes, tile: int = TILE) -> BlockKeep:
    """Masks of a block: of dimensions that depend on each other the product of their energies counts."""
    q, k, v = (_energy(part, 1).reshape(shape.num_heads, -1) for part in np.split(weights["qkv"], 3))
    v = v * _energy(weights["proj"], 0).reshape(shape.num_heads, -1)
    return BlockKeep(
        norm1=largest_groups(_energy(weights["qkv"], 0), sizes.channels, tile),
        qk=np.stack([largest_groups(row, sizes.head_dim, tile) for row in q * k]),
        v=np.stack([largest_groups(row, sizes.head_dim, tile) for row in v]),
        proj=largest_groups(_energy(weights["proj"], 1), sizes.channels, tile),
        norm2=largest_groups(_energy(weights["fc1"], 0), sizes.channels, tile),
        hidden=largest_groups(_energy(weights["fc1"], 1) * _energy(weights["fc2"], 0), sizes.hidden, tile),
        fc2=largest_groups(_energy(weights["fc2"], 1), sizes.channels, tile),
    )


def block_weights(model: ViTModel | QuantModel) -> Sequence[Weights]:
    """Linear weights of each block, float or integer."""
    if isinstance(model, QuantModel):
        return [{layer: getattr(block, layer).weight for layer in LAYERS} for block in model.blocks]
    names = range(model.shape.depth)
    return [{layer: model.tensors[f"blocks.{i}.{layer}.weight"] for layer in LAYERS} for i in names]


def magnitude_keep(model: ViTModel | QuantModel, fraction: float, tile: int = TILE) -> tuple[BlockKeep, ...]:
    """Masks of `plan_sizes` for every block. Raises ConfigError for a fraction outside (0, 1]."""
    sizes = plan_sizes(model.shape, fraction, tile)
    return tuple(block_masks(model.shape, weights, sizes, tile) for weights in block_weights(model))
