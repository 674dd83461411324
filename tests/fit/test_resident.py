# SPDX-License-Identifier: Apache-2.0
"""Resident stores take what the folding leaves of the URAM, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from vitforge.boards import load_board
from vitforge.design.fit import FitResult, fit
from vitforge.design.resident import needed_entries
from vitforge.design.resources import resources
from vitforge.errors import CapacityError, ConfigError
from vitforge.model.vit import ViTShape

SHAPE = ViTShape(
    image_size=(28, 28),
    channels=1,
    patch_size=4,
    embed_dim=128,
    depth=6,
    num_heads=4,
    hidden_dim=512,
    num_classes=10,
)
OFF = {"resident_nsa": 0, "resident_nmp": 0}


def without_stores(found: FitResult) -> FitResult:
    folding = replace(found.design.folding, **OFF)
    return replace(found, design=replace(found.design, folding=folding))


@pytest.mark.parametrize("board", ["zcu104", "kv260", "ultra96v2", "pynq-z2"])
def test_a_fit_is_the_same_with_and_without(board: str) -> None:
    """The folding, the place of all other memories, and never more cycles."""
    found, plain = fit(SHAPE, load_board(board)), fit(SHAPE, load_board(board), overrides=OFF)
    assert without_stores(found).design == plain.design
    assert found.estimate.cycles_per_image <= plain.estimate.cycles_per_image
    assert found.estimate.ddr_bytes_per_image <= plain.estimate.ddr_bytes_per_image
    others = {name: places for name, places in found.resources.bindings.items() if "resident" not in name}
    assert others == plain.resources.bindings
    assert found.resources.bram36 == plain.resources.bram36 and found.resources.dsp == plain.resources.dsp
    assert found.resources.uram <= load_board(board).limit("uram")
    has_stores = any(found.design.resident_entries.values())
    assert has_stores == (board in ("zcu104", "kv260"))
    assert (found.resources.lut > plain.resources.lut) == has_stores


def test_they_hold_all_that_a_dense_model_repeats_where_there_is_room() -> None:
    found = fit(SHAPE, load_board("zcu104"))
    needed = needed_entries(found.design)
    for array, entries in found.design.resident_entries.items():
        assert needed[array] <= entries < needed[array] + 4096
        assert found.resources.memory_rows[f"{array}_resident"] == f"{2 * entries // 4096} URAM"
    assert any("stay on chip" in reason for reason in found.reasons)


def pinned() -> tuple[FitResult, dict[str, int]]:
    """Without stores on a ZCU104, and its folding, for boards that are about to be too small for more."""
    plain = fit(SHAPE, load_board("zcu104"), overrides=OFF)
    values = asdict(plain.design.folding)
    return plain, {name: value for name, value in values.items() if name not in OFF}


@pytest.mark.parametrize("uram", [1, 2, 3, 4, 6, 9, 16, 64])
def test_they_take_no_more_than_is_left(uram: int) -> None:
    """Two URAMs for each 4,096 entries, until all has its place."""
    board = replace(load_board("zcu104"), uram=uram)
    board = replace(board, caps={**board.caps, "uram": 1.0})
    found = fit(SHAPE, board, overrides=pinned()[1])
    left = uram - resources(without_stores(found).design).uram
    most = sum(-(-entries // 4096) for entries in needed_entries(found.design).values())
    assert sum(found.design.resident_entries.values()) == 4096 * min(left // 2, most)


@pytest.mark.parametrize("more", [100, 10_000])
def test_no_store_where_luts_are_short(more: int) -> None:
    board, (plain, folding) = load_board("zcu104"), pinned()
    tight = replace(board, lut=plain.resources.lut + more, caps={**board.caps, "lut": 1.0})
    assert any(fit(SHAPE, tight, overrides=folding).design.resident_entries.values()) == (more > 5000)


def test_what_cannot_be_is_refused_in_a_sentence() -> None:
    for board in ("pynq-z2", "ultra96v2"):
        with pytest.raises(ConfigError, match=r"resident_nsa = 4096 needs URAM and ports of 128 bits, not .*; try 0"):
            fit(SHAPE, load_board(board), overrides={"resident_nsa": 4096})
    with pytest.raises(ConfigError, match=r"resident_nmp = 70000 must be 0 to 65,535"):
        fit(SHAPE, load_board("zcu104"), overrides={"resident_nmp": 70_000})
    with pytest.raises(CapacityError, match=r"needs \d+ uram and the limit is 51"):
        fit(SHAPE, load_board("kv260"), overrides={"resident_nmp": 65_535, "resident_nsa": 65_535})
