# SPDX-License-Identifier: Apache-2.0
"""Pictures for notebooks: predictions, attention, and where the time goes. Importing this needs matplotlib.

Each function gives a figure that is not shown yet: as the last line of a cell it appears below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from vitforge_host.benchmark import MEASURED, Benchmark
from vitforge_host.errors import InputError
from vitforge_host.plot_style import BLUE, GREEN, ORANGE, PALE, PINK, RED, SKY, STYLE
from vitforge_host.predictions import Predictions

_HOPS = (BLUE, ORANGE, GREEN, PINK, SKY)
_SETTINGS = (BLUE, GREEN, PINK, RED)
_DPI = 110
_WIDTH = 9.5  # inches, of every figure
_COLUMNS = 4  # images side by side
_NAME = 11  # letters of a class that fit beside its probability


@contextmanager
def _styled() -> Iterator[None]:
    with plt.rc_context(STYLE):
        yield


@_styled()
def predictions(
    images: NDArray[np.uint8], found: Predictions, truth: Sequence[int] | NDArray | None = None, *, k: int = 3
) -> Figure:
    """Each image beside bars of the probability of its ``k`` best classes.

    images : (n, H, W, C) uint8
    truth : n indices of the true classes, if they are known: a right answer is green, a wrong one red
    """
    rows = -(-len(images) // _COLUMNS)
    best = found.top_k(min(k, len(found.labels)))
    figure, grid = _figure(rows, 2 * _COLUMNS, 1.15 * rows, gridspec_kw={"width_ratios": [1, 1.35] * _COLUMNS})
    for place, pair in enumerate(grid.reshape(-1, 2)):
        if place >= len(images):
            pair[0].set_axis_off()
            pair[1].set_axis_off()
            continue
        right = None if truth is None else int(truth[place]) == best[place][0].index
        _picture(pair[0], images[place])
        _bars(pair[1], [(one.label, one.probability) for one in best[place]], k, right)
        if right is False and truth is not None:
            pair[0].set_xlabel(f"is {_short(found.labels[int(truth[place])])}", color=RED, labelpad=2)
    return figure


def _picture(axes: Axes, pixels: NDArray) -> None:
    grey = pixels.shape[-1] == 1
    axes.imshow(pixels[..., 0] if grey else pixels, cmap="gray" if grey else None)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _bars(axes: Axes, classes: Sequence[tuple[str, float]], most: int, right: bool | None) -> None:
    """Names and probabilities stand on their bars."""
    first = {None: SKY, True: GREEN, False: RED}[right]
    for row, (name, probability) in enumerate(classes):
        axes.barh(row, 1, height=0.8, color=PALE)
        axes.barh(row, probability, height=0.8, color=first if row == 0 else "#BBBBBB", alpha=0.6)
        weight = "bold" if row == 0 else "normal"
        axes.text(0.03, row, _short(name), va="center", weight=weight)
        axes.text(0.98, row, f"{probability:.1%}", va="center", ha="right", fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_ylim(most - 0.4, -0.6)
    axes.set_axis_off()


def _short(name: str) -> str:
    """The name of a class as far as there is room; a dollar sign would begin a formula."""
    cut = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
    return cut.replace("$", r"\$")


@_styled()
def similarity(images: NDArray[np.uint8], features: NDArray) -> Figure:
    """Each image beside how alike its patches are to the one in the middle: the cosine of their features.

    images : (n, H, W, C) uint8
    features : (n, tokens, channels), first that of the class token, then those of the patches by rows
    """
    height, width = images.shape[1:3]
    edge = round((height * width / (features.shape[1] - 1)) ** 0.5)
    patches = features[:, 1:].astype(np.float64)
    patches /= np.maximum(np.linalg.norm(patches, axis=2, keepdims=True), 1e-9)
    across = width // edge
    middle = height // edge // 2 * across + across // 2
    cosines = np.einsum("npc,nc->np", patches, patches[:, middle]).reshape(len(images), -1, across)
    figure, grid = _figure(2, len(images), 2 * _WIDTH / len(images) * height / width + 0.3)
    for column, axes in enumerate(grid.T):
        _picture(axes[0], images[column])
        axes[0].plot((middle % across + 0.5) * edge, (middle // across + 0.5) * edge, "x", color=RED)
        shown = axes[1].imshow(cosines[column], vmin=-1, vmax=1, cmap="viridis")
        axes[1].set_xticks([])
        axes[1].set_yticks([])
    figure.colorbar(shown, ax=list(grid[1]), label="cosine", fraction=0.05)
    return figure


@_styled()
def attended(
    statements: Sequence[str], asked: Sequence[str], weights: NDArray, support: Sequence[Sequence[int]], least: float
) -> Figure:
    """A panel for each question: the statements that got at least ``least`` of the attention of any hop.

    asked : q titles
    weights : (hops, q, n)
    support : for each question the indices of the statements that answer it, whose text is bold
    """
    shown = [np.flatnonzero(weights[:, one].max(axis=0) >= least) for one in range(len(asked))]
    across = 2
    grid_rows = [shown[start : start + across] for start in range(0, len(shown), across)]
    heights = [max(map(len, row)) + 1.6 for row in grid_rows]
    figure, grid = _figure(len(heights), across, 0.3 * sum(heights) + 0.5, gridspec_kw={"height_ratios": heights})
    flat = grid.reshape(-1)
    for axes in flat[len(asked) :]:
        axes.set_axis_off()
    for one, (axes, title) in enumerate(zip(flat[: len(asked)], asked, strict=True)):
        _hops(axes, weights[:, one, shown[one]])
        axes.set_yticks(range(len(shown[one])))
        axes.set_yticklabels([f"{row + 1}  {statements[row]}" for row in shown[one]])
        for row, label in zip(shown[one], axes.get_yticklabels(), strict=True):
            label.set_weight("bold" if row in support[one] else "normal")
        axes.set_title(title, loc="left", fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("share of the attention")
    flat[0].legend(loc="upper right", frameon=False)  # old statements matter least, so there is room
    return figure


def _hops(axes: Axes, weights: NDArray) -> None:
    """weights (hops, rows): bars of a hop, side by side."""
    hops, rows = weights.shape
    height = 0.84 / hops
    for hop in range(hops):
        places = np.arange(rows) + (hop - (hops - 1) / 2) * height
        axes.barh(places, weights[hop], height=0.85 * height, color=_HOPS[hop % len(_HOPS)], label=f"hop {hop + 1}")
    axes.set_xlim(0, 1)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.tick_params(axis="y", length=0)


@_styled()
def heat_maps(maps: Mapping[str, NDArray], rows: Sequence[str], label: str) -> Figure:
    """Weights (rows, n) of each of ``maps`` in a panel, dark where there is none; ``label`` is of the columns."""
    figure, grid = _figure(1, len(maps), 0.9 + 0.21 * len(rows), sharey=True)
    for axes, (name, weights) in zip(grid[0], maps.items(), strict=True):
        count, columns = weights.shape
        edges = (0.5, columns + 0.5, count - 0.5, -0.5)  # columns count from 1
        shown = axes.imshow(weights, vmin=0, vmax=1, extent=edges, aspect="auto", interpolation="nearest")
        axes.set_title(name, loc="left", fontsize=10)
        axes.set_xlabel(label)
        axes.tick_params(length=0)
    grid[0, 0].set_yticks(range(len(rows)))
    grid[0, 0].set_yticklabels(rows)
    figure.colorbar(shown, ax=list(grid[0]), label="weight", fraction=0.03, pad=0.01)
    return figure


@_styled()
def benchmark(results: Benchmark | Mapping[str, Benchmark]) -> Figure:
    """Latency of launches of several sizes, and its parts; throughput, and what the accelerator alone could do.

    results : of one accelerator, or of several settings of it by name; host and transfers are those of the first
    Raises InputError if the accelerator's time is not known: a simulated board whose kernel has no cycle model.
    """
    runs = {"": results} if isinstance(results, Benchmark) else dict(results)
    first = next(iter(runs.values()))
    if any(row.accelerator_ms is None for run in runs.values() for row in run.rows):
        raise InputError("the accelerator's time is not known, as its simulation counts no cycles; print the benchmark")
    figure, grid = _figure(1, 2, 3.9)
    left, right = grid[0]
    here = "measured" if first.accelerator_time == MEASURED else "measured on this computer"
    colours = {name: _SETTINGS[place % len(_SETTINGS)] for place, name in enumerate(runs)}
    _line(left, first, "latency_ms", "black", "in all", linewidth=2.5)
    _line(left, first, "host_ms", SKY, f"host, {here}")
    _line(left, first, "transfer_ms", ORANGE, f"transfers, {here}")
    source = f"{first.accelerator_time} at {first.clock_mhz:.4g} MHz"
    for name, run in runs.items():
        ending = f", {name}" if name else ""
        _line(left, run, "accelerator_ms", colours[name], f"accelerator{ending}, {run.accelerator_time}")
        _line(right, run, "per_second", colours[name], f"launch after launch{ending}")
    for name, run in runs.items():
        _alone(right, run, colours[name], f"accelerator alone, {run.accelerator_time}" if run is first else "")
    _batch_axes(left, first, "time of a launch [ms]", f"Latency, accelerator {source}")
    _batch_axes(right, first, f"{first.unit} per second", f"Throughput, accelerator {source}")
    return figure


def _line(axes: Axes, run: Benchmark, what: str, colour: str, label: str, *, linewidth: float = 1.4) -> None:
    sizes = [row.batch for row in run.rows]
    values = [getattr(row, what) for row in run.rows]
    axes.plot(sizes, values, "o-", color=colour, label=label, linewidth=linewidth, markersize=4)


def _alone(axes: Axes, run: Benchmark, colour: str, label: str) -> None:
    rates = [row.batch / (row.accelerator_ms or 1.0) * 1e3 for row in run.rows]
    axes.plot([row.batch for row in run.rows], rates, "--", color=colour, label=label, linewidth=1.2)


def _batch_axes(axes: Axes, run: Benchmark, label: str, title: str) -> None:
    """Both logarithmic, with a tick for each size of a launch; the legend stands below."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([row.batch for row in run.rows])
    axes.set_xticks([], minor=True)
    axes.set_xticklabels([str(row.batch) for row in run.rows])
    low, high = axes.get_ylim()
    if high / low < 200:  # or there would be few ticks
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"{run.unit} in a launch")
    axes.set_ylabel(label)
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=2, frameon=False, fontsize=8)


def _plain(value: float, _: object) -> str:
    if value >= 1e6:
        return f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}" if value >= 1 else f"{value:.10f}".rstrip("0")


def _figure(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, NDArray]:
    """A figure of the common width with its axes (rows, columns)."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(_WIDTH, height), dpi=_DPI, squeeze=False, constrained_layout=True, **options
    )
    plt.close(figure)  # or the notebook would show it twice
    return figure, axes
