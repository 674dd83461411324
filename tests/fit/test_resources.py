# SPDX-License-Identifier: Apache-2.0
"""Memories and the primitives that hold them, on shapes counted by hand."""

from __future__ import annotations

import dataclasses
import re

import pytest

from kernels.designs import DESIGNS
from vitforge.boards import load_board
from vitforge.codegen.context import Extent, TopContext
from vitforge.design.design import Design
from vitforge.design.memories import AXI_READ_BEATS, Memory, memories
from vitforge.design.resources import dsp_rows, place_memories, resources


@pytest.mark.parametrize(
    ("depth", "width", "bram18", "uram"),
    [
        (512, 36, 1, 1),
        (513, 36, 2, 1),  # 1024 x 18, twice
        (1024, 18, 1, 1),
        (2048, 9, 1, 1),
        (16384, 1, 1, 4),
        (512, 72, 2, 1),
        (1200, 64, 6, 1),  # 512 x 36: two wide, three deep
        (4096, 72, 16, 1),
        (4097, 72, 18, 2),
        (1296, 128, 12, 2),
    ],
)
def test_aspect_ratios(depth: int, width: int, bram18: int, uram: int) -> None:
    one = Memory(name="m", banks=1, width_bits=width, depth=depth)
    assert (one.bram18, one.uram) == (bram18, uram)
    copy = dataclasses.replace(one, banks=5, copies=3)
    assert (copy.bram18, copy.uram) == (5 * bram18, 5 * uram)


@pytest.mark.parametrize(
    ("depth", "width", "luts"),
    # Groups of 64 x 7 or 32 x 14 bits in eight LUTs; from the second row on, a multiplexer of four to one a bit.
    [
        (64, 7, 8),
        (64, 8, 16),
        (32, 14, 8),
        (65, 8, 24 + 8),
        (24, 512, 37 * 8),
        (128, 8, 32 + 8),
        (129, 8, None),
        (65, 16, None),
    ],
)
def test_small_banks_are_distributed_ram(depth: int, width: int, luts: int | None) -> None:
    """Up to 64 words of any width, or up to 1 Kbit."""
    memory = Memory(name="m", banks=1, width_bits=width, depth=depth)
    assert memory.is_lutram == (luts is not None)
    if luts is not None:
        assert memory.luts == luts


