# SPDX-License-Identifier: Apache-2.0
"""`vitforge a3 tune`, step by step: check, simulate, choose, write."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vitforge.a3_generate import generate_a3
from vitforge.a3_tune.config_file import read_settings, write_choice
from vitforge.a3_tune.data import Arrays, Source, load_arrays, split
from vitforge.a3_tune.measure import Progress, make_problem, measure
from vitforge.a3_tune.metric import Function, find_metric
from vitforge.a3_tune.settings import EXACT, Setting, default_grid
from vitforge.a3_tune.tuned import TuneResult
from vitforge.boards import load_board, load_board_file
from vitforge.config import ProjectConfig
from vitforge.csim.project import A3Project, load_a3_project
from vitforge.design.a3 import A3Design
from vitforge.errors import ConfigError
from vitforge.plotting import check_plot, draw
from vitforge.timing.a3_simulate import Simulator
from vitforge_host.a3_scale import scale_registers

BOARD = "zcu104"


def tune(
    keys: Source,
    values: Source,
    queries: Source,
    *,
    tolerance: float,
    metric: str | Function | None = None,
    scale: float | None = None,
    project: Path | str | None = None,
    board: str | None = None,
    held_out: float = 0.5,
    seed: int = 0,
    config: Path | str | None = None,
    plot: Path | str | None = None,
    grid: Sequence[Setting] | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """The cheapest M and T whose error on held-out queries is at most ``tolerance``.

    Cheap means few simulated cycles per query in steady state, and of settings that are equal in that, a short latency.
    The error is that of the integer pipeline against exact attention of the given real numbers: quantisation counts.

    keys, values : (n, d), or (H, n, d) of H heads, which all get the same setting; arrays or .npy files
    queries : (b, d) or (H, b, d), in the order in which they will come
    metric : of outputs and exact attention, both (b, d), or (H, b, d), for b of the queries; smaller is better. A
        function, or "package.module:function"; by default ||outputs - exact|| / ||exact||
    scale : of the dot product; by default 1 / sqrt(d)
    project : a generated project; by default one is made of the sizes in ``config``
    board : of that one; by default the config's, else zcu104
    held_out : fraction of the queries that the choice is verified with; ``seed`` draws them
    config : file to write the choice to, created if it does not exist; None writes nothing
    plot : .png or .svg to draw; None draws nothing
    grid : settings to try; by default `default_grid` of n. The exact pipeline is always tried

    If no setting is good enough, ``chosen`` of the result is None and the config stays as it is.

    Raises
    ------
    ConfigError
        If an argument, file or array is wrong, or the design cannot hold it.
    CheckError
        If csim differs from the golden model, or faults.
    ToolError
        If there is no compiler, or no matplotlib for the plot.
    """
    notify = progress or (lambda what, done, total: None)
    if not (tolerance > 0 and math.isfinite(tolerance)):
        raise ConfigError(f"tolerance is {tolerance:g}; it must be a number above 0")
    settings = read_settings(Path(config) if config is not None else None)
    if plot is not None:
        check_plot(Path(plot))
    measured_by = find_metric(metric)
    arrays = load_arrays(keys, values, queries)
    parts = split(arrays.queries.shape[1], held_out, seed)
    scale = arrays.keys.shape[-1] ** -0.5 if scale is None else scale
    scale_registers(scale)  # raises if it is out of range
    with _opened(project, board, settings, notify) as opened:
        design = opened.design
        _check_sizes(design, arrays)
        tried = _grid(grid, design, arrays)
        problem = make_problem(arrays, parts, numbers=design.numbers, scale=scale, metric=measured_by)
        problem.error(problem.reference, problem.searched)  # a metric that fails does so before long work
        notify("compile", 0, 1)
        points = measure(problem, tried, Simulator.of(opened), notify)
    result = TuneResult(
        design=design,
        n=arrays.keys.shape[1],
        d=arrays.keys.shape[2],
        heads=len(arrays.keys),
        scale=scale,
        metric=measured_by.name,
        tolerance=tolerance,
        searched=len(parts[0]),
        held_out=len(parts[1]),
        points=points,
        saturated=problem.saturated,
        elements={name: getattr(arrays, name).size for name in problem.saturated},
    )
    return _write(result, Path(config) if config is not None else None, plot, is_project=project is not None)


@contextmanager
def _opened(
    project: Path | str | None, board: str | None, settings: ProjectConfig, notify: Progress
) -> Iterator[A3Project]:
    """The project in that directory; or a temporary one of ``settings``, with another board if one is given."""
    if project is not None:
        if board is not None:
            raise ConfigError("--board chooses the board of a temporary project, and --project has one; leave it out")
        yield load_a3_project(project)
        return
    table = settings.a3.model_copy(update={"m": None, "t": None})
    sizes = settings.model_copy(update={"kernel": "a3", "a3": table})
    if board is None and settings.board_file:
        target = load_board_file(Path(settings.board_file))
    else:
        target = load_board(board or settings.board or BOARD)
    with tempfile.TemporaryDirectory(prefix="vitforge-") as folder:
        directory = Path(folder) / "a3"
        generate_a3(board=target, output=directory, config=sizes, progress=notify)
        yield load_a3_project(directory)


def _check_sizes(design: A3Design, arrays: Arrays) -> None:
    _, n, d = arrays.keys.shape
    for name, what, value, limit in (("n_max", "rows", n, design.n_max), ("d_max", "columns", d, design.d_max)):
        if value > limit:
            raise ConfigError(
                f"keys and values have {value:,} {what}, and the design holds {limit:,}; generate it with "
                f"{name} = {value} in the table [a3]"
            )


def _grid(grid: Sequence[Setting] | None, design: A3Design, arrays: Arrays) -> tuple[Setting, ...]:
    """Each setting once, the exact pipeline among them."""
    n = arrays.keys.shape[1]
    if grid is None:
        return default_grid(n, design.approximate)
    for m, t in grid:
        if m is not None and not 1 <= m <= design.m_max:
            raise ConfigError(f"m is {m}; {design.name} takes 1 to {design.m_max}")
        if t is not None and not 0 < t <= 100:
            raise ConfigError(f"t is {t:g}; it must lie in (0, 100] percent")
    return tuple(dict.fromkeys((EXACT, *(Setting(*setting) for setting in grid))))


def _write(result: TuneResult, config: Path | None, plot: Path | str | None, *, is_project: bool) -> TuneResult:
    """Plot and config; the config last, and only if there is a choice."""
    if plot is not None:
        from vitforge.a3_tune.figure import make_figure

        draw(lambda: make_figure(result), Path(plot))
        result = replace(result, plot=Path(plot))
    if config is None or result.chosen is None:
        return result
    write_choice(config, result.chosen.setting, result.design, is_project)
    return replace(result, config=config)
