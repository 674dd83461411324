# SPDX-License-Identifier: Apache-2.0
"""Tile counts of the matrices of a block, dense or pruned: what its cycles and its weight stream follow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

from vitforge.design.design import Design
from vitforge.design.geometry import LinearShape, ceil_div
from vitforge.design.restore import restore_tiles, unmoved
from vitforge.model.keep import BlockKeep, Mask

MOST_PAUSE = 15  # four bits of a descriptor
Tiles = tuple[tuple[int, int], ...]  # (passes, column tiles) of a layer that is added to the residual


@dataclass(frozen=True, kw_only=True)
class BlockSizes:
    """Of one block on one folding; an input of nothing still takes a k tile.

    heads : (k tiles of q and of k, k tiles of v) of each head that is left
    """

    norm1: int  # k tiles that q, k and v read
    heads: tuple[tuple[int, int], ...]
    proj: Tiles
    norm2: int  # k tiles that FC1 reads
    fc1_columns: int
    hidden: int  # k tiles that FC2 reads
    fc2: Tiles
    proj_rest: Tiles  # that move to the spare row beside those of proj
    fc2_rest: Tiles
    sparse: bool = False  # 2:4 weights

    @property
    def proj_inputs(self) -> int:
        """k tiles that the projection reads."""
        return max(1, sum(v for _, v in self.heads))


def block_sizes(design: Design, keep: BlockKeep | None = None, *, sparse: bool = False) -> BlockSizes:
    """Of a block with masks ``keep``, None: dense; ``sparse``: with 2:4 weights, if the arrays take them."""
    f = design.folding
    sizes = _dense(design) if keep is None else _pruned(keep, f.tk, f.tc, f.lane_banks)
    return replace(sizes, sparse=sparse and bool(f.sparse))


def _dense(design: Design) -> BlockSizes:
    f, head = design.folding, design.head_dim_padded // design.folding.tk
    return BlockSizes(
        norm1=design.qkv.k_tiles,
        heads=((head, head),) * design.shape.num_heads,
        proj=((1, design.channel_tiles),),
        norm2=design.fc1.k_tiles,
        fc1_columns=design.fc1.column_tiles,
        hidden=ceil_div(design.shape.hidden_dim, f.tk),
        fc2=((1, design.channel_tiles),),
        proj_rest=(),
        fc2_rest=(),
    )


@lru_cache(maxsize=1 << 12)
def _pruned(keep: BlockKeep, tk: int, tc: int, lane_banks: int) -> BlockSizes:
    def restored(mask: Mask) -> Tiles:
        tiles = restore_tiles(mask, tc, lane_banks)
        return tuple(sorted(Counter(tile.pass_count for tile in tiles).items()))

    def inputs(count: int) -> int:
        return max(1, ceil_div(count, tk))

    counts = [(int(qk.sum()), int(v.sum())) for qk, v in zip(keep.qk, keep.v, strict=True)]
    heads = tuple((inputs(qk), ceil_div(v, tk)) for qk, v in counts if v) if keep.proj.any() else ()
    hidden = int(keep.hidden.sum()) if keep.fc2.any() else 0
    return BlockSizes(
        norm1=inputs(int(keep.norm1.sum())),
        heads=heads,
        proj=restored(keep.proj),
        norm2=inputs(int(keep.norm2.sum())),
        fc1_columns=ceil_div(hidden, tc),
        hidden=inputs(hidden),
        fc2=restored(keep.fc2),
        proj_rest=restored(unmoved(keep.proj, tc, lane_banks)),
        fc2_rest=restored(unmoved(keep.fc2, tc, lane_banks)),
    )


def arrival_pause(whole: int, kept: int) -> int:
    """Cycles beyond 2 between the activations that an array takes from a layer norm that sends ``kept`` of ``whole``
    k tiles of a token: a little more than between those that come, so that the array never waits for one."""
    return min(MOST_PAUSE, max(2, ceil_div(whole + 1, max(1, kept))) - 2)


def tiles_shape(design: Design, k_tiles: int, column_tiles: int, *, sparse: bool = False) -> LinearShape:
    """A matrix of so many whole tiles."""
    f = design.folding
    return LinearShape(
        rows=k_tiles * f.tk,
        columns=column_tiles * f.tc,
        tc=f.tc,
        tk=f.tk,
        beat_bytes=design.beat_bytes,
        sparse=sparse,
    )
