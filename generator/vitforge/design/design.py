# SPDX-License-Identifier: Apache-2.0
"""`Design`: the one frozen object that every later stage reads its numbers from.

Units used below: a *token tile* is ``tt`` tokens, a *column tile* ``tc`` output channels, a *k tile*
``tk`` values of the reduction; a *drain group* is ``td`` tokens, leaving the array in one cycle. A memory of
activations has an *entry* for each k tile of a token tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from vitforge.boards import Board
from vitforge.design.folding import Folding as Folding
from vitforge.design.geometry import EngineGeometry, LinearShape, TokenSlice, ceil_div
from vitforge.design.loops import LOOPS
from vitforge.model.vit import ViTShape

_HEAD_JOBS = 16  # of a class head that is spread over steps
COUNT_BITS = 16  # of an entry of a resident store, beside its beat
WORD_ADDRESS_BITS = 40  # of a word from layer norm to an array: entry, row, group, kind


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

    @property
    def resident_entries(self) -> dict[str, int]:
        """Array -> entries of its resident store: a beat of the stream, and how many weight beats follow it."""
        return {"nsa": self.folding.resident_nsa, "nmp": self.folding.resident_nmp}

    @property
    def entry_bits(self) -> int:
        return self.axi_bits + COUNT_BITS

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
    @property
    def left_parts(self) -> int:
        """Memories that the entries of a left memory go to by turns: a 2:4 step reads two entries."""
        return 2 if self.folding.sparse else 1

    def _entries(self, k_tiles: int) -> int:
        """Entries of a row: whole steps."""
        return ceil_div(k_tiles, self.left_parts) * self.left_parts

    @cached_property
    def nsa(self) -> EngineGeometry:
        """Norm + self-attention: layer norm; Q, then context; a tile of the final norm; patches, if embedded here."""
        d_tiles = self._entries(ceil_div(self.shape.embed_dim, self.folding.tk))
        return EngineGeometry(
            tt=self.folding.tt_nsa,
            td=self.folding.td_nsa,
            seq_len=self.shape.seq_len,
            norm_stride=d_tiles,
            inner_stride=self._entries(self.attn_dim // self.folding.tk),
            inner_tiles=ceil_div(self.shape.seq_len, self.folding.tt_nsa),
            spare_entries=d_tiles,
            patch_stride=self._entries(self.patch.k_tiles) if self.folding.embed_nsa else 0,
        )

    @cached_property
    def nmp(self) -> EngineGeometry:
        """Norm + MLP: layer norm; hidden layer or patches of an image that enters; hidden layer of the class token."""
        tiles = ceil_div(self.shape.seq_len, self.folding.tt_nmp)
        hidden = self._entries(ceil_div(self.shape.hidden_dim, self.folding.tk))
        patch = self._entries(self.patch.k_tiles)
        return EngineGeometry(
            tt=self.folding.tt_nmp,
            td=self.folding.td_nmp,
            seq_len=self.shape.seq_len,
            norm_stride=self._entries(ceil_div(self.shape.embed_dim, self.folding.tk)),
            inner_stride=hidden if self.folding.embed_nsa else max(hidden, patch),
            inner_tiles=ceil_div(tiles, self.folding.mlp_slices),
            spare_entries=hidden,
        )

    @cached_property
    def mlp_parts(self) -> tuple[TokenSlice, ...]:
        """Runs of token tiles whose hidden layer, or patches, are on chip at once."""
        nmp = self.nmp
        firsts = range(0, nmp.token_tiles, nmp.inner_tiles)
        return tuple(TokenSlice.cut(first, nmp) for first in firsts)

    @property
    def patch_parts(self) -> tuple[TokenSlice, ...]:
        """Runs of token tiles whose patches are on chip at once, in the engine that embeds them."""
        if not self.folding.embed_nsa:
            return self.mlp_parts
        return (TokenSlice.whole(self.nsa),)

    @property
    def patch_place(self) -> tuple[int, int]:
        """First entry, and entries of a token tile, of the patches in the left memory of the engine that embeds."""
        if self.folding.embed_nsa:
            return self.nsa.patch_base, self.nsa.patch_stride
        return self.nmp.inner_base, self.nmp.inner_stride

    @property
    def embed_columns(self) -> tuple[range, ...]:
        """Column tiles of the patch embedding that are one job.

        In the attention array two: the layer norm of an image that enters adds its position table first, and is not
        ready to send before the second one.
        """
        columns = self.channel_tiles
        if not self.folding.embed_nsa or columns == 1:
            return (range(columns),)
        return range(columns // 2), range(columns // 2, columns)

    @property
    def finishes_early(self) -> bool:
        """Whether the last block works on the class token alone: nothing else reaches the class head."""
        return self.shape.num_classes > 0

    @property
    def head_images(self) -> int:
        """Images whose class tokens share a token tile, and a job of the class head."""
        return min(4, self.folding.tt_nsa) if self.finishes_early else 1

    @property
    def head_slices(self) -> tuple[range, ...]:
        """Column tiles of the class head that are one job: a step's each where the array has a little time in many.

        If the attention array embeds, it has no step with much time to spare.
        """
        columns = self.head.column_tiles
        jobs = min(_HEAD_JOBS, max(1, self.image_steps - 8)) if self.folding.embed_nsa else 1
        size = ceil_div(columns, jobs)
        return tuple(range(first, min(first + size, columns)) for first in range(0, columns, size))

    @property
    def image_steps(self) -> int:
        """Steps after which the next image takes an image's place.

        With a class head the next image is embedded while the class token of the last one takes its last MLP; the
        features of a backbone leave in a step more, and the ring comes round once in vain.
        """
        return 4 * self.shape.depth if self.finishes_early else 4 * (self.shape.depth + 1)

    # --- residual ------------------------------------------------------------------------------------
    @cached_property
    def channel_tiles(self) -> int:
        """Column tiles of the residual stream (embed_dim / tc, rounded up)."""
        return ceil_div(self.shape.embed_dim, self.folding.tc)

    @property
    def residual_base(self) -> int:
        """First row of token 0. The rows before are spare: the class token of an image that leaves."""
        return self.channel_tiles

    @property
    def residual_groups(self) -> int:
        """Groups of tr tokens, which share their rows in a residual memory."""
        return ceil_div(self.shape.seq_len, self.folding.tr)

    @property
    def residual_depth(self) -> int:
        """Rows (tc int16 of each of tr tokens) of one residual memory."""
        return self.residual_base + self.residual_groups * self.channel_tiles

    def residual_row(self, token: int) -> int:
        """First row of the group of ``token``."""
        return self.residual_base + token // self.folding.tr * self.channel_tiles

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
        return math.lcm(self.folding.td_nsa, self.folding.tc)

    @cached_property
    def value_banks(self) -> int:
        """Token banks of V: written td at a time, read tk at a time."""
        return math.lcm(self.folding.td_nsa, self.folding.tk)

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
    def norm_tokens(self) -> int:
        """Tokens whose words wait for the first one's deviation: its pipeline moves on only with further tokens."""
        loop = LOOPS["reciprocal_token"]
        return ceil_div(loop.depth - 1, loop.interval) + 1

    @property
    def norm_fifo_depth(self) -> int:
        """Residual words between the sums of a token and its normalisation; with fewer the unit would lock up."""
        return self.norm_tokens * self.channel_tiles + LOOPS["sum_word"].depth

    @property
    def attention_depth(self) -> int:
        """Entries (attention weights: tt x tk bytes) of one P memory."""
        return self.nsa.token_tiles * self.key_tiles

    @property
    def max_k_tiles_nsa(self) -> int:
        longest = max(self.qkv.k_tiles, self.proj.k_tiles)
        return max(longest, self.patch.k_tiles) if self.folding.embed_nsa else longest

    @property
    def max_k_tiles_nmp(self) -> int:
        longest = max(self.fc1.k_tiles, self.fc2.k_tiles)
        return longest if self.folding.embed_nsa else max(longest, self.patch.k_tiles)

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
    def result_tiles(self) -> int:
        """Column tiles of one result: class logits, or the features of every token."""
        if self.shape.num_classes:
            return self.head.column_tiles
        return self.shape.seq_len * self.channel_tiles

    @property
    def result_words(self) -> int:
        """int32 words of one result."""
        return self.result_tiles * self.folding.tc

    @property
    def word_bits(self) -> int:
        """Bits of a word from layer norm to an array: tk values and their address."""
        return 8 * self.folding.tk + WORD_ADDRESS_BITS
