# SPDX-License-Identifier: Apache-2.0
"""`vitforge csim` of a sparse_matmul project: the array, and whole products, against the golden model, bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vitforge.csim.checks import OverlayCsimResult, run_checks
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS, OWN, check_header_names
from vitforge.csim.project import link_if_exact, load_sparse_matmul_project
from vitforge.csim.sparse_matmul_checks import sparse_matmul_checks
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary

Progress = Callable[[str, int, int], None]  # (what, done, total)


def csim_sparse_matmul(
    directory: Path | str, *, headers: Sequence[str] = (OWN, "amd"), progress: Progress | None = None
) -> OverlayCsimResult:
    """Compiles a sparse_matmul project with each header set and compares it with the golden model, bit for bit.

    Raises
    ------
    ConfigError
        If ``directory`` is no such project, or a header set is unknown.
    ToolError
        If g++ or a header set is missing, or the sources do not compile.
    CheckError
        If the simulation itself faults (a read of an empty stream, a leftover token, a value out of range).
    """
    check_header_names(headers)
    start = time.perf_counter()
    notify = progress or (lambda what, done, total: None)
    project = load_sparse_matmul_project(directory)
    checks = {}
    for name in headers:
        notify(f"compile, {name} headers", 0, 1)
        library = SparseMatmulLibrary(csim=CsimLibrary(project.compile(HEADER_SETS[name]())), design=project.design)

        def told(done: int, total: int, what: str = f"csim, {name} headers") -> None:
            notify(what, done, total)

        checks[name] = run_checks(library, sparse_matmul_checks(library), told)
    link_if_exact(project, checks)
    return OverlayCsimResult(checks=checks, seconds=time.perf_counter() - start)
