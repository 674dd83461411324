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
from vitforge.csim.checks import CheckSummary, KernelCheck
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS, OWN, check_header_names
from vitforge.csim.kernels import check_patch_embedding, datapath_checks
from vitforge.csim.model_run import timed_model
from vitforge.csim.observe import golden_tensors
from vitforge.csim.project import link_if_exact, load_project
from vitforge.csim.units import UnitBench
from vitforge.design.design import Design
from vitforge.errors import ConfigError
from vitforge.golden.vit import forward
from vitforge.model.samples import sample_images
from vitforge.quantize.blob import build_sections
from vitforge.quantize.model import QuantModel
from vitforge.timing.estimate import macs_per_image

KERNEL_IMAGES = 2  # images whose tensors the kernels are checked on, one by one
MOST_IMAGES = 64  # of the whole-model comparison, unless more are asked for
MACS_BUDGET = 25e9  # of the whole-model comparison: half a minute with both header sets
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class CsimResult(CheckSummary):
    """Outcome of a csim run, for all header sets; the last kernel is the whole model."""

    images: int
    images_chosen: bool  # for the size of the model, as nobody asked for a number
    seconds: float
    seconds_per_image: float | None  # of the whole model with our headers, one core; None without them
    macs_per_image: int

    @property
    def macs_per_second(self) -> float | None:
        """Multiplications of the model that the simulation does in a second, padding not counted."""
        return self.macs_per_image / self.seconds_per_image if self.seconds_per_image else None

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {
            **self.summary(),
            "images": self.images,
            "images_chosen": self.images_chosen,
            "seconds": round(self.seconds, 3),
            "seconds_per_image": self.seconds_per_image,
            "macs_per_second": self.macs_per_second,
        }


def default_images(design: Design) -> int:
    """Images for the whole-model comparison: `MOST_IMAGES`, or fewer where a model is so large that they take long."""
    return max(1, min(MOST_IMAGES, int(MACS_BUDGET / macs_per_image(design))))


def check_library(
    design: Design,
    blob: bytes,
    library: CsimLibrary,
    model: QuantModel,
    images: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
    *,
    warm_up: bool = True,
) -> tuple[list[KernelCheck], float]:
    """All kernels of a compiled project, then the whole model on ``images``, with the seconds that it takes an image.

    ``progress`` gets (done, total). ``warm_up`` runs an image before those that are timed.
    """
    few = images[:KERNEL_IMAGES]
    tensors = golden_tensors(model, few)
    bench = UnitBench(csim=library, design=design, sections=build_sections(design, model), keep=model.keep)
    datapath = datapath_checks(model)
    names = [*ARITHMETIC, *datapath, "patch_embedding", "model"]
    checks = {name: KernelCheck(name=name) for name in names}
    for done, name in enumerate(names):
        if progress is not None:
            progress(done, len(names))
        if name in ARITHMETIC:
            ARITHMETIC[name](library, design, checks[name])
        elif name in datapath:
            datapath[name](bench, model, tensors, checks[name])
        elif name == "patch_embedding":
            check_patch_embedding(bench, tensors, blob, few, checks[name])
        else:
            if warm_up:
                timed_model(library, design, blob, images[:1])
            run = timed_model(library, design, blob, images)
            checks[name].compare("logits", forward(model, images), run.logits)
    return list(checks.values()), run.seconds / len(images)


def csim(
    directory: Path | str,
    *,
    images: int | None = None,
    headers: Sequence[str] = (OWN, "amd"),
    progress: Progress | None = None,
) -> CsimResult:
    """Compiles a project with each header set and compares it with the golden model, bit for bit.

    images : of the whole-model comparison; `default_images` if None

    Raises
    ------
    ConfigError
        If ``directory`` is no project, or an argument is out of range.
    ToolError
        If g++ or a header set is missing, or the sources do not compile.
    CheckError
        If the simulation itself faults (a read of an empty stream, a leftover token, a value out of range).
    """
    if images is not None and images < 1:
        raise ConfigError(f"images is {images}; csim needs at least 1")
    check_header_names(headers)
    start = time.perf_counter()
    notify = progress or (lambda what, done, total: None)
    project = load_project(directory)
    model, blob = project.model(), project.blob()
    count = images or default_images(project.design)
    pictures = sample_images(project.design.shape, count)
    checks, speed = {}, {}
    for name in headers:
        notify(f"compile, {name} headers", 0, 1)
        library = CsimLibrary(project.compile(HEADER_SETS[name]()))
        told = partial(notify, f"csim, {name} headers")
        checks[name], speed[name] = check_library(
            project.design, blob, library, model, pictures, told, warm_up=name == OWN
        )
    link_if_exact(project, checks)
    return CsimResult(
        checks=checks,
        images=count,
        images_chosen=images is None,
        seconds=time.perf_counter() - start,
        seconds_per_image=speed.get(OWN),
        macs_per_image=macs_per_image(project.design, model.keep),
    )
