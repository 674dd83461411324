# SPDX-License-Identifier: Apache-2.0
"""What holds each memory of the kernels, and the squares of layer norm: pragmas of storage.hpp, as the fit counted."""

from __future__ import annotations

from dataclasses import dataclass

from vitforge.boards import Board
from vitforge.design.design import Design
from vitforge.design.memories import Memory, memories
from vitforge.design.resources import dsp_rows, place_memories

# Memory of `design.memories` -> the arrays of the kernels that are its copies: (macro, variable).
ARRAYS = {
    "nsa_left": [("NSA_LEFT", "left")],
    "nmp_left": [("NMP_LEFT", "left")],
    "nsa_weight_tiles": [("NSA_WORDS", "words")],
    "nmp_weight_tiles": [("NMP_WORDS", "words")],
    "nmp_gelu": [("GELU", "gelu")],
    "key": [("KEY", "key")],
    "value": [("VALUE", "value")],
    "attention": [("ATTENTION_EVEN", "attention_even"), ("ATTENTION_ODD", "attention_odd")],
    "reciprocals": [("RECIPROCAL_EVEN", "reciprocal_even"), ("RECIPROCAL_ODD", "reciprocal_odd")],
    "scores": [("TILE_SCORES", "tile_scores")],
    "residual": [(f"RESIDUAL{i}", f"residual{i}") for i in range(4)],
}
_ORDER = ("uram", "bram", "lutram")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One array and the primitive that holds it."""

    macro: str
    variable: str
    impl: str


@dataclass(frozen=True, kw_only=True)
class OverlayStorageContext:
    """storage.hpp of an overlay without a model."""

    bindings: list[Binding]

    @classmethod
    def build(cls, board: Board, items: list[Memory], names: tuple[str, ...], prefix: str) -> OverlayStorageContext:
        """names : of ``items``, those that are bound, as the arrays of the kernel are named"""
        places = place_memories(board, items).bindings
        return cls(
            bindings=[
                Binding(macro=f"{prefix}_{name.upper()}", variable=name, impl=next(iter(places[name])))
                for name in names
            ]
        )


@dataclass(frozen=True, kw_only=True)
class StorageContext:
    """storage.hpp of a Vision Transformer."""

    bindings: list[Binding]
    splits: list[Binding]  # of the lanes of the residuals: array_partition or array_reshape
    square_impl: str

    @classmethod
    def build(cls, design: Design) -> StorageContext:
        places = place_memories(design.board, memories(design)).bindings
        rows = []
        for name, arrays in ARRAYS.items():
            kinds = [kind for kind in _ORDER for _ in range(places[name].get(kind, 0))]
            for (macro, variable), impl in zip(arrays, kinds, strict=True):
                rows.append(Binding(macro=f"VITFORGE_BIND_{macro}", variable=variable, impl=impl))
        split = "array_partition" if design.folding.lane_banks else "array_reshape"
        splits = [
            Binding(macro=f"VITFORGE_SPLIT_{macro}", variable=variable, impl=split)
            for macro, variable in ARRAYS["residual"]
        ]
        return cls(bindings=rows, splits=splits, square_impl="dsp" if "squares" in dsp_rows(design) else "fabric")
