# SPDX-License-Identifier: Apache-2.0
"""Bytes between DDR and a design: of an image in closed form, and of a launch by its chunk lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vitforge.design.block_sizes import BlockSizes, Tiles, block_sizes, tiles_shape
from vitforge.design.design import Design
from vitforge.design.geometry import LinearShape, ceil_div
from vitforge.design.loops import DDR_EFFICIENCY
from vitforge.model.keep import BlockKeep
from vitforge_host.schedule import IN_FLIGHT, ChunkKind, chunk_lists

Keeps = tuple[BlockKeep, ...]  # of each block; none: nothing is pruned


@dataclass(frozen=True)
class _Matrix:
    """Column tiles that an array is sent for an image."""

    array: str
    shape: LinearShape  # of one of them
    tiles: int


def _block_matrices(design: Design, sizes: BlockSizes, passes: int) -> list[_Matrix]:
    """passes : of the MLP, one a slice of the tokens"""
    per_k_tile = design.folding.tk // design.folding.tc

    def matrix(array: str, k_tiles: int, tiles: int) -> _Matrix:
        return _Matrix(array, tiles_shape(design, k_tiles, 1, sparse=sizes.sparse), tiles)

    def count(tiles: Tiles) -> int:
        return sum(columns for _, columns in tiles)

    return [
        matrix("nsa", sizes.norm1, sum(2 * qk + v for qk, v in sizes.heads) * per_k_tile),
        matrix("nsa", sizes.proj_inputs, count(sizes.proj)),
        matrix("nmp", sizes.norm2, passes * sizes.fc1_columns),
        matrix("nmp", sizes.hidden, passes * count(sizes.fc2)),
    ]


def _matrices(design: Design, keep: Keeps, sparse: bool) -> list[_Matrix]:
    """Of the blocks and the patch embedding."""
    depth, found = design.shape.depth, []
    for block, masks in enumerate(keep or (None,) * depth):
        is_early = design.finishes_early and block == depth - 1
        passes = 1 if is_early else len(design.mlp_parts)
        found += _block_matrices(design, block_sizes(design, masks, sparse=sparse), passes)
    embedder = "nsa" if design.folding.embed_nsa else "nmp"
    found.append(_Matrix(embedder, design.patch, len(design.patch_parts) * design.patch.column_tiles))
    return found


def _weight_beats(design: Design, keep: Keeps, sparse: bool) -> int:
    """Of column tiles, without the parameters of those that a resident store has room for."""
    free, beats = design.resident_entries, 0
    for matrix in _matrices(design, keep, sparse):
        params = matrix.tiles * matrix.shape.param_beats
        kept = min(free[matrix.array], params)
        free[matrix.array] -= kept
        beats += matrix.tiles * matrix.shape.tile_beats - kept
    if design.finishes_early:  # once for a group of images
        beats += ceil_div(design.head.column_tiles * design.head.tile_beats, design.head_images)
    return beats


def ddr_bytes(design: Design, keep: Keeps = (), *, sparse: bool = False) -> int:
    """Bytes that a further image of a launch costs DDR: weights once a slice, with the parameters that do not stay on
    chip, layer-norm records, tables, the image itself, its results.

    Descriptors, activation tables and chunk lists, a few beats each, are not counted, nor what is read once a launch.
    """
    depth, tc = design.shape.depth, design.folding.tc
    beats = design.image_beats + _weight_beats(design, keep, sparse)
    beats += (2 * depth + 1) * ceil_div(design.channel_tiles * tc * 8, design.beat_bytes)
    beats += design.residual_groups * design.folding.tr * design.channel_tiles * ceil_div(2 * tc, design.beat_bytes)
    return beats * design.beat_bytes + 4 * design.result_words


def ddr_cycles(design: Design, keep: Keeps, sparse: bool) -> int:
    """Cycles an image at the DDR's modelled bandwidth; 0 where the board's is not known."""
    if design.board.ddr_gbps is None:
        return 0
    bytes_per_cycle = design.board.ddr_gbps * 1e9 * DDR_EFFICIENCY / (design.clock_mhz * 1e6)
    return int(ddr_bytes(design, keep, sparse=sparse) / bytes_per_cycle)


def launch_bytes(manifest: Mapping[str, Any], images: int) -> tuple[int, int]:
    """(all bytes of a launch of ``images``: lists, streams and results; those of them for the resident stores)."""
    lists, _ = chunk_lists(manifest, images)
    beat = int(manifest["beat_bytes"])
    total = sum(entries.nbytes + int(entries[:, 1].sum()) * beat for entries in lists.values())
    kept = sum(int(entries[entries[:, 2] == ChunkKind.KEEP, 1].sum()) for entries in lists.values())
    return total + 4 * images * int(manifest["logits_words"]), kept * beat


def image_bytes(manifest: Mapping[str, Any]) -> tuple[int, int]:
    """(bytes of a further image of a launch, by the lists that the accelerator walks; bytes that stay on chip, once a
    launch)."""
    (few, _), (many, kept) = (launch_bytes(manifest, count) for count in (2 * IN_FLIGHT, 3 * IN_FLIGHT))
    return (many - few) // IN_FLIGHT, kept  # a whole round of the ring, and of images that share a class head


def linear_bytes(manifest: Mapping[str, Any], blocks: range) -> int:
    """Bytes that a further image reads of the sections of both arrays in ``blocks``."""
    sections = manifest["sections"]
    beats = sum(int(sections[f"{array}.{block}"]["beats"]) for array in ("nsa", "nmp") for block in blocks)
    return beats * int(manifest["beat_bytes"])
