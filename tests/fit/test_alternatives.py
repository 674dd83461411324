# SPDX-License-Identifier: Apache-2.0
"""The board that a refusal names: it holds the model, and no smaller one does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from vitforge.boards import list_boards, load_board
from vitforge.design.alternatives import board_that_fits, with_alternative
from vitforge.design.fit import fit
from vitforge.errors import CapacityError, VitforgeError
from vitforge.generate import generate
from vitforge.golden.random_model import random_quant_model
from vitforge.model.deit import deit_shape
from vitforge.model.vit import ViTShape


def holds(name: str, shape: ViTShape) -> bool:
    try:
        fit(shape, load_board(name))
    except VitforgeError:
        return False
    return True


def test_smallest_board_by_dsps() -> None:
    shape = deit_shape("deit_tiny")
    fitting = [board for board in list_boards() if holds(board, shape)]
    least = min(fitting, key=lambda board: (load_board(board).dsp, board))
    for board in list_boards():
        if board not in fitting:  # whatever is left out for being smaller than a refused board
            assert board_that_fits(shape, load_board(board)) == least


def test_no_board_holds_it() -> None:
    shape = dataclasses.replace(deit_shape("deit_base"), embed_dim=4096, hidden_dim=16384, num_heads=64)
    assert board_that_fits(shape, load_board("zcu104")) is None
    refusal = with_alternative(CapacityError("it is too large"), shape, load_board("zcu104"))
    assert str(refusal) == "it is too large; it fits no board that ships"


def test_clock_that_the_board_cannot_make() -> None:
    shape, board = deit_shape("deit_tiny"), load_board("ultra96v2")
    assert board_that_fits(shape, board, 300.0) is not None
    assert board_that_fits(shape, board, 5000.0) is None


def test_folding_that_was_asked_for() -> None:
    shape, board = deit_shape("deit_tiny"), load_board("pynq-z2")
    plain = board_that_fits(shape, board)
    wide = board_that_fits(shape, board, None, {"tt_nsa": 34, "tt_nmp": 50, "tc": 8, "tk": 8})
    assert plain is not None
    assert wide is not None
    assert load_board(wide).dsp > load_board(plain).dsp


def test_refusal_names_the_board(tmp_path: Path) -> None:
    shape = dataclasses.replace(deit_shape("deit_tiny"), image_size=(32, 32), embed_dim=16, hidden_dim=32, num_heads=1)
    model = random_quant_model(np.random.default_rng(1), shape)
    board = dataclasses.replace(load_board("zcu104"), name="small", dsp=8)
    with pytest.raises(CapacityError, match=r"does not fit .*; it fits [a-z0-9-]+$"):
        generate(board=board, output=tmp_path / "out", model=model)
