# SPDX-License-Identifier: Apache-2.0
"""`vitforge csim` of an A3 project: every stage and the whole pipeline against the golden model, bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vitforge.csim.a3_checks import a3_checks
from vitforge.csim.a3_library import A3Library
from vitforge.csim.checks import KernelCheck, OverlayCsimResult, run_checks
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS, OWN, check_header_names
from vitforge.csim.project import link_if_exact, load_a3_project

Progress = Callable[[str, int, int], None]  # (what, done, total)


def check_a3_library(library: A3Library, progress: Callable[[int, int], None] | None = None) -> list[KernelCheck]:
    """All checks of one compiled kernel; ``progress`` gets (done, total)."""
    return run_checks(library, a3_checks(library), progress)


def csim_a3(
    directory: Path | str, *, headers: Sequence[str] = (OWN, "amd"), progress: Progress | None = None
) -> OverlayCsimResult:
    """Compiles an A3 project with each header set and compares it with the golden model, bit for bit.

    Raises
    ------
    ConfigError
        If ``directory`` is no A3 project, or a header set is unknown.
    ToolError
        If g++ or a header set is missing, or the sources do not compile.
    CheckError
        If the simulation itself faults (a read of an empty stream, a leftover token, a value out of range).
    """
    check_header_names(headers)
    start = time.perf_counter()
    notify = progress or (lambda what, done, total: None)
    project = load_a3_project(directory)
    checks = {}
    for name in headers:
        notify(f"compile, {name} headers", 0, 1)
        library = A3Library(csim=CsimLibrary(project.compile(HEADER_SETS[name]())), design=project.design)

        def told(done: int, total: int, what: str = f"csim, {name} headers") -> None:
            notify(what, done, total)

        checks[name] = check_a3_library(library, told)
    link_if_exact(project, checks)
    return OverlayCsimResult(checks=checks, seconds=time.perf_counter() - start)
