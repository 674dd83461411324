# SPDX-License-Identifier: Apache-2.0
"""Pruned float models on disk, in timm naming: what the masks leave, and the masks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vitforge.model.keep import LAYERS, TWO_OF_FOUR, BlockKeep, check_masks, check_two_of_four, kept_sides
from vitforge.model.keep import reduction_groups as groups_of
from vitforge.model.keep_tensors import compact, expand, keep_out
from vitforge.model.naming import TIMM
from vitforge.model.vit import ViTModel

MASK_TYPE = "U8"
_MARK = ".keep."
_NAMES = tuple(name for name in BlockKeep.__dataclass_fields__)


def is_mask(name: str) -> bool:
    """Whether a tensor of a file is a keep mask."""
    return _MARK in name


def _source(block: int, layer: str, part: str) -> str:
    return TIMM.block_prefix.format(block) + TIMM.block[f"{layer}.{part}"][0]


def read_keep(masks: Mapping[str, NDArray[np.uint8]]) -> tuple[BlockKeep, ...]:
    """The masks of a file, of any size. Raises ValueError where one is missing, or not of zeros and ones."""
    if not masks:
        return ()
    depth = 1 + max(int(name.split(".")[1]) for name in masks)
    found = []
    for block in range(depth):
        parts = {}
        for name in _NAMES:
            full = f"blocks.{block}{_MARK}{name}"
            if full not in masks:
                raise ValueError(f"the keep mask {full} is missing")
            if masks[full].size and masks[full].max() > 1:
                raise ValueError(f"{full} has values other than 0 and 1")
            parts[name] = masks[full].astype(bool)
        found.append(BlockKeep(**parts))
    return tuple(found)


def expand_file(tensors: Mapping[str, NDArray], keeps: tuple[BlockKeep, ...]) -> dict[str, NDArray]:
    """Tensors of a file with zeros where the masks prune. Raises ValueError where sizes disagree."""
    whole = dict(tensors)
    for block, keep in enumerate(keeps):
        for layer in LAYERS:
            sides = kept_sides(keep, layer)
            for part in ("weight", "bias"):
                name = _source(block, layer, part)
                if name in whole:  # else it is named as missing later
                    whole[name] = expand(name, whole[name], *sides)
    return whole


def compact_file(tensors: Mapping[str, NDArray], model: ViTModel) -> dict[str, NDArray]:
    """Tensors of a file without what the masks of ``model`` prune, and the masks."""
    left = dict(tensors)
    for block, keep in enumerate(model.keep):
        for layer in LAYERS:
            sides = kept_sides(keep, layer)
            for part in ("weight", "bias"):
                name = _source(block, layer, part)
                left[name] = compact(left[name], *sides)
    return {**left, **keep_out(model.keep)}


def check_pruned(model: ViTModel) -> ViTModel:
    """``model``, if its masks have the sizes of its shape and its weights the sparsity that it states.

    Raises ModelError that names what does not fit.
    """
    if model.keep:
        check_masks(model.keep, model.shape)
    if model.sparsity == TWO_OF_FOUR:
        for block, keep in enumerate(model.keep):
            for layer in LAYERS:
                name = f"blocks.{block}.{layer}.weight"
                check_two_of_four(name, model.tensors[name], groups_of(keep, layer))
    return model
