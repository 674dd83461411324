# SPDX-License-Identifier: Apache-2.0
"""`vitforge prune`: a float model to a pruned one, with the accuracy of both."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitforge.compress.magnitude import TILE, check_fraction, magnitude_keep
from vitforge.compress.masked import prune_float, read_masks, sparsify
from vitforge.compress.probe import Step
from vitforge.compress.training import (
    Pictures,
    Progress,
    load_pictures,
    require_torch,
    shipped_training,
)
from vitforge.errors import ConfigError
from vitforge.model.deit import DEIT_NAMES, seeded_deit
from vitforge.model.float_file import load_float_model
from vitforge.model.float_vit import forward
from vitforge.model.keep import DENSE, TWO_OF_FOUR, BlockKeep, everything, kept_fraction, kept_weights
from vitforge.model.safetensors_io import FILE_NAME, model_bytes
from vitforge.model.shipped import SHIPPED, shipped_heldout, shipped_model
from vitforge.model.source import is_model_name
from vitforge.model.vit import ViTModel
from vitforge.output import check_output, write_project
from vitforge.plotting import check_plot, draw
from vitforge.quantize.top1 import top1

REPORT = "report.json"  # by which a directory of ours is known


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """A pruned model and what it cost. Accuracies are of the float models on held-out images, None without any.

    control_top1 : of the dense model, trained as long
    footprint_bytes : of the blocks' linear weights as INT8, with the places of 2:4 weights
    """

    model: ViTModel
    method: str
    target: float | None
    float_top1: float | None
    dense_top1: float | None
    control_top1: float | None
    epochs: int  # of training, of the pruned model and of the control
    steps: list[Step]

    @property
    def kept_fraction(self) -> float:
        """Of the blocks' linear weights, 2:4 not counted."""
        return kept_fraction(self.model.keep, self.model.shape)

    @property
    def _dense(self) -> int:
        return kept_weights((everything(self.model.shape),) * self.model.shape.depth)

    @property
    def reached(self) -> bool:
        """Whether no more than the target is kept: the tolerance may have stopped column pruning before."""
        return self.target is None or self.kept_fraction <= self.target or self.method != "probe"

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        kept = kept_weights(self.model.keep)
        is_sparse = self.model.sparsity == TWO_OF_FOUR
        return {
            "method": self.method,
            "target": self.target,
            "reached": self.reached,
            "sparsity": self.model.sparsity,
            "kept_fraction": self.kept_fraction,
            "float_top1": self.float_top1,
            "dense_top1": self.dense_top1,
            "control_top1": self.control_top1,
            "footprint_bytes": kept // 2 + kept // 8 if is_sparse else kept,
            "dense_footprint_bytes": self._dense,
            "epochs": self.epochs,
            "steps": [
                {**asdict(step.sizes), "accuracy": step.accuracy, "accepted": step.accepted} for step in self.steps
            ],
            "layers": [
                {name: np.count_nonzero(mask, axis=-1).tolist() for name, mask in keep.masks().items()}
                for keep in self.model.keep
            ],
        }


