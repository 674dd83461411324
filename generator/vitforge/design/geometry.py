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
    sparse: bool = False  # 2:4 weights: a step takes two k tiles

    @property
    def k_tiles(self) -> int:
        return ceil_div(self.rows, self.tk)

    @property
    def steps(self) -> int:
        """Cycles of a tile on the array."""
        return ceil_div(self.k_tiles, 2) if self.sparse else self.k_tiles

    @property
    def column_tiles(self) -> int:
        return ceil_div(self.columns, self.tc)

    @property
    def word_beats(self) -> int:
        """Beats of one weight word (tc x tk bytes)."""
        return ceil_div(self.tc * self.tk, self.beat_bytes)

    @property
    def param_beats(self) -> int:
        """Beats that precede the weights of a column tile: its target with tc bytes, then tc records of 8 bytes."""
        return ceil_div(8 + self.tc, self.beat_bytes) + ceil_div(self.tc * 8, self.beat_bytes)

    @property
    def tile_beats(self) -> int:
        """Beats of one column tile in the stream."""
        return self.param_beats + self.steps * (self.word_beats + self.sparse)


@dataclass(frozen=True, kw_only=True)
class EngineGeometry:
    """Token tiling of one half-layer engine, and the regions of its left memory."""

    tt: int
    td: int
    seq_len: int
    norm_stride: int  # k tiles of a layer-norm row
    inner_stride: int  # k tiles of a row of the second region
    inner_tiles: int  # token tiles of the second region
    spare_entries: int  # of the third region
    patch_stride: int = 0  # k tiles of a row of the fourth region

    @property
    def token_tiles(self) -> int:
        return ceil_div(self.seq_len, self.tt)

    @property
    def drain_groups(self) -> int:
        """Drain groups (cycles to empty the accumulators) of a token tile."""
        return self.tt // self.td

    @property
    def inner_base(self) -> int:
        """First entry of the second region; the first one holds the layer norm."""
        return self.token_tiles * self.norm_stride

    @property
    def spare_base(self) -> int:
        """First entry of the third region."""
        return self.inner_base + self.inner_tiles * self.inner_stride

    @property
    def patch_base(self) -> int:
        """First entry of the fourth region."""
        return self.spare_base + self.spare_entries

    @property
    def left_depth(self) -> int:
        """Entries (tt x tk bytes) of the left memory."""
        return self.patch_base + self.token_tiles * self.patch_stride


@dataclass(frozen=True, kw_only=True)
class TokenSlice:
    """A run of token tiles of an engine."""

    first_tile: int
    tiles: int
    first_token: int
    tokens: int  # that exist
    is_last: bool

    @classmethod
    def cut(cls, first_tile: int, engine: EngineGeometry) -> TokenSlice:
        """The slice of ``engine.inner_tiles`` tiles, or what is left, from ``first_tile`` on."""
        tiles = min(engine.inner_tiles, engine.token_tiles - first_tile)
        first = first_tile * engine.tt
        return cls(
            first_tile=first_tile,
            tiles=tiles,
            first_token=first,
            tokens=min(tiles * engine.tt, engine.seq_len - first),
            is_last=first_tile + tiles == engine.token_tiles,
        )

    @classmethod
    def whole(cls, engine: EngineGeometry) -> TokenSlice:
        """All token tiles."""
        return cls(first_tile=0, tiles=engine.token_tiles, first_token=0, tokens=engine.seq_len, is_last=True)
