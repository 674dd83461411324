# SPDX-License-Identifier: Apache-2.0
"""`vitforge csim` of an overlay without a model: stages and whole launches against the golden model, bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vitforge.csim.a3_checks import a3_checks
from vitforge.csim.a3_library import A3Library
from vitforge.csim.checks import OverlayCsimResult, run_checks
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS, OWN, check_header_names
from vitforge.csim.project import KERNELS, kernel_of, link_if_exact, load_a3_project, load_sparse_matmul_project
from vitforge.csim.sparse_matmul_checks import sparse_matmul_checks
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary
from vitforge.errors import ConfigError

Progress = Callable[[str, int, int], None]  # (what, done, total)


class _Kernel(NamedTuple):
    load: Callable[[Path | str], Any]  # a project of this kernel
    wrap: Callable[..., Any]  # of a compiled library and its design
    checks: Callable[[Any], Any]  # of a library, by name


_KERNELS = {
    "a3": _Kernel(load_a3_project, A3Library, a3_checks),
    "sparse_matmul": _Kernel(load_sparse_matmul_project, SparseMatmulLibrary, sparse_matmul_checks),
}


def csim_overlay(
    directory: Path | str, *, headers: Sequence[str] = (OWN, "amd"), progress: Progress | None = None
) -> OverlayCsimResult:
    """Compiles a project with each header set and compares it with the golden model, bit for bit.

    Raises
    ------
    ConfigError
        If ``directory`` is no project of such an overlay, or a header set is unknown.
    ToolError
        If g++ or a header set is missing, or the sources do not compile.
    CheckError
        If the simulation itself faults (a read of an empty stream, a leftover token, a value out of range).
    """
    check_header_names(headers)
    start = time.perf_counter()
    notify = progress or (lambda what, done, total: None)
    found = kernel_of(directory)
    if found not in _KERNELS:
        raise ConfigError(f"{directory} is {KERNELS[found]}, which vitforge.csim.run.csim takes")
    kernel = _KERNELS[found]
    project = kernel.load(directory)
    checks = {}
    for name in headers:
        notify(f"compile, {name} headers", 0, 1)
        library = kernel.wrap(csim=CsimLibrary(project.compile(HEADER_SETS[name]())), design=project.design)

        def told(done: int, total: int, what: str = f"csim, {name} headers") -> None:
            notify(what, done, total)

        checks[name] = run_checks(library, kernel.checks(library), told)
    link_if_exact(project, checks)
    return OverlayCsimResult(checks=checks, seconds=time.perf_counter() - start)
