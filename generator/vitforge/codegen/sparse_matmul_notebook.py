# SPDX-License-Identifier: Apache-2.0
"""host/notebooks/ of a sparse_matmul overlay: the same matrix pruned in several ways."""

from __future__ import annotations

from dataclasses import dataclass

from vitforge.codegen.environment import render
from vitforge.codegen.notebook import NOTEBOOKS, notebook
from vitforge.deploy.handoff import OVERLAY_NAME
from vitforge.design.sparse_matmul import SparseMatmulDesign

NAME = "sparse_matmul"
_LARGEST = 512  # side of the matrix, as far as the design holds it


@dataclass(frozen=True, kw_only=True)
class SparseMatmulNotebookContext:
    """Context of ``sparse_matmul.md.jinja``."""

    board: str
    n_max: int
    k_max: int
    n: int  # outputs and inputs of the matrix
    k: int
    tt: int
    tc: int
    tk: int
    sparse: bool
    imports: str
    overlay: str = OVERLAY_NAME
    weights: str = ""
    samples: str = ""
    items: str = "rows"


def sparse_matmul_notebook_files(design: SparseMatmulDesign) -> dict[str, bytes]:
    """The notebook, by path in the project."""
    context = SparseMatmulNotebookContext(
        board=design.board.title,
        n_max=design.n_max,
        k_max=design.k_max,
        n=min(design.n_max, _LARGEST),
        k=min(design.k_max, _LARGEST),
        tt=design.tt,
        tc=design.tc,
        tk=design.tk,
        sparse=design.sparse,
        imports=f"SparseMatmul, plots, {'prune_two_of_four, ' if design.sparse else ''}sim",
    )
    text = render("host/notebooks/sparse_matmul.md.jinja", notebook=context)
    return {f"{NOTEBOOKS}/{NAME}.ipynb": notebook(text)}