def bits(design: Design, *names: str) -> int:
    found = {item.name: item for item in memories(design)}
    return sum(found[name].copies * found[name].banks * found[name].depth * found[name].width_bits for name in names)


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_memories_hold_the_model(name: str) -> None:
    """Every tensor that has to be on chip at once fits, and padding to tiles is all that is added."""
    design = DESIGNS[name]
    shape, f = design.shape, design.folding
    n, d = shape.seq_len, shape.embed_dim
    wide = design.attn_dim
    patches = n * shape.patch_len * 8
    early = shape.num_classes > 0
    hidden = -(-n // f.tt_nmp // f.mlp_slices) * shape.hidden_dim * 8  # of a slice: a token a tile at least
    for memory, needed in (
        (("residual",), 4 * (n + early) * d * 16),
        (("nsa_left",), (n * (d + wide) + early * d) * 8 + (patches if f.embed_nsa else 0)),
        (("nmp_left",), n * d * 8 + hidden + (0 if f.embed_nsa else patches // (2 * f.mlp_slices))),
        (("key",), n * wide * 8),
        (("value",), n * wide * 8),
        (("attention",), 2 * n * n * 8),
        (("nsa_weight_tiles",), 2 * max(d, wide) * f.tc * 8),
        (("nmp_weight_tiles",), 2 * max(d, shape.hidden_dim) * f.tc * 8),
    ):
        assert bits(design, *memory) >= needed, memory
    tile = max(f.tt_nsa, f.tt_nmp)
    assert bits(design, "residual") <= 4 * (n + 2 * f.tr) * (d + f.tc) * 16
    rows = (n + tile) * (d + wide + 2 * f.tk) + tile * (d + f.tk)
    assert bits(design, "nsa_left") <= 8 * (rows + (n + tile) * (shape.patch_len + f.tk) * f.embed_nsa)


def test_only_what_is_too_much_for_block_ram_goes_elsewhere() -> None:
    """Every copy lies somewhere, URAM and LUTs keep to their limits, and a board with room uses block RAM alone."""
    small = load_board("kv260")
    for bram36, uram, lut in ((144, 64, 117120), (20, 64, 117120), (20, 10, 400000), (2000, 0, 117120)):
        board = dataclasses.replace(small, bram36=bram36, uram=uram, lut=lut)
        design = dataclasses.replace(DESIGNS["ragged"], board=board)
        if not uram:
            folding = dataclasses.replace(design.folding, resident_nsa=0, resident_nmp=0)
            design = dataclasses.replace(design, folding=folding)
        items = memories(design)
        placed = place_memories(board, items)
        kinds = {"bram": 0, "uram": 0, "lutram": 0}
        for item in items:
            assert sum(placed.bindings[item.name].values()) == item.copies
            for kind, copies in placed.bindings[item.name].items():
                each = {"bram": item.bram18, "uram": item.uram, "lutram": item.luts}[kind]
                kinds[kind] += copies * each
        assert (placed.bram36, placed.uram, placed.lut) == (-(-kinds["bram"] // 2), kinds["uram"], kinds["lutram"])
        assert placed.uram <= board.limit("uram")
        if bram36 == 2000:
            always = sum(item.copies * item.luts for item in items if item.is_lutram)
            assert (placed.uram, placed.lut) == (0, always)


def test_dsps_of_both_families() -> None:
    """27 x 17 bits are one DSP48E2 or two DSP48E1."""
    rows = dsp_rows(DESIGNS["even"])  # tt 8 and 12, tc 4, tk 8, td 4 and 4
    assert (rows["nsa_array"], rows["nmp_array"]) == (4 * 4 * 8, 6 * 4 * 8)
    assert (rows["requantize"], rows["layer_norm"], rows["squares"]) == (2 * 16, 2 * 4 * 2, 2 * 4)
    rows = dsp_rows(DESIGNS["one-head"])  # tt 2 and 8, tc 4, tk 4, td 2 and 4
    assert (rows["nsa_array"], rows["nmp_array"]) == (1 * 4 * 4, 4 * 4 * 4)
    assert (rows["requantize"], rows["layer_norm"], rows["squares"]) == ((2 + 4) * 4 * 2, 2 * 4 * 3, 2 * 4)


def test_squares_are_made_of_luts_where_dsps_run_out() -> None:
    few = dataclasses.replace(DESIGNS["even"].board, dsp=sum(dsp_rows(DESIGNS["even"]).values()))
    design = dataclasses.replace(DESIGNS["even"], board=few)
    assert "squares" in dsp_rows(DESIGNS["even"]) and "squares" not in dsp_rows(design)
    assert resources(design).lut > resources(DESIGNS["even"]).lut


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_totals_are_the_sum_of_the_rows(name: str) -> None:
    used = resources(DESIGNS[name])
    assert used.dsp == sum(used.dsp_rows.values())
    assert set(used.memory_rows) == {item.name for item in memories(DESIGNS[name])}
    held = " ".join(used.memory_rows.values())
    assert sum(int(count) for count in re.findall(r"(\d+) URAM", held)) == used.uram
    halves = sum(float(count) for count in re.findall(r"([\d.]+) BRAM36", held))
    assert halves <= used.bram36 < halves + 1


def test_axi_buffers_are_those_that_the_top_asks_for() -> None:
    top = TopContext.build(DESIGNS["even"], Extent(images=1, n_steps=1, list_beats=1, blob_beats=1))
    for port in top.ports:
        options = dict(option.split("=") for option in port.options.split())
        if port.name != "logits":
            beats = int(options["max_read_burst_length"]) * int(options["num_read_outstanding"])
            assert beats == AXI_READ_BEATS
