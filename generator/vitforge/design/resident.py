# SPDX-License-Identifier: Apache-2.0
"""Resident stores: room on chip for what the weight streams of the arrays repeat for every image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vitforge.boards import Board
from vitforge.design.design import COUNT_BITS, Design
from vitforge.design.geometry import ceil_div
from vitforge.design.memories import URAM_DEPTH, URAM_WIDTH
from vitforge.design.resources import Resources, resources, shortfall

MOST_ENTRIES = (1 << 16) - 1  # chunk lists address them in 16 bits
_HEADER_BYTES, _TABLE_BYTES = 32, 256


def can_stay(board: Board) -> bool:
    """Whether ``board`` has what a store is made of: two URAMs side by side hold a beat of 128 bits and a count."""
    return board.limit("uram") > 0 and (board.axi_bits + COUNT_BITS) % URAM_WIDTH == 0


def needed_entries(design: Design) -> dict[str, int]:
    """Array -> entries for all that the stream of the dense model repeats: those of a pruned one are fewer.

    Without the class head, which a group of images shares anyway.
    """
    depth, heads, slices = design.shape.depth, design.shape.num_heads, len(design.mlp_parts)
    passes = depth * slices - (slices - 1) * design.finishes_early  # the class token alone is a slice
    params, header = design.fc1.param_beats, ceil_div(_HEADER_BYTES, design.beat_bytes)
    table = ceil_div(_TABLE_BYTES, design.beat_bytes)
    attention = (design.qkv.column_tiles + design.proj.column_tiles) * params + (3 * heads + 4) * header
    mlp = (design.fc1.column_tiles + design.fc2.column_tiles) * params + 2 * header + table
    embedding = len(design.patch_parts) * (design.patch.column_tiles * params + len(design.embed_columns) * header)
    found = {"nsa": depth * attention + header, "nmp": passes * mlp + header}
    found["nsa" if design.folding.embed_nsa else "nmp"] += embedding
    return found


def with_stores(design: Design, used: Resources, overrides: Mapping[str, int]) -> Design:
    """``design`` with stores made of the URAM that it leaves, for as much as they can be of use.

    used : of ``design``
    overrides : folding values to insist on; stores among them stay as they are
    """
    board = design.board
    if not can_stay(board):
        return design
    width = ceil_div(design.entry_bits, URAM_WIDTH)
    blocks = (board.limit("uram") - used.uram) // width
    most = MOST_ENTRIES // URAM_DEPTH * URAM_DEPTH
    needs = {array: min(need, most) for array, need in needed_entries(design).items()}
    given = {array: 0 for array in needs if f"resident_{array}" not in overrides}
    for _ in range(blocks):
        array = max(given, key=lambda name: needs[name] - given[name], default="")
        if not array or given[array] >= needs[array]:
            break
        given[array] += URAM_DEPTH
    folding = replace(design.folding, **{f"resident_{array}": entries for array, entries in given.items()})
    found = replace(design, folding=folding)
    return found if shortfall(board, resources(found)) is None else design
