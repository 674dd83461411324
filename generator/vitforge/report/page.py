# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing beside it: figures as tables, and pictures as SVG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from vitforge.codegen.environment import environment
from vitforge.errors import CheckError, OutputError, ToolError
from vitforge.report.compare import ProjectReport
from vitforge.report.diagram import Diagram, diagram
from vitforge.report.pictures import (
    ResourcePicture,
    Roofline,
    Timeline,
    resource_picture,
    timeline_picture,
)
from vitforge.report.roof import kernel_roofline
from vitforge.report.sqnr import SqnrPicture, sqnr_picture

Progress = Callable[[str, int, int], None]  # (what, done, total)
_PROCESSES = {  # of a kernel
    "vitforge_vit": ("4 fetchers", "layer norm 1", "attention array", "softmax", "layer norm 2", "MLP array"),
    "vitforge_a3": (
        "receive",
        "select",
        "track",
        "dot",
        "filter",
        "post-score",
        "exponent",
        "output",
        "normalise",
        "send",
    ),
    "vitforge_sparse_matmul": ("fetch", "receive", "multiply"),
}
_TITLES = {"vit": "Vision Transformer", "a3": "A3 attention", "sparse_matmul": "sparse matrix product"}


@dataclass(frozen=True, kw_only=True)
class Page:
    """Context of page.html.jinja."""

    title: str
    subtitle: str
    report: ProjectReport
    figures: tuple[tuple[str, str], ...]
    resources: ResourcePicture
    roof: Roofline | None
    timeline: Timeline | None
    timeline_of: str
    blocks: Diagram
    ps: str
    sqnr: SqnrPicture | None
    missing: tuple[str, ...]


def write_page(result: ProjectReport, directory: Path | str, path: Path, progress: Progress | None = None) -> None:
    """Write the page of ``result`` to ``path``. The timeline of a Vision Transformer needs a compiler.

    Raises OutputError if ``path`` cannot be written.
    """
    text = render_page(result, Path(directory), progress or (lambda what, done, total: None))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); name another file with --html") from None


def render_page(result: ProjectReport, directory: Path, progress: Progress) -> str:
    """Text of the page."""
    design = json.loads((directory / "project.json").read_text())["design"]
    missing = list(result.missing)
    line = None
    if result.kernel == "vit":
        try:
            line = _half_layer(directory, progress)
        except (CheckError, ToolError) as error:
            missing.append(f"the timeline: {error}")
    handoff = ElementTree.parse(directory / "overlay" / "vitforge.hwh").getroot()
    ratios = result.quality.sqnr_db
    page = Page(
        title=f"{design.get('name', result.kernel)}: {_TITLES[result.kernel]}",
        subtitle=f"{result.board}, {result.predicted['clock_mhz']:g} MHz",
        report=result,
        figures=_figures(result),
        resources=resource_picture(result, design["board"]),
        roof=kernel_roofline(result, directory, design),
        timeline=line,
        timeline_of="one half-layer step in steady state, simulated",
        blocks=diagram(handoff, _processes(design)),
        ps="Zynq-7000" if design["board"]["ps"] == "zynq7000" else "Zynq UltraScale+",
        sqnr=None if ratios is None else sqnr_picture(ratios),
        missing=tuple(missing),
    )
    template = environment().overlay(autoescape=True).get_template("report/page.html.jinja")
    return template.render(page=page)


def _processes(design: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Of each kernel, with the resident stores that ``design`` has."""
    folding = design.get("folding", {})
    stores = sum(bool(folding.get(f"resident_{array}")) for array in ("nsa", "nmp"))
    if not stores:
        return _PROCESSES
    fetchers, *others = _PROCESSES["vitforge_vit"]
    kept = "2 resident stores" if stores == 2 else "resident store"
    return {**_PROCESSES, "vitforge_vit": (fetchers, kept, *others)}


_FIGURES = {
    "fps": ("images a second, modelled", "{:,.0f}"),
    "cycles_per_image": ("cycles an image, modelled", "{:,.0f}"),
    "cycles_per_query": ("cycles a query, all rows, modelled", "{:,.1f}"),
    "queries_per_second": ("queries a second, modelled", "{:,.0f}"),
    "array_macs_per_cycle": ("products a cycle, at most", "{:,.0f}"),
    "latency_cycles": ("cycles of latency, modelled", "{:,.0f}"),
    "latency": ("cycles of latency, modelled", "{:,.0f}"),
    "dsp": ("DSPs", "{:,.0f}"),
    "limited_by": ("limits the rate", "{}"),
}
_UNITS = {"ln1": "layer norm 1", "nsa": "attention array", "ln2": "layer norm 2", "nmp": "MLP array", "ddr": "DDR"}


def _figures(result: ProjectReport) -> tuple[tuple[str, str], ...]:
    found = [
        (title, form.format(_UNITS.get(result.predicted[key], result.predicted[key])))
        for key, (title, form) in _FIGURES.items()
        if key in result.predicted
    ]
    accuracy = result.quality.accuracy
    if accuracy is not None:
        found.append((f"top-1 of {accuracy.images:,} images, simulated", f"{accuracy.int8_top1:.1%}"))
        found.append(("top-1 of the float model", f"{accuracy.float_top1:.1%}"))
    csynth, timing = result.reported.get("csynth"), result.reported.get("timing")
    if csynth and csynth["clock_mhz"]:
        found.append(("clock, estimated by synthesis", f"{csynth['clock_mhz']:g} MHz"))
    if cosim := result.reported.get("cosim"):
        found.append(("co-simulation of the RTL", str(cosim["status"])))
    if timing:
        found.append(("worst slack after implementation", f"{timing['worst_slack_ns']:+.3f} ns"))
    return tuple(found)


def _half_layer(directory: Path, progress: Progress) -> Timeline:
    from vitforge.timing.blocks import STEP, UNITS
    from vitforge.timing.timeline import timeline
    from vitforge.timing.trace import trace

    result = trace(directory, smallest=False, progress=progress)
    slices = timeline(result)
    steps = [entry for entry in slices if entry.node == STEP]
    step = steps[len(steps) // 2]
    tracks = {
        name: [(entry.label, entry.start, entry.end) for entry in slices if entry.node == node]
        for node, name in UNITS.items()
    }
    shown = {
        name: rows
        for name, rows in tracks.items()
        if any(end > step.start and start < step.end for _, start, end in rows)
    }
    return timeline_picture(shown, step.start, step.end)
