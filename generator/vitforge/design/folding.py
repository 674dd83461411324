# SPDX-License-Identifier: Apache-2.0
"""What a fit chooses, or a user insists on: parallelism, and how a design uses its memories."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Folding:
    """Parallelism of both engines. ``tc`` and ``tk`` are common, so that the residual and its keep masks line up."""

    tt_nsa: int  # tokens per cycle, norm + self-attention engine (even)
    tt_nmp: int  # tokens per cycle, norm + MLP engine (even)
    tc: int  # output columns per cycle
    tk: int  # reduction lanes per cycle = DSP cascade length
    td_nsa: int  # tokens drained (requantised) per cycle; divides tt_nsa
    td_nmp: int  # the same for tt_nmp
    embed_nsa: int = 0  # 1: the attention array embeds the patches, 0: the MLP array
    mlp_slices: int = 1  # runs of token tiles that FC1 and FC2 take one after the other, to share a hidden layer
    tr: int = 1  # tokens that an array adds to the residual in a cycle; divides both td
    lane_banks: int = 0  # 1: each lane of the residual is a memory of its own, so that pruned outputs restore at once
    sparse: int = 0  # 1: the arrays take 2:4 weights too, two k tiles a step
    resident_nsa: int = 0  # beats of the array's stream that stay on chip after the first image of a launch; 0: none
    resident_nmp: int = 0  # the same for the MLP array

    @property
    def array_dsp_nsa(self) -> int:
        return self.tt_nsa // 2 * self.tc * self.tk

    @property
    def array_dsp_nmp(self) -> int:
        return self.tt_nmp // 2 * self.tc * self.tk
