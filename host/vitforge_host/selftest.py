# SPDX-License-Identifier: Apache-2.0
"""The self-test of an installed overlay: its sample inputs through the driver, against the golden model's results."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge_host.a3 import A3
from vitforge_host.accelerator import Accelerator
from vitforge_host.driver import VitAccelerator
from vitforge_host.errors import OverlayError
from vitforge_host.installed import InstalledOverlay
from vitforge_host.sparse_matmul import SparseMatmul

Samples = Mapping[str, NDArray]
MATRIX_OPTIONS = ("bias", "mult", "shift", "keep_inputs", "keep_outputs")


@dataclass(frozen=True)
class SelfTest:
    """Outcome for one overlay; ``mismatches`` counts elements of results."""

    overlay: str
    kernel: str
    board: str
    simulated: bool
    clock_mhz: float
    unit: str  # what was counted: images, queries or rows
    count: int
    mismatches: int

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {
            "overlay": self.overlay,
            "kernel": self.kernel,
            "board": self.board,
            "simulated": self.simulated,
            "clock_mhz": self.clock_mhz,
            self.unit: self.count,
            "mismatches": self.mismatches,
        }


def self_test(overlay: InstalledOverlay, device: Any = None) -> SelfTest:
    """Run the samples of ``overlay`` on ``device`` (default: pynq's active one).

    Raises OverlayError if files are missing, damaged, or for another board, before anything is written; and what the
    driver raises.
    """
    description = overlay.description
    unit, driver, run = _KERNELS[description.kernel.name]
    with driver.installed(overlay.name, device) as accelerator:
        count, mismatches = run(accelerator, _read(overlay.samples))
        return SelfTest(
            overlay=overlay.name,
            kernel=description.kernel.name,
            board=description.board,
            simulated=accelerator.simulated,
            clock_mhz=accelerator.clock_mhz,
            unit=unit,
            count=count,
            mismatches=mismatches,
        )


def _read(path: Path) -> Samples:
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise OverlayError(f"{path} holds no samples ({error}); install the wheel again") from None


def _different(expected: NDArray, got: NDArray) -> int:
    return int(np.count_nonzero(expected != got)) if expected.shape == got.shape else expected.size


def _classify(accelerator: VitAccelerator, samples: Samples) -> tuple[int, int]:
    images = samples["images"]
    return len(images), _different(samples["expected"], accelerator.logits(images))


def _attend(accelerator: A3, samples: Samples) -> tuple[int, int]:
    """The same queries with each setting: M is 0 for all rows, T is 0 for all candidates."""
    queries, mismatches = samples["queries"], 0
    accelerator.load(samples["keys"], samples["values"])
    for m, t, expected in zip(samples["m"], samples["t"], samples["expected"], strict=True):
        accelerator.m, accelerator.t = int(m) or None, float(t) or None
        mismatches += _different(expected, accelerator.queries(queries))
    return len(queries) * len(samples["m"]), mismatches


def _multiply(accelerator: SparseMatmul, samples: Samples) -> tuple[int, int]:
    """The same rows times each matrix."""
    rows, mismatches = samples["activations"], 0
    names = samples["matrices"].tolist()
    for name in names:
        options = {key: samples[f"{name}.{key}"] for key in MATRIX_OPTIONS if f"{name}.{key}" in samples}
        accelerator.load(samples[f"{name}.weights"], sparsity=str(samples[f"{name}.sparsity"]), **options)
        mismatches += _different(samples[f"{name}.expected"], accelerator.run(rows))
    return len(rows) * len(names), mismatches


_KERNELS: dict[str, tuple[str, type[Accelerator], Callable[[Any, Samples], tuple[int, int]]]] = {
    VitAccelerator.KERNEL.name: ("images", VitAccelerator, _classify),
    A3.KERNEL.name: ("queries", A3, _attend),
    SparseMatmul.KERNEL.name: ("rows", SparseMatmul, _multiply),
}
