# SPDX-License-Identifier: Apache-2.0
"""Significance probe and memory-footprint-aware column pruning (Zhang et al., ACM TECS 20(5s), 2021).

The paper gives the idea; thresholds, the order of steps and the grouping by block are a reconstruction of ours:

1. A layer norm behind each weight layer, y = gamma * (x - E[x]) / sqrt(Var[x] + eps) + beta, is trained briefly with an
   L1 penalty on gamma. |gamma| is the significance of a row, an output feature.
2. Rows below a common share of the largest |gamma| of their layer could go. The layer of a class (q, k, v, proj, fc1,
   fc2) that needs most rows sets the height of all, in whole tiles: one buffer fits every matrix. That is where column
   pruning begins.
3. Column pruning raises the ratio step by step: of channels, head dimensions and hidden channels, the one whose next
   tile holds the least significance for each weight that goes. A step whose accuracy on validation images falls by more
   than the tolerance is undone, and its dimension stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitforge.compress.magnitude import Sizes, Weights, block_masks, block_weights
from vitforge.model.keep import BlockKeep
from vitforge.model.vit import ViTModel, ViTShape

QUIET = 0.1  # of the largest |gamma| of a layer: rows below could go
_FIELDS = ("channels", "head_dim", "hidden")


@dataclass(frozen=True)
class Step:
    """A step of column pruning: what was tried, its accuracy on validation images, and whether it stayed."""

    sizes: Sizes
    accuracy: float
    accepted: bool

    def fraction(self, shape: ViTShape) -> float:
        """Of the blocks' linear weights that were kept."""
        return self.sizes.fraction(shape)


def row_shares(gammas: Mapping[str, NDArray]) -> dict[str, float]:
    """Layer ("0_q" and so on) -> share of its rows that are significant."""
    return {name: float(np.mean(gamma > QUIET * gamma.max())) for name, gamma in gammas.items()}


def first_sizes(shape: ViTShape, shares: Mapping[str, float], tile: int) -> Sizes:
    """Common heights of all blocks: what the most demanding layer of each class keeps, in whole tiles."""

    def height(layers: tuple[str, ...], size: int) -> int:
        share = max(value for name, value in shares.items() if name.split("_")[1] in layers)
        return min(size, max(min(tile, size), -(-int(np.ceil(share * size)) // tile) * tile))

    return Sizes(
        channels=height(("proj", "fc2"), shape.embed_dim),
        head_dim=height(("q", "k", "v"), shape.head_dim),
        hidden=height(("fc1",), shape.hidden_dim),
    )


def significant_weights(model: ViTModel, gammas: Mapping[str, NDArray]) -> list[Weights]:
    """Linear weights of each block with rows scaled by their significance, to rank what goes first."""
    found: list[Weights] = []
    for block, weights in enumerate(block_weights(model)):
        scales = {name: gammas[f"{block}_{name}"] for name in ("proj", "fc1", "fc2")}
        scales["qkv"] = np.concatenate([gammas[f"{block}_{name}"] for name in "qkv"])
        found.append({layer: weight * scales[layer][:, None] for layer, weight in weights.items()})
    return found


def masks_of(shape: ViTShape, weights: list[Weights], sizes: Sizes, tile: int) -> tuple[BlockKeep, ...]:
    """Of all blocks."""
    return tuple(block_masks(shape, block, sizes, tile) for block in weights)


def _significance(weights: list[Weights], keep: tuple[BlockKeep, ...]) -> float:
    """Share of the squared weights that masks keep, a mean over the layers."""
    shares = []
    for block, masks in zip(weights, keep, strict=True):
        heads = masks.v.ravel()
        kept = {
            "qkv": block["qkv"][:, masks.norm1][np.concatenate([masks.qk.ravel(), masks.qk.ravel(), heads])],
            "proj": block["proj"][masks.proj][:, heads],
            "fc1": block["fc1"][masks.hidden][:, masks.norm2],
            "fc2": block["fc2"][masks.fc2][:, masks.hidden],
        }
        shares += [float((kept[layer] ** 2).sum() / (block[layer] ** 2).sum()) for layer in kept]
    return float(np.mean(shares))


def next_step(
    shape: ViTShape, weights: list[Weights], sizes: Sizes, frozen: set[str], tile: int
) -> tuple[str, Sizes] | None:
    """The dimension, and the sizes, that lose least significance for each weight that goes; None if nothing is left."""
    now = _significance(weights, masks_of(shape, weights, sizes, tile))
    best: tuple[float, str, Sizes] | None = None
    for name in _FIELDS:
        less = getattr(sizes, name) - (tile if name != "hidden" else 2 * tile)
        if name in frozen or less < tile:
            continue
        tried = replace(sizes, **{name: less})
        lost = now - _significance(weights, masks_of(shape, weights, tried, tile))
        rate = lost / (sizes.fraction(shape) - tried.fraction(shape))
        if best is None or rate < best[0]:
            best = rate, name, tried
    return None if best is None else best[1:]


def prune_columns(
    shape: ViTShape,
    weights: list[Weights],
    sizes: Sizes,
    *,
    target: float,
    floor: float,
    tile: int,
    measure: Callable[[tuple[BlockKeep, ...]], float],
    undo: Callable[[], None],
) -> tuple[Sizes, list[Step]]:
    """Raises the ratio until ``target`` of the weights is left, or nothing more can go.

    floor : accuracy on validation images below which a step is undone
    measure : trains a little with masks, and gives that accuracy; ``undo`` takes the network back to before
    """
    steps: list[Step] = []
    frozen: set[str] = set()
    while sizes.fraction(shape) > target:
        found = next_step(shape, weights, sizes, frozen, tile)
        if found is None:
            break
        name, tried = found
        reached = measure(masks_of(shape, weights, tried, tile))
        steps.append(Step(tried, reached, reached >= floor))
        if reached >= floor:
            sizes = tried
        else:
            frozen.add(name)
            undo()
    return sizes, steps
