# SPDX-License-Identifier: Apache-2.0
"""Small A3 designs that cover what a big one can meet: every beat, packed and plain DSPs, long rows, several units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vitforge.boards import load_board
from vitforge.codegen.a3 import a3_hls_files
from vitforge.csim.a3_library import A3Library
from vitforge.csim.build import build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS
from vitforge.design.a3 import A3_TOP, A3Design
from vitforge.design.a3_numbers import A3Numbers


def _design(name: str, board: str = "zcu104", **sizes: Any) -> A3Design:
    return A3Design(name=name, board=load_board(board), clock_mhz=100.0, **sizes)


DESIGNS = {
    design.name: design
    for design in (
        # The paper's formats at every stage; two units; a row of 20 takes three words of 8.
        _design("paper", n_max=40, d_max=20, width=8, units=2, numbers=A3Numbers(policy="divide_first")),
        # Rows longer than the width, by a word that is not whole; three units.
        _design("long", n_max=70, d_max=100, width=32, units=3),
        # DSP48E1: 8-bit codes in cascades of four, 64-bit beats of eight.
        _design("bytes", "pynq-z2", n_max=64, d_max=24, width=8, numbers=A3Numbers(integer_bits=3)),
        # 10-bit codes fit no DSP in pairs; rows and columns that divide nothing.
        _design("plain", "pynq-z2", n_max=33, d_max=10, width=4, numbers=A3Numbers(fraction_bits=5)),
        # Without candidate selection; tables of 256 entries.
        _design(
            "base", n_max=20, d_max=7, width=8, approximate=False, numbers=A3Numbers(integer_bits=2, fraction_bits=6)
        ),
    )
}


def write_sources(design: A3Design, directory: Path) -> Path:
    """hls/ of the project; returns it."""
    for name, content in a3_hls_files(design).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory / "hls"


def compiled(design: A3Design, directory: Path, headers: str = "vitforge", defines: tuple[str, ...] = ()) -> A3Library:
    """The csim library of ``design``, from the cache where nothing has changed."""
    hls = write_sources(design, directory)
    path = build_shared(
        [hls / "src" / f"{A3_TOP}.cpp", hls / "tb" / "csim_api.cpp"],
        headers=HEADER_SETS[headers](),
        include_dirs=[hls / "include"],
        name=design.name,
        defines=defines,
    )
    return A3Library(csim=CsimLibrary(path), design=design)
