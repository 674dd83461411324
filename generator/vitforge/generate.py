# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate`: from a model and a board to a complete HLS project."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from vitforge.boards import Board
from vitforge.codegen.project import BLOB, TEST_BENCH_IMAGES, test_bench_files
from vitforge.codegen.vit_notebook import image_count, vit_notebook_files
from vitforge.compress.magnitude import magnitude_keep
from vitforge.config import ProjectConfig
from vitforge.deploy.assemble import Parts, assemble
from vitforge.deploy.overlay import overlay_files, overlay_modules
from vitforge.design.alternatives import with_alternative
from vitforge.design.fit import FitResult, fit
from vitforge.design.identity import design_hash
from vitforge.design.registers import TOP_NAME
from vitforge.design.store import design_to_dict
from vitforge.errors import CapacityError, ConfigError
from vitforge.golden.vit import forward
from vitforge.model.keep import TWO_OF_FOUR
from vitforge.model.samples import Samples, project_samples
from vitforge.model.source import Progress, resolve_quantized
from vitforge.output import write_project
from vitforge.quantize.model import QuantModel
from vitforge.quantize.prune import prune_quantized, prune_two_of_four
from vitforge.quantize.report import QuantReport
from vitforge.quantize.store import quantized_files


@dataclass(frozen=True, kw_only=True)
class GenerateResult:
    """A generated project and the figures it was chosen by."""

    directory: Path
    fitted: FitResult

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints. Cycles are of the closed-form model; resources are by construction or modelled."""
        design, resources, estimate = self.fitted.design, self.fitted.resources, self.fitted.estimate
        board = design.board
        return {
            "directory": str(self.directory),
            "board": board.name,
            "clock_mhz": design.clock_mhz,
            "folding": asdict(design.folding),
            "dsp": resources.dsp,
            "dsp_limit": board.limit("dsp"),
            "bram36": resources.bram36,
            "uram": resources.uram,
            "lut": resources.lut,
            "ff": resources.ff,
            "cycles_per_image": estimate.cycles_per_image,
            "fps": estimate.fps,
            "reasons": list(self.fitted.reasons),
        }


def project_files(
    fitted: FitResult,
    model: QuantModel,
    samples: Samples,
    settings: dict[str, object],
    quality: QuantReport | None = None,
) -> dict[str, bytes]:
    """Every file of the project by its path in it."""
    design = fitted.design
    expected = forward(model, samples.images)
    parts = Parts(
        kernel="vit",
        name=design.name,
        title="Vision Transformer accelerator",
        board=design.board,
        clock_mhz=design.clock_mhz,
        top=TOP_NAME,
        digest=design_hash(design),
        hls=test_bench_files(design, model, samples.images, expected),
        overlay=overlay_files(design),
        modules=overlay_modules(design),
        reports={
            "fit": {
                "reasons": list(fitted.reasons),
                "considered": fitted.considered,
                "folding": asdict(design.folding),
            },
            "estimate": fitted.estimate.to_json(),
            "resources": fitted.resources.to_json(),
        },
        design=design_to_dict(design),
    )
    return (
        assemble(parts, settings)
        | {f"weights/model/{name}": data for name, data in quantized_files(model, quality).items()}
        | vit_notebook_files(fitted, model, samples, expected, BLOB)
    )


def _model_of(config: ProjectConfig, progress: Progress | None) -> tuple[QuantModel, QuantReport | None]:
    chosen = config.quantize.model_dump(exclude_none=True)
    return resolve_quantized(config.model, config.calibration, progress=progress, **chosen)


def generate(
    *,
    board: Board,
    output: Path,
    model: QuantModel | None = None,
    quality: QuantReport | None = None,
    config: ProjectConfig | None = None,
    progress: Progress | None = None,
) -> GenerateResult:
    """Fits ``model`` (by default what ``config`` names, or the one that ships) to ``board``; writes to ``output``.

    quality : what quantisation did to ``model``, for `vitforge report`

    Raises
    ------
    CapacityError
        If no folding fits the board; names resource, need and limit, and the smallest board that would do.
    ConfigError
        If the clock or a folding override is not possible, or ``config`` is for another kernel.
    OutputError
        If ``output`` exists and is not ours, or cannot be written; what was there stays whole.
    """
    config = config or ProjectConfig()
    if config.kernel != "vit":
        raise ConfigError(
            f"kernel is {config.kernel!r}, and this generates 'vit'; call vitforge.a3_generate.generate_a3"
        )
    notify = progress or (lambda what, done, total: None)
    if model is None:
        model, quality = _model_of(config, progress)
    if config.keep is not None:
        if model.keep:
            raise ConfigError(f"keep is {config.keep}, but {model.name} is pruned already; leave keep out")
        model, quality = prune_quantized(model, magnitude_keep(model, config.keep)), None
    if config.sparsity == TWO_OF_FOUR:
        model, quality = prune_two_of_four(model), None
    clock = board.legal_clock(config.clock_mhz) if config.clock_mhz else None
    notify("choose the folding", 0, 1)
    overrides = config.folding_overrides()
    try:
        fitted = fit(
            model.shape,
            board,
            clock_mhz=clock,
            overrides=overrides,
            name=config.design_name,
            keep=model.keep,
            sparse=model.is_two_of_four,
        )
    except CapacityError as error:
        raise with_alternative(error, model.shape, board, clock, overrides) from None
    notify("write the project", 0, 1)
    count = image_count(fitted.estimate.macs_per_image)
    samples = project_samples(model.shape, model.labels, count, TEST_BENCH_IMAGES, config.calibration)
    settings: dict[str, object] = {"model": model.name, "board": board.name}
    write_project(output, project_files(fitted, model, samples, settings, quality))
    return GenerateResult(directory=output, fitted=fitted)
