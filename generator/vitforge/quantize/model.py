# SPDX-License-Identifier: Apache-2.0
"""Integer parameters of a quantised ViT: what the golden model, the blob and the kernels share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitforge.model.keep import DENSE, TWO_OF_FOUR, BlockKeep
from vitforge.model.vit import ViTShape

IntArray = NDArray[np.signedinteger]


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantLinear:
    """A linear layer: ``y = ((x @ weight.T + bias) * mult + half) >> shift`` per output channel.

    Invariant: ``sum(|weight|) * 128 + |bias| < 2**26`` for every row (27-bit accumulator).
    """

    weight: IntArray  # (out, in) int8 in [-127, 127]
    bias: IntArray  # (out,) int32, at scale s_x * s_w
    mult: IntArray  # (out,) int32 in [2**15, 2**16)
    shift: IntArray  # (out,) int32 in [1, 40]


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantNorm:
    """Layer norm: ``y = clamp((yhat * gamma + beta + half) >> shift)``, yhat in units of 2**-10."""

    gamma: IntArray  # (D,) int16
    beta: IntArray  # (D,) int32
    shift: int  # in [1, 30]
    eps: int  # epsilon in the integer domain: round(D*D * eps / s_residual**2)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantBlock:
    """One encoder block. LayerScale is folded; residual scale is global."""

    norm1: QuantNorm
    qkv: QuantLinear  # (3*D, D) -> int8; rows q | k | v, head-major
    score_mult: int  # q.k accumulator -> score in 1/256 units (1/sqrt(head_dim) folded in)
    score_shift: int
    context_mult: int  # rho = s_v / s_context as context_mult * 2**-context_shift
    context_shift: int
    proj: QuantLinear  # (D, D) -> int16 branch
    norm2: QuantNorm
    fc1: QuantLinear  # (hidden, D) -> int8
    gelu: IntArray  # (256,) int8, entry [x + 128]
    fc2: QuantLinear  # (D, hidden) -> int16 branch


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantModel:
    """The whole integer model."""

    name: str
    shape: ViTShape
    labels: tuple[str, ...]
    patch: QuantLinear  # (D, C*P*P) over pixel - 128 -> int16 branch; mean and std folded in
    x0: IntArray  # (N, D) int16; row 0 = quantised (cls + pos[0]) less the patch output of a zero patch
    blocks: tuple[QuantBlock, ...]
    norm: QuantNorm
    head: QuantLinear | None  # (classes, D) -> int32 logits at one common scale, not clamped; None = a backbone
    scales: Mapping[str, float] = field(repr=False)  # tensor name -> scale (value of one LSB)
    keep: tuple[BlockKeep, ...] = field(default=(), repr=False)  # of each block; none: nothing is pruned
    sparsity: str = DENSE  # of what is kept of the blocks' linear weights

    @property
    def is_two_of_four(self) -> bool:
        """Whether the blocks' linear weights are 2:4."""
        return self.sparsity == TWO_OF_FOUR

    @property
    def feature_scale(self) -> float:
        """Value of one step of the int8 features: the output of the last layer norm."""
        return self.scales["norm"]
