# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate --kernel a3`: from the sizes of an A3 overlay and a board to a complete HLS project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitforge.boards import Board
from vitforge.codegen.a3 import a3_hls_files
from vitforge.codegen.a3_notebook import a3_notebook_files
from vitforge.config import A3Config, ProjectConfig
from vitforge.deploy.a3_overlay import a3_modules, a3_overlay_files
from vitforge.deploy.assemble import Parts, assemble
from vitforge.design.a3 import A3_TOP, LANES, A3Design, a3_design_to_dict
from vitforge.design.a3_fit import A3Fit, fit_a3
from vitforge.design.a3_numbers import A3Numbers
from vitforge.errors import ConfigError
from vitforge.output import write_project
from vitforge.timing.a3_estimate import A3Cycles, a3_cycles

KERNEL = "a3"
_NUMBERS = {"integer_bits": "integer_bits", "fraction_bits": "fraction_bits", "normalisation": "policy"}
_RUN_TIME = ("m", "t")
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class A3GenerateResult:
    """A generated A3 project and the figures of its design."""

    directory: Path
    fitted: A3Fit
    cycles: A3Cycles  # of all rows, at the compiled maxima
    m: int | None  # what the config says about run time
    t: float | None

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints. Cycles are of the closed-form model; resources are by construction or modelled."""
        design, used = self.fitted.design, self.fitted.resources
        board, numbers = design.board, design.numbers
        return {
            "directory": str(self.directory),
            "kernel": KERNEL,
            "board": board.name,
            "clock_mhz": design.clock_mhz,
            "dsp": used.dsp,
            "dsp_limit": board.limit("dsp"),
            "bram36": used.bram36,
            "uram": used.uram,
            "lut": used.lut,
            "ff": used.ff,
            "n_max": design.n_max,
            "d_max": design.d_max,
            "m_max": design.m_max,
            "width": design.width,
            "approximate": design.approximate,
            "units": design.units,
            "units_that_fit": self.fitted.units_that_fit,
            "queries_at_once": LANES * design.units,
            "normalisation": numbers.policy,
            "integer_bits": numbers.integer_bits,
            "fraction_bits": numbers.fraction_bits,
            "m": self.m,
            "t": self.t,
            "cycles_per_query": self.cycles.cycles_per_query,
            "latency_cycles": self.cycles.latency,
            "queries_per_second": self.cycles.queries_per_second,
            "reasons": list(self.fitted.reasons),
        }


def a3_project_files(fitted: A3Fit, cycles: A3Cycles, settings: dict[str, object]) -> dict[str, bytes]:
    """Every file of the project by its path in it."""
    design = fitted.design
    parts = Parts(
        kernel=KERNEL,
        name=design.name,
        title="A3 attention accelerator",
        board=design.board,
        clock_mhz=design.clock_mhz,
        top=A3_TOP,
        digest=design.hash,
        hls=a3_hls_files(design),
        overlay=a3_overlay_files(design),
        modules=a3_modules(design),
        reports={
            "fit": {"reasons": list(fitted.reasons), "units_that_fit": fitted.units_that_fit},
            "estimate": cycles.to_json(),
            "resources": fitted.resources.to_json(),
        },
        design=a3_design_to_dict(design),
    )
    return assemble(parts, settings) | a3_notebook_files(design)


def generate_a3(
    *, board: Board, output: Path, config: ProjectConfig | None = None, progress: Progress | None = None
) -> A3GenerateResult:
    """Sizes an A3 overlay after the table ``a3`` of ``config`` for ``board``, and writes its project to ``output``.

    Raises
    ------
    CapacityError
        If it does not fit the board; names resource, need and limit, and what would fit.
    ConfigError
        If the clock or a value is not possible.
    OutputError
        If ``output`` exists and is not ours, or cannot be written; what was there stays whole.
    """
    config = config or ProjectConfig(kernel="a3")
    if config.kernel != KERNEL:
        raise ConfigError(
            f"kernel is {config.kernel!r}, and this generates {KERNEL!r}; call vitforge.generate.generate"
        )
    notify = progress or (lambda what, done, total: None)
    notify("size the design", 0, 1)
    fitted = _fit(config, board)
    design = fitted.design
    _check_run_time(config.a3, design)
    cycles = a3_cycles(design, design.n_max, design.d_max)
    notify("write the project", 0, 1)
    settings: dict[str, object] = {"board": board.name, "m": config.a3.m, "t": config.a3.t}
    write_project(output, a3_project_files(fitted, cycles, settings))
    return A3GenerateResult(directory=output, fitted=fitted, cycles=cycles, m=config.a3.m, t=config.a3.t)


def _fit(config: ProjectConfig, board: Board) -> A3Fit:
    given = config.a3.model_dump(exclude_none=True, exclude=set(_RUN_TIME))
    numbers = A3Numbers(**{_NUMBERS[key]: given.pop(key) for key in list(given) if key in _NUMBERS})
    clock = board.legal_clock(config.clock_mhz) if config.clock_mhz else None
    return fit_a3(board, clock_mhz=clock, name=config.design_name, numbers=numbers, **given)


def _check_run_time(choice: A3Config, design: A3Design) -> None:
    if choice.m is None:
        return
    if not design.approximate:
        raise ConfigError(
            f"a3.m = {choice.m} needs candidate selection, which this design does not have; "
            "leave m out, or set approximate = true to read why"
        )
    if choice.m > design.m_max:
        raise ConfigError(f"a3.m = {choice.m} is more than the {design.m_max} rows of n_max; try {design.m_max}")
