# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate --kernel sparse_matmul`: the sparse MAC array alone as a complete HLS project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitforge.boards import Board
from vitforge.codegen.sparse_matmul import sparse_matmul_hls_files
from vitforge.codegen.sparse_matmul_notebook import sparse_matmul_notebook_files
from vitforge.config import ProjectConfig
from vitforge.deploy.assemble import Parts, assemble
from vitforge.deploy.sparse_matmul_overlay import sparse_matmul_modules, sparse_matmul_overlay_files
from vitforge.design.sparse_matmul import SPARSE_MATMUL_TOP, sparse_matmul_to_dict
from vitforge.design.sparse_matmul_fit import SparseMatmulFit, fit_sparse_matmul
from vitforge.errors import ConfigError
from vitforge.output import write_project
from vitforge.timing.sparse_matmul_estimate import estimate_sparse_matmul

KERNEL = "sparse_matmul"
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class SparseMatmulGenerateResult:
    """A generated sparse_matmul project and the figures of its design."""

    directory: Path
    fitted: SparseMatmulFit

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints. Resources are by construction or modelled."""
        design, used = self.fitted.design, self.fitted.resources
        sizes = ("tt", "tc", "tk", "td", "rows_max", "block_rows", "k_max", "n_max", "sparse", "macs_per_cycle")
        return {
            "directory": str(self.directory),
            "kernel": KERNEL,
            "board": design.board.name,
            "clock_mhz": design.clock_mhz,
            "dsp": used.dsp,
            "dsp_limit": design.board.limit("dsp"),
            "bram36": used.bram36,
            "uram": used.uram,
            "lut": used.lut,
            "ff": used.ff,
            **{name: getattr(design, name) for name in sizes},
            "reasons": list(self.fitted.reasons),
        }


def sparse_matmul_project_files(fitted: SparseMatmulFit, settings: dict[str, object]) -> dict[str, bytes]:
    """Every file of the project by its path in it."""
    design = fitted.design
    parts = Parts(
        kernel=KERNEL,
        name=design.name,
        title="sparse matrix product",
        board=design.board,
        clock_mhz=design.clock_mhz,
        top=SPARSE_MATMUL_TOP,
        digest=design.hash,
        hls=sparse_matmul_hls_files(design),
        overlay=sparse_matmul_overlay_files(design),
        modules=sparse_matmul_modules(design),
        reports={
            "fit": {"reasons": list(fitted.reasons)},
            "estimate": estimate_sparse_matmul(design).to_json(),
            "resources": fitted.resources.to_json(),
        },
        design=sparse_matmul_to_dict(design),
    )
    return assemble(parts, settings) | sparse_matmul_notebook_files(design)


def generate_sparse_matmul(
    *, board: Board, output: Path, config: ProjectConfig | None = None, progress: Progress | None = None
) -> SparseMatmulGenerateResult:
    """Sizes the array after the table ``sparse_matmul`` of ``config`` for ``board``, and writes its project.

    Raises
    ------
    CapacityError
        If it does not fit the board; names resource, need and limit, and what would fit.
    ConfigError
        If the clock or a value is not possible.
    OutputError
        If ``output`` exists and is not ours, or cannot be written; what was there stays whole.
    """
    config = config or ProjectConfig(kernel="sparse_matmul")
    if config.kernel != KERNEL:
        raise ConfigError(f"kernel is {config.kernel!r}, and this generates {KERNEL!r}")
    notify = progress or (lambda what, done, total: None)
    notify("size the design", 0, 1)
    fitted = fit_sparse_matmul(
        board,
        clock_mhz=board.legal_clock(config.clock_mhz) if config.clock_mhz else None,
        name=config.design_name,
        **config.sparse_matmul.model_dump(exclude_none=True),
    )
    notify("write the project", 0, 1)
    write_project(output, sparse_matmul_project_files(fitted, {"board": board.name}))
    return SparseMatmulGenerateResult(directory=output, fitted=fitted)
