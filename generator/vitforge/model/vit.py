# SPDX-License-Identifier: Apache-2.0
"""The float Vision Transformer that every importer produces and quantisation consumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitforge.model.keep import DENSE, BlockKeep

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class ViTShape:
    """Architecture of a pre-norm Vision Transformer encoder with a class token."""

    image_size: tuple[int, int]  # (height, width) [pixels]
    channels: int  # input colour channels
    patch_size: int  # square patch edge [pixels]
    embed_dim: int  # D, width of the residual stream
    depth: int  # L, encoder blocks
    num_heads: int  # H
    hidden_dim: int  # MLP width
    num_classes: int  # rows of the class head; 0 = a feature backbone
    norm_eps: float = 1e-6

    @property
    def num_patches(self) -> int:
        height, width = self.image_size
        return (height // self.patch_size) * (width // self.patch_size)

    @property
    def seq_len(self) -> int:
        """Tokens per image: the class token and one per patch."""
        return self.num_patches + 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of one image: the logits, or without a class head the features of every token."""
        return (self.num_classes,) if self.num_classes else (self.seq_len, self.embed_dim)

    @property
    def head_dim(self) -> int:
        return self.embed_dim // self.num_heads

    @property
    def patch_len(self) -> int:
        """Values of one flattened patch (channels x patch x patch)."""
        return self.channels * self.patch_size * self.patch_size


@dataclass(frozen=True, kw_only=True, slots=True)
class ViTModel:
    """A float ViT with canonical tensor names.

    ``tensors`` maps (all float32, linear weights are (out, in)):

    ========================================  =======================================
    ``patch.weight`` ``patch.bias``           (D, C*P*P) in (channel, row, col) order, (D,)
    ``cls`` ``pos``                           (D,), (N, D)
    ``blocks.{i}.norm1.weight`` ``.bias``     (D,)
    ``blocks.{i}.qkv.weight`` ``.bias``       (3*D, D) rows q | k | v, head-major, (3*D,)
    ``blocks.{i}.proj.weight`` ``.bias``      (D, D), (D,)   (LayerScale already folded in)
    ``blocks.{i}.norm2.weight`` ``.bias``     (D,)
    ``blocks.{i}.fc1.weight`` ``.bias``       (hidden, D), (hidden,)
    ``blocks.{i}.fc2.weight`` ``.bias``       (D, hidden), (D,)   (LayerScale already folded in)
    ``norm.weight`` ``norm.bias``             (D,)
    ``head.weight`` ``head.bias``             (classes, D), (classes,)   (absent from a feature backbone)
    ========================================  =======================================

    Of a pruned model they have zeros where ``keep`` prunes.
    """

    name: str
    shape: ViTShape
    mean: tuple[float, ...]  # per channel, of pixels scaled to [0, 1]
    std: tuple[float, ...]
    labels: tuple[str, ...]
    tensors: Mapping[str, FloatArray] = field(repr=False)
    keep: tuple[BlockKeep, ...] = field(default=(), repr=False)  # of each block; none: nothing is pruned
    sparsity: str = DENSE  # of what is kept of the blocks' linear weights: "dense" or "2:4"
