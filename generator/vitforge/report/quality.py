# SPDX-License-Identifier: Apache-2.0
"""What is known of the model in a project: accuracy, and the signal-to-noise ratio of each tensor."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vitforge.csim.project import MODEL
from vitforge.quantize.store import load_report

ACCURACY = "report/accuracy.json"


@dataclass(frozen=True)
class Accuracy:
    """Top-1 of labelled images, as fractions: of the float model, and of its integers on the simulated board."""

    float_top1: float
    int8_top1: float
    images: int


@dataclass(frozen=True)
class Quality:
    """sqnr_db : tensor -> ratio to the float model [dB], in the order of computation, None where it is not finite"""

    accuracy: Accuracy | None = None
    sqnr_db: dict[str, float | None] | None = None
    sqnr_images: int = 0


def write_accuracy(directory: Path, float_top1: float, int8_top1: float, images: int) -> None:
    """Keep in a project what its model was found to be worth."""
    accuracy = Accuracy(float_top1, int8_top1, images)
    (directory / ACCURACY).write_text(json.dumps(asdict(accuracy), indent=2) + "\n")


def read_quality(directory: Path, kernel: str, missing: list[str]) -> Quality:
    """Of the model of a project; what is not known of it goes to ``missing``. A kernel without a model has none."""
    if kernel == "a3":
        missing.append("no accuracy: that of A3 depends on the data; vitforge a3 tune measures it on yours")
    if kernel != "vit":
        return Quality()
    report = load_report(directory / MODEL)
    if report is None:
        missing.append(
            "no signal-to-noise ratios: they are those of a model of vitforge quantize that was not pruned afterwards"
        )
        return Quality(_accuracy(directory, missing))
    tensors: list[dict] = report.to_json()["tensors"]  # type: ignore[assignment]
    return Quality(
        accuracy=_accuracy(directory, missing),
        sqnr_db={row["name"]: row["sqnr_db"] for row in tensors},
        sqnr_images=report.images,
    )


def _accuracy(directory: Path, missing: list[str]) -> Accuracy | None:
    path = directory / ACCURACY
    if not path.exists():
        missing.append("no accuracy: the project has no labelled images; vitforge demo measures the model that ships")
        return None
    try:
        return Accuracy(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        missing.append(f"no accuracy: {path} cannot be read ({error})")
        return None