def prune_model(
    source: str | None,
    output: Path,
    *,
    target: float | None = None,
    method: str = "probe",
    masks: Path | None = None,
    sparsity: str = DENSE,
    tile: int = TILE,
    tolerance: float = 0.5,
    epochs: int = 15,
    images: Path | None = None,
    heldout: Path | None = None,
    seed: int = 1,
    plot: Path | None = None,
    progress: Progress | None = None,
) -> PruneResult:
    """Prunes the float model ``source`` (None: the one that ships) into the directory ``output``.

    target : share of the blocks' linear weights to keep
    method : "probe" (trains, needs PyTorch) or "magnitude"; ``masks``, a .npz file of keep masks, goes before both
    tolerance : accuracy on validation images that a step of column pruning may cost [percentage points]
    epochs : of fine-tuning at the end; a control, the dense model, is trained as long as the pruned one in all
    images, heldout : .npz files with images and labels; the model that ships has its own
    plot : file for a picture of the masks, of accuracy against footprint, and of cycles against density

    Raises
    ------
    ConfigError
        If an option is out of range, or options disagree.
    ModelError
        If model, masks or images are not usable.
    ToolError
        If PyTorch, training images, or matplotlib for the plot are not installed.
    OutputError
        If ``output`` exists and is not ours, or cannot be written.
    """
    if (target is None) == (masks is None) and not (target is None and sparsity == TWO_OF_FOUR):
        raise ConfigError("give --target, or --masks, or --sparsity 2:4 alone")
    if target is not None:
        check_fraction(target)
    check_output(output, REPORT)
    if plot is not None:
        check_plot(plot)
    model, held = _load(source, heldout)
    if model.keep:
        raise ConfigError(f"{model.name} is pruned already; prune the dense model")
    if masks is not None or method == "magnitude":
        keep = read_masks(masks, model) if masks else magnitude_keep(model, 1.0 if target is None else target, tile)
        result = _without_training(model, held, keep, "masks" if masks else "magnitude", target, sparsity)
    else:
        require_torch("pruning with a significance probe")
        data = load_pictures(images, model.shape) if images else _own_training(source)
        notify = progress or (lambda what, done, total: None)
        settings = {"target": target or 1.0, "sparsity": sparsity, "tile": tile, "epochs": epochs, "seed": seed}
        result = _with_training(model, data, held, notify, tolerance=tolerance / 100, **settings)
    report = json.dumps(result.to_json(), indent=1) + "\n"
    write_project(output, {FILE_NAME: model_bytes(result.model), REPORT: report.encode()}, REPORT)
    if plot is not None:
        from vitforge.compress.figure import make_figure

        draw(lambda: make_figure(result), plot)
    return result


def _without_training(
    model: ViTModel,
    held: Pictures | None,
    keep: tuple[BlockKeep, ...],
    method: str,
    target: float | None,
    sparsity: str,
) -> PruneResult:
    pruned = prune_float(model, keep)
    pruned = sparsify(pruned) if sparsity == TWO_OF_FOUR else pruned
    return PruneResult(
        model=pruned,
        method=method,
        target=target,
        float_top1=_top1(pruned, held),
        dense_top1=_top1(model, held),
        control_top1=None,
        epochs=0,
        steps=[],
    )


def _with_training(
    model: ViTModel, data: Pictures, held: Pictures | None, progress: Progress, **settings: Any
) -> PruneResult:
    from vitforge.compress.recipe import Options, Recipe

    done = Recipe(model, data, held, Options(**settings), progress).run()
    return PruneResult(
        model=done.pruned,
        method="probe",
        target=settings["target"],
        float_top1=_top1(done.pruned, held),
        dense_top1=_top1(model, held),
        control_top1=_top1(done.control, held),
        epochs=done.epochs,
        steps=done.steps,
    )


def _load(source: str | None, heldout: Path | None) -> tuple[ViTModel, Pictures | None]:
    """The model, and its held-out images if there are any."""
    if source is None or (is_model_name(source) and source == SHIPPED):
        model, own = shipped_model(), shipped_heldout()
        held = load_pictures(heldout, model.shape) if heldout else Pictures(own[0], own[1].astype(np.int64))
        return model, held
    is_seeded = is_model_name(source) and source in DEIT_NAMES
    model = seeded_deit(source) if is_seeded else load_float_model(source)
    return model, load_pictures(heldout, model.shape) if heldout else None


def _own_training(source: str | None) -> Pictures:
    if source is not None and source != SHIPPED:
        raise ConfigError("give --images with the images and labels to train on; or take --method magnitude")
    return shipped_training()


def _top1(model: ViTModel, data: Pictures | None) -> float | None:
    return None if data is None else top1(forward(model, data.images), data.labels)
