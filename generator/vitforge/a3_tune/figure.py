# SPDX-License-Identifier: Apache-2.0
"""The figure of `vitforge a3 tune`: simulated cycles against error. Importing this needs matplotlib."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from vitforge.a3_tune.settings import Point
from vitforge.a3_tune.tuned import TuneResult
from vitforge_host.plot_style import GREY, RED

_PALETTE = "viridis"  # told apart by all forms of colour vision; dark keeps all
_CHOICE = RED
_LARGEST, _SMALLEST = 60, 12  # areas of markers: points of one M often have the same error, and lie in each other
_SPREAD = 8.0  # an axis whose values differ by more than this is logarithmic


def make_figure(result: TuneResult) -> Figure:
    """All settings, coloured by T, the front of the best of them, the tolerance and the choice."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    _axes(axes, result)
    _points(axes, result)
    axes.step(*_xy(result.pareto), where="post", color=GREY, linewidth=1.2, label="Pareto front", zorder=2)
    _lines(axes, result)
    if result.chosen is not None:
        ring: dict[str, Any] = {"s": 150, "facecolors": "none", "edgecolors": _CHOICE, "linewidths": 2, "zorder": 5}
        axes.scatter(*_xy([result.chosen]), label="choice, inside on both parts", **ring)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    _name_front(figure, axes, result)
    return figure


def _axes(axes: Axes, result: TuneResult) -> None:
    """Scales, ticks, names and title."""
    x, y = _xy(result.points)
    shown = (axes.xaxis, x, axes.set_xscale), (axes.yaxis, [*y, result.tolerance], axes.set_yscale)
    for axis, values, scale in shown:
        if min(values) > 0 and max(values) > _SPREAD * min(values):
            scale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.09, y=0.09)
    axes.set_xlabel("simulated cycles per query")
    axes.set_ylabel(f"{result.metric} on held-out queries")
    axes.set_title("\n".join(_title(result)), loc="left", fontsize=9.5)
    axes.grid(color="#EEEEEE", linewidth=0.8)
    axes.set_axisbelow(True)


def _title(result: TuneResult) -> tuple[str, str]:
    design, chosen = result.design, result.chosen
    heads = f"{result.heads} heads, " if result.heads > 1 else ""
    units = f"{design.units} unit{'s' * (design.units > 1)}"
    what = f"A3 on {design.board.title}: {heads}n = {result.n}, d = {result.d}, {units}"
    if chosen is None:
        return what, f"no setting is inside the tolerance of {result.tolerance:g}"
    return what, (
        f"choice: {chosen.setting}; error {chosen.error:.3g}, {chosen.cycles_per_query:.4g} cycles per query, "
        f"{result.speedup(chosen):.3g} x the exact pipeline"
    )


def _points(axes: Axes, result: TuneResult) -> None:
    thresholds = sorted({point.setting.t for point in result.points}, key=lambda t: t or 0)
    last = max(1, len(thresholds) - 1)
    for rank, t in enumerate(thresholds):
        some = [point for point in result.points if point.setting.t == t]
        area = _LARGEST + (_SMALLEST - _LARGEST) * rank / last
        colour = colormaps[_PALETTE](0.95 * rank / last)
        name = "all candidates kept" if t is None else f"T = {t:g} %"
        axes.scatter(*_xy(some), s=area, color=[colour], linewidths=0, label=name, zorder=3)


def _lines(axes: Axes, result: TuneResult) -> None:
    """Tolerance and what quantisation alone costs, named in the margin, the higher one above its line."""
    lines = [(result.tolerance, "tolerance", _CHOICE, "--"), (result.exact.error, "quantisation", GREY, ":")]
    for place, (value, name, colour, style) in zip(("bottom", "top"), sorted(lines, reverse=True), strict=True):
        axes.axhline(value, color=colour, linestyle=style, linewidth=1.2, zorder=1)
        axes.annotate(
            f"{name}\n{value:.3g}",
            (1, value),
            (4, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va=place,
            color=colour,
            fontsize=8,
        )


def _name_front(figure: Figure, axes: Axes, result: TuneResult) -> None:
    """M beside the front, below and to the left of its points: no setting is there. None over another one."""
    labels = []
    best = {point.setting.m: point for point in result.pareto}  # of each M the last, with the least error
    for m, point in reversed(best.items()):
        label = axes.annotate(
            "all rows" if m is None else f"M = {m}",
            (point.cycles_per_query, point.error),
            (-8, -6) if point == result.chosen else (-4, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            color="#333333",
            fontsize=8,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],  # lines pass behind
        )
        labels.append(label)
    figure.draw_without_rendering()
    shown: list[Bbox] = []
    for label in labels:
        box = label.get_window_extent()
        if any(box.overlaps(other) for other in shown):
            label.remove()
        else:
            shown.append(box)


def _xy(points: Iterable[Point]) -> tuple[list[float], list[float]]:
    """Cycles and errors."""
    pairs = [(point.cycles_per_query, point.error) for point in points]
    return [x for x, _ in pairs], [y for _, y in pairs]
