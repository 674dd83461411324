# SPDX-License-Identifier: Apache-2.0
"""The picture of `vitforge prune`. Importing this needs matplotlib."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from vitforge.compress.command import PruneResult
from vitforge.compress.modelled import BOARD, cycle_curve, overlay_for, relative_cycles
from vitforge.model.keep import everything

_NAMES = {
    "norm1": "norm 1",
    "qk": "q, k",
    "v": "v",
    "proj": "projection",
    "norm2": "norm 2",
    "hidden": "hidden",
    "fc2": "FC2",
}
_GONE, _KEPT, _CHOICE, _GREY = "#E6E6E6", "#3B528B", "#D55E00", "#666666"
_GAP = 3  # cells between two masks


def make_figure(result: PruneResult) -> Figure:
    """What is kept of every layer; accuracy against footprint; cycles against density."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 1.3))
    _masks(figure.add_subplot(grid[0, :]), result)
    _accuracy(figure.add_subplot(grid[1, 0]), result)
    _cycles(figure.add_subplot(grid[1, 1]), result)
    return figure


def _masks(axes: Axes, result: PruneResult) -> None:
    """A row a block, a cell a channel; masks beside each other."""
    keeps = result.model.keep or (everything(result.model.shape),) * result.model.shape.depth
    rows = [{name: mask.ravel() for name, mask in keep.masks().items()} for keep in keeps]
    first = 0
    for name, title in _NAMES.items():
        cells = np.stack([row[name] for row in rows]).astype(float)
        width = cells.shape[1]
        extent = (first, first + width, len(rows) - 0.5, -0.5)
        axes.imshow(
            cells,
            cmap=ListedColormap([_GONE, _KEPT]),
            vmin=0,
            vmax=1,
            aspect="auto",
            extent=extent,
            interpolation="nearest",
        )
        label = f"{title}\n{cells.mean():.0%} of {width}"
        axes.text(first + width / 2, -0.65, label, ha="center", va="bottom", fontsize=8)
        first += width + _GAP
    axes.set_xlim(0, first - _GAP)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks(range(len(rows)))
    axes.set_ylabel("block")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title("Channels kept (dark)", loc="left", fontsize=9.5, pad=32)


def _accuracy(axes: Axes, result: PruneResult) -> None:
    """Steps of column pruning on validation images, and what came out on those held out."""
    facts, shape = result.to_json(), result.model.shape
    steps = [(step.fraction(shape), step.accuracy, step.accepted) for step in result.steps]
    for accepted, colour, label in ((True, _KEPT, "step, accepted"), (False, _GREY, "step, undone")):
        some = [(x, y) for x, y, was in steps if was == accepted]
        if some:
            marker = "o" if accepted else "x"
            axes.plot(*zip(*some, strict=True), marker, color=colour, markersize=4, label=f"{label} (validation)")
    if result.float_top1 is not None:
        axes.plot(result.kept_fraction, result.float_top1, "D", color=_CHOICE, label="pruned (held-out)")
    for name, value in (("dense", result.dense_top1), ("dense, trained as long", result.control_top1)):
        if value is not None:
            style = ":" if name == "dense" else "--"
            axes.axhline(value, color=_GREY, linewidth=1, linestyle=style, label=f"{name} (held-out)")
    title = f"{facts['footprint_bytes']:,} of {facts['dense_footprint_bytes']:,} bytes"
    _finish(axes, "accuracy", f"Accuracy against footprint: {title}")


def _cycles(axes: Axes, result: PruneResult) -> None:
    """Of an image, modelled."""
    design = overlay_for(result.model)
    if design is None:
        axes.text(0.5, 0.5, f"the dense model does not fit a {BOARD}", ha="center", transform=axes.transAxes)
        return
    axes.plot((0, 1), (0, 1), color=_GREY, linewidth=1, linestyle=":", label="proportional")
    curve = cycle_curve(design, result.model)
    axes.plot(*zip(*curve, strict=True), "o-", color=_KEPT, markersize=3, label="by magnitude")
    axes.plot(result.kept_fraction, relative_cycles(design, result.model), "D", color=_CHOICE, label="this model")
    axes.set_ylim(0, 1.05)
    _finish(axes, "cycles of an image", f"Cycles against density, modelled, {BOARD}")


def _finish(axes: Axes, what: str, title: str) -> None:
    axes.set_xlim(0, 1.03)
    axes.set_xlabel("linear weights kept")
    axes.set_ylabel(f"{what}, of the dense model" if what.startswith("cycles") else what)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0 if what.startswith("cycles") else 1))
    axes.grid(color="#EEEEEE", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title(title, loc="left", fontsize=9)
    axes.legend(frameon=False, fontsize=7.5)
