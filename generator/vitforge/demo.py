# SPDX-License-Identifier: Apache-2.0
"""`vitforge demo`: the whole way on the model that ships, from float weights to digits on a simulated board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.boards import Board, load_board
from vitforge.codegen.project import BLOB
from vitforge.csim.project import load_project
from vitforge.csim.run import CsimResult, csim
from vitforge.deploy.overlay import OVERLAY_NAME, link_library
from vitforge.generate import GenerateResult, generate
from vitforge.golden.vit import forward as golden_forward
from vitforge.model.float_vit import forward as float_forward
from vitforge.model.shipped import shipped_calibration, shipped_heldout, shipped_model
from vitforge.picture import draw_predictions
from vitforge.quantize.quantizer import quantize_model
from vitforge.quantize.report import QuantReport
from vitforge.quantize.top1 import top1
from vitforge.report.quality import write_accuracy

CSIM_IMAGES = 64
PICTURE = "demo.png"
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo found. Cycles and FPS are modelled; nothing ran on hardware."""

    generated: GenerateResult
    checked: CsimResult
    quantized: QuantReport
    float_top1: float
    int8_top1: float
    images: int
    driver_mismatches: int
    picture: Path

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        figures = self.generated.to_json()
        return {
            "board": figures["board"],
            "float_top1": self.float_top1,
            "int8_top1": self.int8_top1,
            "images": self.images,
            "csim_mismatches": self.checked.mismatches_of("vitforge"),
            "csim_mismatches_amd": self.checked.mismatches_of("amd"),
            "driver_mismatches": self.driver_mismatches,
            "cycles_per_image": figures["cycles_per_image"],
            "fps": figures["fps"],
            "clock_mhz": figures["clock_mhz"],
            "dsp": figures["dsp"],
            "dsp_limit": figures["dsp_limit"],
            "directory": str(self.generated.directory),
            "picture": str(self.picture),
        }

    @property
    def passed(self) -> bool:
        """Whether csim and driver agree with the golden model everywhere."""
        return self.checked.mismatches == 0 and self.driver_mismatches == 0


def run_on_simulated_board(directory: Path, images: NDArray[np.uint8], progress: Progress | None = None) -> NDArray:
    """Logits (n, classes) int32 of ``images`` through pynq, the driver and the csim library of a project.

    Strict mode: host and DDR are separate copies, so that a forgotten flush would show as wrong data.
    """
    from vitforge_host import VitAccelerator
    from vitforge_host.sim import SimDevice

    link_library(directory / "overlay", load_project(directory).compile())
    bitfile, blob = directory / "overlay" / f"{OVERLAY_NAME}.bit", directory / BLOB
    results = []
    with VitAccelerator(bitfile, blob, device=SimDevice()) as accelerator:
        step = 2 * accelerator.batch
        for first in range(0, len(images), step):
            if progress is not None:
                progress("classify on the simulated board", first, len(images))
            results.append(accelerator.logits(images[first : first + step]))
    return np.concatenate(results)


def demo(
    *, output: Path, board: Board | None = None, images: int | None = None, progress: Progress | None = None
) -> DemoResult:
    """Quantises, generates, checks and runs the model that ships.

    output : Path
        Directory of the project and the picture; replaced if a demo wrote it.
    images : int, optional
        Held-out images to classify; all 1,000 by default.

    Raises ToolError where g++, the AMD headers or pynq are missing.
    """
    notify = progress or (lambda what, done, total: None)
    pictures, labels = shipped_heldout()
    pictures, labels = pictures[:images], labels[:images]
    notify("float model", 0, 1)
    model = shipped_model()
    float_logits = float_forward(model, pictures)
    quantized, report = quantize_model(model, shipped_calibration(), progress=progress)
    notify("golden model", 0, 1)
    golden = golden_forward(quantized, pictures)
    notify("generate", 0, 1)
    generated = generate(board=board or load_board("zcu104"), output=output, model=quantized, quality=report)
    checked = csim(output, images=min(CSIM_IMAGES, len(pictures)), progress=progress)
    logits = run_on_simulated_board(output, pictures, progress)
    picture = output / PICTURE
    draw_predictions(picture, pictures, labels, logits, model.labels)
    result = DemoResult(
        generated=generated,
        checked=checked,
        quantized=report,
        float_top1=top1(float_logits, labels),
        int8_top1=top1(logits, labels),
        images=len(pictures),
        driver_mismatches=int(np.count_nonzero(logits != golden)),
        picture=picture,
    )
    write_accuracy(output, result.float_top1, result.int8_top1, result.images)
    return result
