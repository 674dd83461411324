# SPDX-License-Identifier: Apache-2.0
"""Sources of small designs of all kernels, as the vendor tool and csim get them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from a3.designs import DESIGNS as A3_DESIGNS
from a3.designs import write_sources as write_a3
from kernels.designs import DESIGNS as VIT_DESIGNS
from kernels.support import quant_model
from kernels.support import write_sources as write_vit
from sparse_matmul.designs import DESIGNS as SPARSE_MATMUL_DESIGNS
from sparse_matmul.designs import write_sources as write_sparse_matmul
from vitforge.boards import Board


def _vit(name: str, directory: Path) -> Path:
    design = VIT_DESIGNS[name]
    return write_vit(design, quant_model(design, "random"), directory)


_WRITERS: dict[str, Callable[[str, Path], Path]] = {
    "vit": _vit,
    "a3": lambda name, directory: write_a3(A3_DESIGNS[name], directory),
    "sparse_matmul": lambda name, directory: write_sparse_matmul(SPARSE_MATMUL_DESIGNS[name], directory),
}
_BOARDS: dict[str, Callable[[str], Board]] = {
    "vit": lambda name: VIT_DESIGNS[name].board,
    "a3": lambda name: A3_DESIGNS[name].board,
    "sparse_matmul": lambda name: SPARSE_MATMUL_DESIGNS[name].board,
}
ALL = [
    *(("vit", name) for name in sorted(VIT_DESIGNS)),
    *(("a3", name) for name in sorted(A3_DESIGNS)),
    *(("sparse_matmul", name) for name in sorted(SPARSE_MATMUL_DESIGNS)),
]


def write_hls(kernel: str, name: str, directory: Path) -> Path:
    """hls/ of a design, with the part of its configuration that lint reads."""
    hls = _WRITERS[kernel](name, directory)
    top = f"vitforge_{kernel}"
    (hls / "hls_config.cfg").write_text(
        f"part={_BOARDS[kernel](name).part}\n\n[hls]\nsyn.top={top}\nsyn.file=src/{top}.cpp\ntb.file=tb/tb_main.cpp\n"
    )
    return hls
