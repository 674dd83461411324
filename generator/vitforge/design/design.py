# SPDX-License-Identifier: Apache-2.0
"""`Design`: the one frozen object that every later stage reads its numbers from.

Units used below: a *token tile* is ``tt`` tokens, a *column tile* ``tc`` output channels, a *k tile*
``tk`` values of the reduction; a *drain group* is ``td`` tokens, leaving the array in one cycle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from vitforge.boards import Board
from vitforge.design.geometry import EngineGeometry, LinearShape, ceil_div
from vitforge.model.vit import ViTShape

NORM_LATENCY = 64  # cycles of a root and a quotient, a bit a stage, with room for the tool's registers


@dataclass(frozen=True, kw_only=True)
class Folding:
    """Parallelism of both engines. ``tc``, ``tk`` and ``td`` are common, so that branches and keep masks line up."""

    tt_nsa: int  # tokens per cycle, norm + self-attention engine (even)
    tt_nmp: int  # tokens per cycle, norm + MLP engine (even)
    tc: int  # output columns per cycle
    tk: int  # reduction lanes per cycle = DSP cascade length
    td: int  # tokens drained (requantised) per cycle; divides both tt
    lt: int  # tokens per cycle in layer norm; divides td

    @property
    def array_dsp_nsa(self) -> int:
        return self.tt_nsa // 2 * self.tc * self.tk

    @property
    def array_dsp_nmp(self) -> int:
        return self.tt_nmp // 2 * self.tc * self.tk


@dataclass(frozen=True, kw_only=True)
class Design:
    """Board, model shape and folding, with everything derived from them."""

    name: str
    board: Board
    shape: ViTShape
    folding: Folding
    clock_mhz: float

    @cached_property
    def axi_bits(self) -> int:
        return self.board.axi_bits

    @property
    def beat_bytes(self) -> int:
        return self.axi_bits // 8

    # --- reductions and columns, padded to tiles -------------------------------------------------
    @cached_property
    def head_dim_padded(self) -> int:
        """Channels a head occupies on chip: head_dim rounded up to the k tile."""
        return ceil_div(self.shape.head_dim, self.folding.tk) * self.folding.tk

    @cached_property
    def attn_dim(self) -> int:
        """Width of Q, K, V and context on chip: all heads, padded."""
        return self.shape.num_heads * self.head_dim_padded

    @cached_property
    def patch(self) -> LinearShape:
        return self._linear(self.shape.patch_len, self.shape.embed_dim)

    @cached_property
    def qkv(self) -> LinearShape:
        return self._linear(self.shape.embed_dim, 3 * self.attn_dim)

    @cached_property
    def proj(self) -> LinearShape:
        return self._linear(self.attn_dim, self.shape.embed_dim)

    @cached_property
    def fc1(self) -> LinearShape:
        return self._linear(self.shape.embed_dim, self.shape.hidden_dim)

    @cached_property
    def fc2(self) -> LinearShape:
        return self._linear(self.shape.hidden_dim, self.shape.embed_dim)

    @cached_property
    def head(self) -> LinearShape:
        return self._linear(self.shape.embed_dim, max(self.shape.num_classes, 1))

    def _linear(self, rows: int, columns: int) -> LinearShape:
        f = self.folding
        return LinearShape(rows=rows, columns=columns, tc=f.tc, tk=f.tk, beat_bytes=self.beat_bytes)

    # --- engines -----------------------------------------------------------------------------------
    @cached_property
    def nsa(self) -> EngineGeometry:
        """Norm + self-attention: XN holds layer norm and a tile of the final norm; scratch holds Q, then context."""
        d_tiles = ceil_div(self.shape.embed_dim, self.folding.tk)
        return EngineGeometry(
            tt=self.folding.tt_nsa,
            folding_tc=self.folding.tc,
            folding_tk=self.folding.tk,
            td=self.folding.td,
            seq_len=self.shape.seq_len,
            xn_stride=d_tiles,
            extra_stride=d_tiles,
            extra_tokens=1,
            scratch_stride=self.attn_dim // self.folding.tk,
        )

    @cached_property
    def nmp(self) -> EngineGeometry:
        """Norm + MLP: XN holds the layer norm and the patches of the next image; scratch holds the hidden layer."""
        return EngineGeometry(
            tt=self.folding.tt_nmp,
            folding_tc=self.folding.tc,
            folding_tk=self.folding.tk,
            td=self.folding.td,
            seq_len=self.shape.seq_len,
            xn_stride=ceil_div(self.shape.embed_dim, self.folding.tk),
            extra_stride=self.patch.k_tiles,
            extra_tokens=self.shape.seq_len,
            scratch_stride=ceil_div(self.shape.hidden_dim, self.folding.tk),
        )

    # --- token memories ------------------------------------------------------------------------------
    @cached_property
    def channel_tiles(self) -> int:
        """Column tiles of the residual stream (embed_dim / tc, rounded up)."""
        return ceil_div(self.shape.embed_dim, self.folding.tc)

    @cached_property
    def token_groups(self) -> int:
        """Drain groups that a residual or branch memory holds: whole token tiles of either engine."""
        return max(self.nsa.token_tiles * self.nsa.drain_groups, self.nmp.token_tiles * self.nmp.drain_groups)

    @property
    def residual_depth(self) -> int:
        """Words (td tokens x tc int16) of one residual memory."""
        return self.token_groups * self.channel_tiles

    @property
    def branch_nsa_depth(self) -> int:
        return self.residual_depth

    @property
    def branch_nmp_depth(self) -> int:
        """Two regions: the FC2 output, and the patch embedding of the image that enters next."""
        return 2 * self.residual_depth

    @property
    def embed_branch_base(self) -> int:
        return self.residual_depth

    # --- attention ---------------------------------------------------------------------------------
    @cached_property
    def key_tiles(self) -> int:
        """k tiles over the keys of score x V."""
        return ceil_div(self.shape.seq_len, self.folding.tk)

    @cached_property
    def key_columns(self) -> int:
        """Column tiles of Q.K^T: keys padded to whole k tiles, so that the weights fill every word."""
        return self.key_tiles * (self.folding.tk // self.folding.tc)

    @cached_property
    def key_banks(self) -> int:
        """Token banks of K: written td at a time, read tc at a time."""
        return math.lcm(self.folding.td, self.folding.tc)

    @cached_property
    def value_banks(self) -> int:
        """Token banks of V: written td at a time, read tk at a time."""
        return math.lcm(self.folding.td, self.folding.tk)

    @cached_property
    def kv_tokens(self) -> int:
        """Tokens K and V must address: whole token tiles, and whole k tiles of keys."""
        return max(self.nsa.token_tiles * self.folding.tt_nsa, self.key_tiles * self.folding.tk)

    @property
    def key_depth(self) -> int:
        """Words (tc bytes) per bank and group of K."""
        return ceil_div(self.kv_tokens, self.key_banks) * (self.attn_dim // self.folding.tk)

    @property
    def value_depth(self) -> int:
        """Words (tc bytes) per bank of V."""
        return ceil_div(self.kv_tokens, self.value_banks) * (self.attn_dim // self.folding.tc)

    @property
    def norm_fifo_depth(self) -> int:
        """Residual words between the sums of a token and its normalisation: one token, and the deviation's latency.

        One token is what must fit for the unit not to lock up; the rest keeps it running.
        """
        return self.channel_tiles + NORM_LATENCY

    @property
    def weights_depth(self) -> int:
        """Entries (attention weights: tt x tk bytes) of one P memory."""
        return self.nsa.token_tiles * self.key_tiles

    @property
    def max_k_tiles_nsa(self) -> int:
        return max(self.qkv.k_tiles, self.proj.k_tiles, self.head.k_tiles)

    @property
    def max_k_tiles_nmp(self) -> int:
        return max(self.patch.k_tiles, self.fc1.k_tiles, self.fc2.k_tiles)

    # --- images --------------------------------------------------------------------------------------
    @property
    def image_row_beats(self) -> int:
        """Beats of one patch row in DDR: k tiles of tk bytes, padded to a beat."""
        return ceil_div(self.patch.k_tiles * self.folding.tk, self.beat_bytes)

    @property
    def image_beats(self) -> int:
        """Beats of one image in DDR: one row per token, row 0 (class token) all 0x80."""
        return self.shape.seq_len * self.image_row_beats

    @property
    def logits_words(self) -> int:
        """int32 words of one result: classes padded to column tiles."""
        return self.head.column_tiles * self.folding.tc
