# SPDX-License-Identifier: Apache-2.0
"""Reports of C synthesis: XML of Vitis HLS, in the layouts of several releases.

A value that the tool could not know ("undef", "?", "-") is missing, and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from vitforge.errors import CheckError

RESOURCES = {"BRAM_18K": "bram18", "DSP": "dsp", "DSP48E": "dsp", "FF": "ff", "LUT": "lut", "URAM": "uram"}


@dataclass(frozen=True)
class LoopReport:
    """A pipelined loop as synthesised, in cycles; None where the tool did not say."""

    name: str
    interval: int | None
    depth: int | None
    trip_count: int | None
    source: str  # file


@dataclass(frozen=True, kw_only=True)
class CsynthReport:
    """Of a top function: clock [ns], worst latency [cycles], resources used and there, loops."""

    file: str
    top: str
    release: str | None
    target_ns: float | None
    estimated_ns: float | None
    latency: int | None
    used: dict[str, int] = field(default_factory=dict)
    available: dict[str, int] = field(default_factory=dict)
    loops: tuple[LoopReport, ...] = ()


def read_xml(path: Path) -> ElementTree.Element:
    """Root of an XML file. Raises CheckError with a sentence if it is none, as of a tool that was killed."""
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise CheckError(f"{path} is broken ({error}); its step did not end, so build it again") from None
    except OSError as error:
        raise CheckError(f"{path} cannot be read ({error.strerror}); check its permissions") from None


def is_csynth(root: ElementTree.Element) -> bool:
    """Whether an XML file is a report of C synthesis, whatever it is called."""
    return root.find("PerformanceEstimates") is not None and root.find("UserAssignments") is not None


def read_csynth(
    path: Path, root: ElementTree.Element, modules: Iterable[tuple[Path, ElementTree.Element]]
) -> CsynthReport:
    """The report of the top function in ``root``; ``modules`` are all reports beside it, which hold the other loops."""
    loops = {loop.name: loop for file, other in (*modules, (path, root)) for loop in _loops(file, other)}
    return CsynthReport(
        file=str(path),
        top=_text(root, "UserAssignments/TopModelName") or path.stem.removesuffix("_csynth"),
        release=_text(root, "ReportVersion/Version"),
        target_ns=_number(_text(root, "UserAssignments/TargetClockPeriod")),
        estimated_ns=_number(_text(root, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")),
        latency=_integer(_text(root, "PerformanceEstimates/SummaryOfOverallLatency/Worst-caseLatency")),
        used=_resources(root, "AreaEstimates/Resources"),
        available=_resources(root, "AreaEstimates/AvailableResources"),
        loops=tuple(loops[name] for name in sorted(loops)),
    )


def _loops(path: Path, root: ElementTree.Element) -> Iterator[LoopReport]:
    """Of the summaries of a function and of all modules in it; loops within loops too."""
    for summary in root.iter("SummaryOfLoopLatency"):
        for element in summary.iter():
            interval = element.find("PipelineII")
            if interval is not None:
                yield LoopReport(
                    name=_text(element, "Name") or element.tag,
                    interval=_integer(interval.text),
                    depth=_integer(_text(element, "PipelineDepth")),
                    trip_count=_integer(_text(element, "TripCount")),
                    source=str(path),
                )


def _resources(root: ElementTree.Element, path: str) -> dict[str, int]:
    element = root.find(path)
    found = {}
    for child in () if element is None else element:
        value = _integer(child.text)
        if child.tag in RESOURCES and value is not None:
            found[RESOURCES[child.tag]] = value
    return found


def _text(root: ElementTree.Element, path: str) -> str | None:
    element = root.find(path)
    return None if element is None or element.text is None else element.text.strip()


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _integer(text: str | None) -> int | None:
    value = _number(text)
    return None if value is None or value != value or value < 0 else int(value)
