# SPDX-License-Identifier: Apache-2.0
"""Small sparse_matmul designs: both DSP families and beats, every width of a column tile, with 2:4 and without."""

from __future__ import annotations

from pathlib import Path

from vitforge.boards import load_board
from vitforge.codegen.sparse_matmul import sparse_matmul_hls_files
from vitforge.csim.build import build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary
from vitforge.design.sparse_matmul import SPARSE_MATMUL_TOP, SparseMatmulDesign


def _design(name: str, board: str, tt: int, tc: int, tk: int, **sizes: int | bool) -> SparseMatmulDesign:
    found = load_board(board)
    return SparseMatmulDesign(
        name=name,
        board=found,
        clock_mhz=100.0,
        tt=tt,
        tc=tc,
        tk=tk,
        td=found.axi_bits // 8 // tc,
        **sizes,  # type: ignore[arg-type]
    )


DESIGNS = {
    design.name: design
    for design in (
        _design("wide", "zcu104", 6, 8, 8, rows_max=20, k_max=150, n_max=40),
        _design("narrow", "zcu104", 16, 2, 8, rows_max=37, k_max=33, n_max=9),
        _design("zynq", "pynq-z2", 4, 4, 4, rows_max=13, k_max=70, n_max=19),
        _design("dense", "ultra96v2", 4, 4, 8, rows_max=11, k_max=40, n_max=12, sparse=False),
    )
}


def write_sources(design: SparseMatmulDesign, directory: Path) -> Path:
    """hls/ of the project; returns it."""
    for name, content in sparse_matmul_hls_files(design).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory / "hls"


def compiled(
    design: SparseMatmulDesign, directory: Path, headers: str = "vitforge", defines: tuple[str, ...] = ()
) -> SparseMatmulLibrary:
    """The csim library of ``design``, from the cache where nothing has changed."""
    hls = write_sources(design, directory)
    path = build_shared(
        [hls / "src" / f"{SPARSE_MATMUL_TOP}.cpp", hls / "tb" / "csim_api.cpp"],
        headers=HEADER_SETS[headers](),
        include_dirs=[hls / "include"],
        name=design.name,
        defines=defines,
    )
    return SparseMatmulLibrary(csim=CsimLibrary(path), design=design)
