# SPDX-License-Identifier: Apache-2.0
"""Draws the figures of README and docs/performance.md: from recorded results, and from a timeline that trace wrote.

    vitforge generate --board zcu104 --model deit_tiny -o deit-tiny
    vitforge trace deit-tiny --perfetto timeline.json
    python benchmarks/figures.py --timeline timeline.json

Needs ``pip install '.[plot]'``.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vitforge.plotting import STYLE
from vitforge_host.plot_style import BLUE, GREEN, GREY, ORANGE, PINK, SKY

HERE = Path(__file__).parent
RECORDED = HERE / "results" / "estimate_vs_trace.json"
IMAGES = HERE.parent / "docs" / "images"
BOARD = "zcu104"
MODELS = {"deit_tiny": "DeiT-Tiny", "deit_small": "DeiT-Small", "deit_base": "DeiT-Base"}
TRACK_POINTS = 460  # width of a track
LINE = 18  # characters that fit the height of a tall one
STEPS = 2  # shown of the timeline: the last before an image enters and leaves, and that one
TRACKS = (  # with their height
    ("DDR port, layer norm 1", 1.0),
    ("layer norm 1, sums", 1.0),
    ("layer norm 1, deviations", 1.0),
    ("layer norm 1, output", 1.0),
    ("DDR port, attention array", 1.0),
    ("attention array", 4.6),
    ("softmax", 1.0),
    ("DDR port, layer norm 2", 1.0),
    ("layer norm 2, sums", 1.0),
    ("layer norm 2, deviations", 1.0),
    ("layer norm 2, output", 1.0),
    ("DDR port, MLP array", 1.0),
    ("MLP array", 4.6),
    ("results", 1.0),
)
FAMILIES = (  # of what a slice's name begins with
    (("QKV", "KV", "queries", "FC1", "FC2", "projection"), SKY),
    (("scores", "context", "softmax"), ORANGE),
    (("patch", "class head", "position"), GREEN),
    (("sums", "deviations", "normalise"), PINK),
)


def recorded() -> dict[str, dict[str, Any]]:
    """Rows of the board that is drawn, by model."""
    rows = json.loads(RECORDED.read_text())["rows"]
    return {row["model"]: row for row in rows if row["board"] == BOARD and row["fits"]}


def performance() -> Figure:
    """Images per second under their bounds, and how busy the arrays are."""
    rows = recorded()
    missing = [model for model in MODELS if model not in rows]
    if missing:
        sys.exit(f"{RECORDED} has no {', '.join(missing)}; run estimate_vs_trace.py --boards {BOARD} --record")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.75), width_ratios=(1.35, 1), layout="constrained")
    for place, model in enumerate(MODELS):
        _bounds(left, -place, rows[model])
        _busy(right, -place, rows[model])
    for axes in (left, right):
        axes.set_ylim(-len(MODELS) + 0.45, 0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    left.set_yticks([-place for place in range(len(MODELS))], list(MODELS.values()))
    left.set_xscale("log")
    left.set_xlim(22, 4500)
    left.set_xticks([30, 100, 300, 1000, 3000], ["30", "100", "300", "1,000", "3,000"])
    left.minorticks_off()
    left.set_xlabel("images per second, log scale")
    above = {"loc": "lower center", "frameon": False, "columnspacing": 1.2}
    left.legend(*_first(left), bbox_to_anchor=(0.45, 1.0), ncols=3, **above)
    right.set_yticks([])
    right.set_xlim(0, 1)
    right.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    right.set_xlabel("cycles in which an array multiplies")
    right.legend(*_first(right), bbox_to_anchor=(0.5, 1.0), ncols=2, **above)
    return figure


def _bounds(axes: Axes, y: float, row: dict[str, Any]) -> None:
    axes.plot([row["fps"], row["dsp_roof_fps"]], [y, y], color="#BBBBBB", linewidth=1, zorder=1)
    axes.plot(row["fps"], y, "o", color=BLUE, markersize=9, label="simulated")
    axes.plot(row["dsp_roof_fps"], y, "|", color="black", markersize=16, markeredgewidth=2, label="DSP bound")
    axes.plot(row["ddr_bound_fps"], y, "|", color=ORANGE, markersize=16, markeredgewidth=2.5, label="DDR bound")
    share = f"{row['dsp_roof_fraction']:.0%}".replace("%", " %")
    axes.annotate(_number(row["fps"]), (row["fps"], y), (0, 9), textcoords="offset points", ha="right", weight="bold")
    axes.annotate(f"{share} of", (row["fps"], y), (0, -17), textcoords="offset points", ha="right", color=GREY)
    for bound in ("dsp_roof_fps", "ddr_bound_fps"):
        place = (3, -17)
        axes.annotate(_number(row[bound]), (row[bound], y), place, textcoords="offset points", ha="left", color=GREY)


def _busy(axes: Axes, y: float, row: dict[str, Any]) -> None:
    for offset, key, name, colour in ((0.17, "nsa_busy", "attention", BLUE), (-0.17, "nmp_busy", "MLP", GREEN)):
        axes.barh(y + offset, 1, height=0.28, color="#EEEEEE")
        axes.barh(y + offset, row[key], height=0.28, color=colour, label=name)
        text = f"{100 * row[key]:.1f} %"
        axes.text(row[key] - 0.02, y + offset, text, ha="right", va="center", color="white", fontsize=8, weight="bold")


def _first(axes: Axes) -> tuple[list[Any], list[str]]:
    """Each entry of a legend once."""
    found: dict[str, Any] = {}
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        found.setdefault(label, handle)
    return list(found.values()), list(found)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def timeline(path: Path) -> Figure:
    """All units over two steps."""
    events = json.loads(path.read_text())["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    slices = [(names[event["tid"]], event) for event in events if event["ph"] == "X"]
    start, end, borders = _window(slices)
    figure, axes = plt.subplots(figsize=(8, 5.6), layout="constrained")
    ticks, y = {}, 0.0
    for track, height in TRACKS:
        y -= height + 0.3
        ticks[track] = y + height / 2
        axes.axhspan(y, y + height, color="#F4F4F4", linewidth=0)
        for name, event in slices:
            if name == track and event["ts"] < end and event["ts"] + event["dur"] > start:
                _slice(axes, event, (start, end), y, height)
    for border in borders:
        axes.axvline(border - start, color="black", linewidth=1)
    axes.set_yticks(list(ticks.values()), list(ticks))
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(y - 0.2, 0.1)
    axes.set_xlim(0, end - start)
    title = next(event["args"]["name"] for event in events if event["name"] == "process_name")
    axes.set_xlabel(f"µs; {title.partition(', ')[2]}")
    axes.spines["left"].set_visible(False)
    return figure


def _window(slices: list[tuple[str, dict[str, Any]]]) -> tuple[float, float, list[float]]:
    """From the step before the one in which the first image embeds its patches."""
    steps = [(event["ts"], event["ts"] + event["dur"]) for track, event in slices if track == "steps"]
    embeds = next(event["ts"] for _, event in slices if event["name"] == "patch embedding")
    at = next(number for number, (begin, end) in enumerate(steps) if begin <= embeds < end)
    shown = steps[at - 1 : at - 1 + STEPS] if at else steps[:STEPS]
    return shown[0][0], shown[-1][1], [begin for begin, _ in shown] + [shown[-1][1]]


def _slice(axes: Axes, event: dict[str, Any], window: tuple[float, float], y: float, height: float) -> None:
    left = max(event["ts"], window[0]) - window[0]
    right = min(event["ts"] + event["dur"], window[1]) - window[0]
    name = event["name"]
    colour = next((colour for starts, colour in FAMILIES if name.startswith(starts)), "#D0D0D0")
    axes.barh(y, right - left, height=height, left=left, align="edge", color=colour, edgecolor="white", linewidth=0.6)
    text = _text(name, (right - left) / (window[1] - window[0]) * TRACK_POINTS, height > 1)
    if text:
        place = {"ha": "center", "va": "center", "fontsize": 6.5, "linespacing": 1.0}
        axes.text((left + right) / 2, y + height / 2, text[0], rotation=text[1], **place)


def _text(name: str, room: float, is_tall: bool) -> tuple[str, int] | None:
    """Text and rotation of a slice ``room`` points wide, None where nothing would be readable."""
    if room > 3.7 * len(name):
        return name, 0
    lines = textwrap.wrap(name, LINE)
    if is_tall and room > 6.3 * len(lines):
        return "\n".join(lines), 90
    return None


def save(figure: Figure, name: str) -> None:
    """As PNG and SVG, the same bytes for the same content."""
    figure.savefig(IMAGES / f"{name}.png", dpi=200, metadata={"Software": None})
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timeline", type=Path, metavar="FILE", help="also draw what trace --perfetto wrote to FILE")
    options = parser.parse_args()
    plt.rcParams.update(STYLE)
    save(performance(), "performance")
    if options.timeline:
        save(timeline(options.timeline), "timeline")


if __name__ == "__main__":
    main()
