# SPDX-License-Identifier: Apache-2.0
"""`vitforge blob`: weights of another version of a model, pruned or dense, for an overlay that exists."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from vitforge.csim.project import load_project
from vitforge.design.design import Design
from vitforge.errors import CapacityError, OutputError
from vitforge.model.keep import kept_fraction
from vitforge.model.source import Progress, resolve_model
from vitforge.quantize.blob import build_blob
from vitforge.quantize.model import QuantModel
from vitforge.timing.estimate import estimate


@dataclass(frozen=True, kw_only=True)
class Version:
    """A blob that was written, and what the closed form says of it on the overlay."""

    file: str
    blob_bytes: int
    kept_fraction: float  # of the blocks' linear weights
    sparsity: str
    fps: float  # modelled

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return asdict(self)


def check_fits(design: Design, model: QuantModel) -> None:
    """Raises CapacityError, naming the first size that differs, where ``design`` was compiled for another shape, or
    without 2:4 weights that ``model`` has."""
    for name, compiled in asdict(design.shape).items():
        given = getattr(model.shape, name)
        if given != compiled:
            raise CapacityError(
                f"{model.name} has {name} = {given}, and the overlay {design.name} was compiled for {compiled}; "
                "generate a project for this model"
            )
    if model.is_two_of_four and not design.folding.sparse:
        raise CapacityError(
            f"{model.name} has 2:4 weights, and the overlay {design.name} was compiled without them; generate it with "
            "sparse = 1 in [folding], or with --sparsity 2:4"
        )


def write_version(
    project: Path | str,
    model: str,
    output: Path,
    *,
    calibration: Path | None = None,
    progress: Progress | None = None,
) -> Version:
    """Writes the blob of ``model`` (what `vitforge generate --model` takes) for the overlay of ``project``.

    Raises
    ------
    ConfigError, ModelError
        If project, model or images are not usable.
    CapacityError
        If the overlay was compiled for less.
    OutputError
        If ``output`` cannot be written.
    """
    design = load_project(project).design
    integers = resolve_model(model, calibration, progress=progress)
    check_fits(design, integers)
    content = build_blob(design, integers)
    try:
        output.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"{output} cannot be written ({error.strerror}); name a file in a writable directory"
        ) from None
    return Version(
        file=str(output),
        blob_bytes=len(content),
        kept_fraction=kept_fraction(integers.keep, integers.shape),
        sparsity=integers.sparsity,
        fps=estimate(design, integers.keep, sparse=integers.is_two_of_four).fps,
    )
