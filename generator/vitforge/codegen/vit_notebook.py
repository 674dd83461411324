# SPDX-License-Identifier: Apache-2.0
"""host/notebooks/ of a Vision Transformer: some images, and a notebook that runs the accelerator on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.codegen.environment import render
from vitforge.codegen.notebook import NOTEBOOKS, arrays, notebook
from vitforge.codegen.project import TEST_BENCH_IMAGES
from vitforge.deploy.handoff import OVERLAY_NAME
from vitforge.design.fit import FitResult
from vitforge.model.samples import Samples
from vitforge.quantize.model import QuantModel

NAME = "vit_classification"
_SIMULATED_MACS = 3e10  # that the benchmark on a simulated board may take: some seconds
_SIMULATED_LAUNCHES = 3  # of each batch size, and one more that is not timed
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_MOST_CLASSES = 3  # that are named for an image
MOST_IMAGES = 12
_GOLDEN_MACS = 5e8  # that the golden model may take for them: it is slow


def image_count(macs: int) -> int:
    """Images that a project of a model of ``macs`` multiplications carries: those of the test bench, or more."""
    return max(TEST_BENCH_IMAGES, min(MOST_IMAGES, int(_GOLDEN_MACS / macs)))


@dataclass(frozen=True, kw_only=True)
class VitNotebookContext:
    """Context of ``vit_classification.md.jinja``; numbers are texts as a reader wants them."""

    model: str
    board: str
    classes: int  # 0: a backbone, which gives features
    features: str
    best: int  # classes that are named for an image
    truth: bool  # whether the classes of the images are known
    pictures: str  # a sentence about the images
    dsp: str
    dsp_device: str
    latency: str
    cycles: str
    rate: str
    clock: str
    simulated_batches: tuple[int, ...]
    weights: str
    simulated_launches: int = _SIMULATED_LAUNCHES
    overlay: str = OVERLAY_NAME
    samples: str = f"{NAME}.npz"
    imports: str = "VitAccelerator, plots, sim"
    items: str = "images"

    @classmethod
    def build(cls, fitted: FitResult, model: QuantModel, samples: Samples, weights: str) -> VitNotebookContext:
        design, modelled, shape = fitted.design, fitted.estimate, model.shape
        return cls(
            model=model.name,
            board=design.board.title,
            classes=shape.num_classes,
            features=f"{shape.embed_dim} features of each of {shape.seq_len} tokens",
            best=min(_MOST_CLASSES, shape.num_classes),
            truth=samples.truth is not None,
            pictures=samples.what,
            dsp=f"{fitted.resources.dsp:,}",
            dsp_device=f"{design.board.dsp:,}",
            latency=f"{modelled.latency_cycles:,}",
            cycles=f"{modelled.cycles_per_image:,}",
            rate=f"{modelled.fps:,.0f}",
            clock=f"{design.clock_mhz:g}",
            simulated_batches=_simulated_batches(modelled.macs_per_image),
            weights=weights,
        )


def _simulated_batches(macs: int) -> tuple[int, ...]:
    """Batch sizes that a simulated board works out in a time that a reader waits for; at least the smallest."""
    counts = np.cumsum(_BATCHES) * (1 + _SIMULATED_LAUNCHES)
    return _BATCHES[: max(1, int(np.count_nonzero(counts * macs <= _SIMULATED_MACS)))]


def vit_notebook_files(
    fitted: FitResult, model: QuantModel, samples: Samples, expected: NDArray, weights: str
) -> dict[str, bytes]:
    """The notebook and what it shows, by path in the project.

    expected : what the golden model makes of the samples
    weights : path of the blob in the project
    """
    context = VitNotebookContext.build(fitted, model, samples, weights)
    shown: dict[str, NDArray] = {"images": samples.images, "expected": expected}
    if samples.truth is not None:
        shown["truth"] = samples.truth
    return {
        f"{NOTEBOOKS}/{NAME}.ipynb": notebook(render("host/notebooks/vit_classification.md.jinja", notebook=context)),
        f"{NOTEBOOKS}/{context.samples}": arrays(shown),
    }
