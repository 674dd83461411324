# SPDX-License-Identifier: Apache-2.0
"""`Design` to and from plain data: the ``design`` entry of a generated project.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vitforge.boards import Board
from vitforge.design.design import Design, Folding
from vitforge.model.vit import ViTShape


def design_to_dict(design: Design) -> dict[str, Any]:
    """Plain data (JSON types) of ``design``."""
    return {
        "name": design.name,
        "clock_mhz": design.clock_mhz,
        "board": asdict(design.board),
        "shape": {**asdict(design.shape), "image_size": list(design.shape.image_size)},
        "folding": asdict(design.folding),
    }


def design_from_dict(data: Mapping[str, Any]) -> Design:
    """The design of `design_to_dict`'s data. Raises KeyError, TypeError or ValueError where it is not that."""
    shape = dict(data["shape"])
    shape["image_size"] = tuple(shape["image_size"])
    return Design(
        name=data["name"],
        board=Board(**data["board"]),
        shape=ViTShape(**shape),
        folding=Folding(**data["folding"]),
        clock_mhz=data["clock_mhz"],
    )
