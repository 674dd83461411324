# SPDX-License-Identifier: Apache-2.0
"""Tile counts of a matrix on the array, and of the memories of one engine."""

from __future__ import annotations

from dataclasses import dataclass


def ceil_div(value: int, divisor: int) -> int:
    """Smallest integer at least ``value / divisor``."""
    return -(-value // divisor)


@dataclass(frozen=True, kw_only=True)
class LinearShape:
    """A (rows x columns) weight matrix cut into tiles of tk x tc, as it lies in the weight stream."""

    rows: int  # reduction length
    columns: int  # output channels
    tc: int
    tk: int
    beat_bytes: int

    @property
    def k_tiles(self) -> int:
        return ceil_div(self.rows, self.tk)

    @property
    def column_tiles(self) -> int:
        return ceil_div(self.columns, self.tc)

    @property
    def word_beats(self) -> int:
        """Beats of one weight word (tc x tk bytes)."""
        return ceil_div(self.tc * self.tk, self.beat_bytes)

    @property
    def param_beats(self) -> int:
        """Beats that precede the weights of a column tile: its header, then tc records of 8 bytes."""
        return 1 + ceil_div(self.tc * 8, self.beat_bytes)

    @property
    def tile_beats(self) -> int:
        """Beats of one column tile in the stream."""
        return self.param_beats + self.k_tiles * self.word_beats


@dataclass(frozen=True, kw_only=True)
class EngineGeometry:
    """Token tiling and activation memories of one half-layer engine."""

    tt: int
    folding_tc: int
    folding_tk: int
    td: int
    seq_len: int
    xn_stride: int  # k tiles of a layer-norm row
    extra_stride: int  # k tiles of a row of the second XN region
    extra_tokens: int  # tokens of the second XN region
    scratch_stride: int  # k tiles of a scratch row

    @property
    def token_tiles(self) -> int:
        return ceil_div(self.seq_len, self.tt)

    @property
    def drain_groups(self) -> int:
        """Drain groups (cycles to empty the accumulators) of a token tile."""
        return self.tt // self.td

    @property
    def extra_base(self) -> int:
        return self.token_tiles * self.xn_stride

    @property
    def xn_depth(self) -> int:
        """Entries (tt x tk bytes) of one XN memory."""
        return self.extra_base + ceil_div(self.extra_tokens, self.tt) * self.extra_stride

    @property
    def scratch_depth(self) -> int:
        return self.token_tiles * self.scratch_stride
