# SPDX-License-Identifier: Apache-2.0
"""`vitforge csim`: every kernel and the whole model of a generated project against the golden model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.arithmetic import ARITHMETIC
from vitforge.csim.checks import KernelCheck
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HeaderSet, find_amd_headers, own_headers
from vitforge.csim.kernels import DATAPATH, check_patch_embedding
from vitforge.csim.model_run import run_model
from vitforge.csim.observe import golden_tensors
from vitforge.csim.project import load_project
from vitforge.csim.units import UnitBench
from vitforge.design.design import Design
from vitforge.errors import ConfigError
from vitforge.golden.vit import forward
from vitforge.model.samples import sample_images
from vitforge.quantize.blob import build_sections
from vitforge.quantize.model import QuantModel

KERNEL_IMAGES = 2  # images whose tensors the kernels are checked on, one by one
HEADER_SETS: dict[str, Callable[[], HeaderSet]] = {"vitforge": own_headers, "amd": find_amd_headers}
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class CsimResult:
    """Outcome of a csim run, for all header sets."""

    checks: dict[str, list[KernelCheck]]  # header set -> kernels, the last one is the whole model
    images: int
    seconds: float

    @property
    def mismatches(self) -> int:
        return sum(check.mismatches for checks in self.checks.values() for check in checks)

    def mismatches_of(self, headers: str) -> int:
        """Mismatches with one header set."""
        return sum(check.mismatches for check in self.checks[headers])

    def first_mismatch(self) -> str | None:
        """The first difference in words, or None."""
        found = [check.first for checks in self.checks.values() for check in checks if check.first is not None]
        return str(found[0]) if found else None

    def kernels(self) -> list[dict[str, object]]:
        """One entry a kernel, summed over the header sets."""
        rows: dict[str, dict[str, object]] = {}
        for checks in self.checks.values():
            for check in checks:
                row = rows.setdefault(check.name, {"name": check.name, "mismatches": 0, "elements": 0})
                row["mismatches"] = int(row["mismatches"]) + check.mismatches  # type: ignore[call-overload]
                row["elements"] = int(row["elements"]) + check.elements  # type: ignore[call-overload]
        return list(rows.values())

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {
            "kernels": self.kernels(),
            "mismatches": self.mismatches,
            "first_mismatch": self.first_mismatch(),
            "headers": list(self.checks),
            "images": self.images,
            "seconds": round(self.seconds, 3),
        }


def check_library(
    design: Design,
    blob: bytes,
    library: CsimLibrary,
    model: QuantModel,
    images: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
) -> list[KernelCheck]:
    """All kernels of a compiled project, then the whole model on ``images``; ``progress`` gets (done, total)."""
    few = images[:KERNEL_IMAGES]
    tensors = golden_tensors(model, few)
    bench = UnitBench(csim=library, design=design, sections=build_sections(design, model))
    names = [*ARITHMETIC, *DATAPATH, "patch_embedding", "model"]
    checks = {name: KernelCheck(name=name) for name in names}
    for done, name in enumerate(names):
        if progress is not None:
            progress(done, len(names))
        if name in ARITHMETIC:
            ARITHMETIC[name](library, design, checks[name])
        elif name in DATAPATH:
            DATAPATH[name](bench, model, tensors, checks[name])
        elif name == "patch_embedding":
            check_patch_embedding(bench, tensors, blob, few, checks[name])
        else:
            checks[name].compare("logits", forward(model, images), run_model(library, design, blob, images))
    return list(checks.values())


def csim(
    directory: Path | str,
    *,
    images: int = 64,
    headers: Sequence[str] = ("vitforge", "amd"),
    progress: Progress | None = None,
) -> CsimResult:
    """Compiles a project with each header set and compares it with the golden model, bit for bit.

    Raises
    ------
    ConfigError
        If ``directory`` is no project, or an argument is out of range.
    ToolError
        If g++ or a header set is missing, or the sources do not compile.
    CheckError
        If the simulation itself faults (a read of an empty stream, a leftover token, a value out of range).
    """
    if images < 1:
        raise ConfigError(f"images is {images}; csim needs at least 1")
    unknown = [name for name in headers if name not in HEADER_SETS]
    if unknown or not headers:
        raise ConfigError(f"unknown header set {unknown[:1] or list(headers)}; choose from {', '.join(HEADER_SETS)}")
    start = time.perf_counter()
    notify = progress or (lambda what, done, total: None)
    project = load_project(directory)
    model, blob = project.model(), project.blob()
    pictures = sample_images(project.design.shape, images)
    checks = {}
    for name in headers:
        notify(f"compile, {name} headers", 0, 1)
        library = CsimLibrary(project.compile(HEADER_SETS[name]()))
        checks[name] = check_library(
            project.design, blob, library, model, pictures, partial(notify, f"csim, {name} headers")
        )
    return CsimResult(checks=checks, images=images, seconds=time.perf_counter() - start)
