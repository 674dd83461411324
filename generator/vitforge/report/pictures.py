# SPDX-License-Identifier: Apache-2.0
"""Geometry of the pictures on the report page: bars, roofline, timeline. All lengths are in units of the drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitforge.design.loops import DDR_EFFICIENCY
from vitforge.report.compare import ProjectReport
from vitforge.report.scale import Tick

WIDTH = 720
_LABELS, _TRACK_LABELS = 150, 185  # room left of bars, and of tracks
_BAR_HEIGHT, _ROW_GAP = 14, 16
_TITLES = {"dsp": "DSP", "lut": "LUT", "ff": "flip-flops", "bram36": "block RAM", "uram": "URAM"}
_LEAST_LABEL = 46  # a slice narrower than this carries no text


@dataclass(frozen=True)
class Bar:
    """A count of a resource as a part of the device."""

    y: float
    width: float
    kind: str  # a stage: predicted, synthesis or implementation


@dataclass(frozen=True)
class ResourceRow:
    """``counts`` by stage, as text."""

    title: str
    y: float
    height: float
    cap_x: float
    cap_text: str
    bars: tuple[Bar, ...]
    device: str
    counts: dict[str, str]


@dataclass(frozen=True)
class ResourcePicture:
    height: float
    left: float
    right: float
    rows: tuple[ResourceRow, ...]
    stages: tuple[str, ...]


def resource_picture(report: ProjectReport, board: Mapping[str, Any]) -> ResourcePicture:
    """A row for each resource that the device has: used, and the share that a design may use."""
    scale = WIDTH - _LABELS - 110
    stages = {
        "predicted": report.predicted,
        "synthesis": report.reported.get("csynth", {}),
        "implementation": report.reported.get("implementation", {}),
    }
    stages = {stage: figures for stage, figures in stages.items() if figures}
    rows: list[ResourceRow] = []
    for name, title in _TITLES.items():
        device = board[name]
        if not device:
            continue
        row_height = len(stages) * _BAR_HEIGHT
        y = 10 + len(rows) * (row_height + _ROW_GAP)
        counts = {stage: figures[name] for stage, figures in stages.items() if figures.get(name) is not None}
        bars = [
            Bar(y + index * _BAR_HEIGHT, max(1.0, round(min(1.0, counts[stage] / device) * scale, 1)), stage)
            for index, stage in enumerate(stages)
            if stage in counts
        ]
        cap = board["caps"][name]
        rows.append(
            ResourceRow(
                title=title,
                y=y,
                height=row_height,
                cap_x=round(_LABELS + cap * scale, 1),
                cap_text=f"{cap:.0%}",
                bars=tuple(bars),
                device=f"{device:,}",
                counts={stage: f"{count:,g} ({count / device:.0%})" for stage, count in counts.items()},
            )
        )
    height = rows[-1].y + rows[-1].height + 10
    return ResourcePicture(height, _LABELS, _LABELS + scale, tuple(rows), tuple(stages))


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    name: str
    text: str
    anchor: str


@dataclass(frozen=True)
class Roofline:
    """Operations a second over operations a byte of DDR, both axes logarithmic."""

    roof: str  # points of the line
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Point, ...]
    peak_text: str
    slope_text: str


LEFT, TOP, RIGHT, BOTTOM = 80.0, 20.0, 680.0, 300.0


def roofline(peak_gops: float, ddr_gbps: float, points: Sequence[tuple[str, float, float]]) -> Roofline:
    """points : (name, operations a byte, 10^9 operations a second)"""
    bandwidth = ddr_gbps * DDR_EFFICIENCY
    ridge = peak_gops / bandwidth
    intensities = [ridge, *(intensity for _, intensity, _ in points)]
    speeds = [peak_gops, *(speed for _, _, speed in points)]
    low_x, high_x = _decades(min(intensities) / 4, max(intensities) * 4)
    low_y, high_y = _decades(min(speeds) / 4, peak_gops * 1.5)

    def x(value: float) -> float:
        return round(LEFT + (math.log10(value) - low_x) / (high_x - low_x) * (RIGHT - LEFT), 1)

    def y(value: float) -> float:
        return round(BOTTOM - (math.log10(value) - low_y) / (high_y - low_y) * (BOTTOM - TOP), 1)

    start = max(10**low_x, 10**low_y / bandwidth)
    line = [(start, start * bandwidth), (ridge, peak_gops), (10**high_x, peak_gops)]
    placed = [
        Point(
            x(i), y(s), name, f"{name}: {s:,.0f} GOPS at {i:,.0f} operations a byte", "end" if x(i) > 420 else "start"
        )
        for name, i, s in points
    ]
    return Roofline(
        roof=" ".join(f"{x(a)},{y(b)}" for a, b in line),
        x_ticks=tuple(Tick(x(10.0**e), f"{10**e:,g}") for e in range(low_x, high_x + 1)),
        y_ticks=tuple(Tick(y(10.0**e), f"{10**e:,g}") for e in range(low_y, high_y + 1)),
        points=tuple(placed),
        peak_text=f"{peak_gops:,.0f} GOPS: all multipliers of the arrays, two operations each",
        slope_text=f"{bandwidth:.1f} GB/s: DDR at {DDR_EFFICIENCY:.0%} of its peak",
    )


def _decades(low: float, high: float) -> tuple[int, int]:
    return math.floor(math.log10(low)), math.ceil(math.log10(high))


@dataclass(frozen=True)
class Block:
    x: float
    width: float
    kind: int
    text: str
    title: str


@dataclass(frozen=True)
class Track:
    """``legend`` says what its colours are, (kind, text), where a block is too narrow to say it itself."""

    name: str
    y: float
    blocks: tuple[Block, ...]
    legend: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Timeline:
    height: float
    cycles: int
    ticks: tuple[Tick, ...]
    tracks: tuple[Track, ...]


def timeline_picture(tracks: Mapping[str, Sequence[tuple[str, int, int]]], first: int, last: int) -> Timeline:
    """tracks : name -> slices (label, start, end) in cycles, drawn between ``first`` and ``last``; none without any."""
    scale = (WIDTH - _TRACK_LABELS - 10) / max(1, last - first)
    kinds: dict[str, int] = {}
    drawn: list[Track] = []
    for name, slices in tracks.items():
        blocks: list[Block] = []
        mute: dict[str, int] = {}
        said = {name}  # by another block of the track, or by its name
        for label, start, end in slices:
            start, end = max(start, first), min(end, last)
            if end <= start:
                continue
            operation = re.split(r"[ ,]", label)[0]
            kind = kinds.setdefault(operation, len(kinds) % 4)
            width = round((end - start) * scale, 1)
            text = label if width >= max(_LEAST_LABEL, 6.5 * len(label)) else ""
            if text:
                said.add(operation)
            elif end - start > (last - first) / 100:
                mute[operation] = kind
            title = f"{label}: {end - start:,} cycles"
            blocks.append(Block(round(_TRACK_LABELS + (start - first) * scale, 1), max(0.6, width), kind, text, title))
        if blocks:
            legend = tuple((kind, operation) for operation, kind in mute.items() if operation not in said)
            drawn.append(Track(name, 10 + 34.0 * len(drawn), tuple(blocks), legend))
    step = 10 ** math.floor(math.log10(max(1, (last - first) / 4)))
    step *= next(factor for factor in (1, 2, 5, 10) if (last - first) / (step * factor) <= 6)
    ticks = [Tick(round(_TRACK_LABELS + at * scale, 1), f"{at:,}") for at in range(0, last - first + 1, step)]
    return Timeline(50 + 34.0 * len(drawn), last - first, tuple(ticks), tuple(drawn))
