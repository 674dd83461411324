# SPDX-License-Identifier: Apache-2.0
"""The design hash: the same for the same hardware, another for any other."""

from __future__ import annotations

import dataclasses

import pytest

from kernels.designs import DESIGNS
from vitforge.boards import load_board
from vitforge.design.design import Design, Folding
from vitforge.design.identity import design_hash
from vitforge.model.vit import ViTShape

DESIGN = DESIGNS["even"]


def with_shape(**changes: object) -> Design:
    return dataclasses.replace(DESIGN, shape=dataclasses.replace(DESIGN.shape, **changes))


def test_designs_differ() -> None:
    hashes = {design_hash(design) for design in DESIGNS.values()}
    assert len(hashes) == len(DESIGNS)
    assert {len(digest) for digest in hashes} == {32}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Folding)])
def test_every_folding_value_counts(field: str) -> None:
    other = dataclasses.replace(DESIGN.folding, **{field: getattr(DESIGN.folding, field) + 1})
    assert design_hash(dataclasses.replace(DESIGN, folding=other)) != design_hash(DESIGN)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ViTShape)])
def test_every_size_of_the_model_counts(field: str) -> None:
    value = getattr(DESIGN.shape, field)
    other = (value[0], 2 * value[1]) if isinstance(value, tuple) else 2 * value
    is_hardware = field != "norm_eps"  # travels in the stream
    assert (design_hash(with_shape(**{field: other})) != design_hash(DESIGN)) == is_hardware


def test_name_and_clock_do_not_count_and_the_part_does() -> None:
    assert design_hash(dataclasses.replace(DESIGN, name="other", clock_mhz=150.0)) == design_hash(DESIGN)
    assert design_hash(dataclasses.replace(DESIGN, board=load_board("kv260"))) != design_hash(DESIGN)
    renamed = dataclasses.replace(DESIGN.board, name="mine", clock_mhz=200.0)
    assert design_hash(dataclasses.replace(DESIGN, board=renamed)) == design_hash(DESIGN)
