# SPDX-License-Identifier: Apache-2.0
"""Masks put on a float model, from a file or from elsewhere, and 2:4 sparsity of what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitforge.errors import ModelError
from vitforge.model.keep import (
    LAYERS,
    TWO_OF_FOUR,
    BlockKeep,
    check_masks,
    everything,
    prune_tensors,
    reduction_groups,
    two_of_four,
)
from vitforge.model.keep_tensors import keep_in
from vitforge.model.npz import read_npz
from vitforge.model.vit import ViTModel


def prune_float(model: ViTModel, keep: Sequence[BlockKeep]) -> ViTModel:
    """``model`` with what the masks of its blocks leave. Raises ModelError where a mask has the wrong size."""
    check_masks(tuple(keep), model.shape)
    return replace(model, tensors=prune_tensors(tuple(keep), model.tensors), keep=tuple(keep))


def sparsify(model: ViTModel) -> ViTModel:
    """``model`` with the two largest of every four weights along the reduction of its blocks' linear layers."""
    keep = model.keep or (everything(model.shape),) * model.shape.depth
    tensors = dict(model.tensors)
    for block, masks in enumerate(keep):
        for layer in LAYERS:
            name = f"blocks.{block}.{layer}.weight"
            tensors[name] = tensors[name] * two_of_four(tensors[name], reduction_groups(masks, layer))
    return replace(model, tensors=tensors, keep=keep, sparsity=TWO_OF_FOUR)


def read_masks(path: Path, model: ViTModel) -> tuple[BlockKeep, ...]:
    """Masks ``blocks.{i}.keep.{name}`` (0 or 1) of a .npz file. Raises ModelError that names what does not fit."""
    tensors = read_npz(path, "keep masks")
    typed = {name: value.astype(np.uint8) if value.dtype == bool else value for name, value in tensors.items()}
    try:
        found = keep_in(typed, model.shape)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None
    if not found:
        raise ModelError(f"{path} has no keep masks; they are named blocks.0.keep.norm1 and so on")
    return found
