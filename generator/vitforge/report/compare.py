# SPDX-License-Identifier: Apache-2.0
"""`vitforge report`: predicted beside reported, loop by loop. What no tool has reported yet is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from vitforge.csim.project import kernel_of
from vitforge.design.loops import LOOPS, SPARSE_MATMUL_LOOPS, LoopModel, a3_loops
from vitforge.errors import CheckError
from vitforge.report.cosim import Cosim, read_cosim
from vitforge.report.csynth import CsynthReport, is_csynth, read_csynth, read_xml
from vitforge.report.quality import Quality, read_quality
from vitforge.report.vivado import Timing, read_timing, read_utilization

BUILD = "vitis/build"
_SIMULATED = frozenset(("feed_beat", "drain_beat"))  # the DMA's, which is no part of the kernel
_TEXT_REPORTS = {  # part of the file's name -> what is in it, and options of the build that makes it
    "cosim": ("C/RTL co-simulation", " --until cosim"),
    "utilization": ("utilisation", ""),
    "timing_summary": ("timing", ""),
}
_RESOURCES = ("dsp", "lut", "ff", "bram36", "uram")


@dataclass(frozen=True)
class LoopRow:
    """A loop of the sources: interval as stated and as reached, depth as modelled and as reported [cycles].

    ``misses`` if the tool reached another interval than the stated one.
    """

    name: str
    stated: int
    reached: int | None
    modelled_depth: int
    depth: int | None
    misses: bool


@dataclass(frozen=True, kw_only=True)
class ProjectReport:
    """predicted, reported : figures by name; quality : of the model; missing : what is not there, and how to get it"""

    directory: str
    kernel: str
    board: str
    predicted: dict[str, Any]
    reported: dict[str, Any]
    loops: list[LoopRow]
    quality: Quality
    missing: list[str] = field(default_factory=list)

    @property
    def misses(self) -> list[LoopRow]:
        """Loops at another interval than the stated one."""
        return [loop for loop in self.loops if loop.misses]

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return asdict(self)


def report(directory: Path | str) -> ProjectReport:
    """Predicted figures of the project in ``directory`` beside those of the reports below its ``vitis/build``.

    Reports are known by what is in them. One that is broken or not there is named in ``missing``; the rest
    still counts.
    Raises ConfigError if ``directory`` is no project of ours.
    """
    directory = Path(directory)
    kernel = kernel_of(directory)
    design = json.loads((directory / "project.json").read_text())["design"]
    missing: list[str] = []
    csynth = _csynth(directory, missing)
    cosim = _first(directory, "cosim", read_cosim, missing)
    used = _first(directory, "utilization", read_utilization, missing)
    timing = _first(directory, "timing_summary", read_timing, missing)
    return ProjectReport(
        directory=str(directory),
        kernel=kernel,
        board=design["board"]["title"],
        predicted=_predicted(directory, design, missing),
        reported=_reported(csynth, cosim, used, timing),
        loops=_loops(_models(kernel, design), csynth, missing),
        quality=read_quality(directory, kernel, missing),
        missing=missing,
    )


def _predicted(directory: Path, design: dict[str, Any], missing: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"clock_mhz": design["clock_mhz"]}
    for name in ("resources", "estimate"):
        path = directory / "report" / f"{name}.json"
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            missing.append(f"{path} cannot be read ({error}); generate the project again")
            continue
        if name == "resources":
            found |= {key: content[key] for key in _RESOURCES if key in content}
        else:
            found |= {key: value for key, value in content.items() if isinstance(value, (int, float, str))}
    return found


def _csynth(directory: Path, missing: list[str]) -> CsynthReport | None:
    """The report of the top function: the one with most loops in and beside it."""
    found: list[tuple[Path, ElementTree.Element]] = []
    others: list[Path] = []
    for path in sorted((directory / BUILD).rglob("*.xml")):
        if "csynth" not in path.name:
            continue
        try:
            root = read_xml(path)
        except CheckError as error:
            missing.append(str(error))
            continue
        if is_csynth(root):
            found.append((path, root))
        else:
            others.append(path)
    tops = [pair for pair in found if pair[1].findtext("UserAssignments/TopModelName", "").startswith("vitforge_")]
    named = [pair for pair in tops if pair[0].stem == f"{pair[1].findtext('UserAssignments/TopModelName')}_csynth"]
    for path, root in (*named, *tops, *found):
        return read_csynth(path, root, [pair for pair in found if pair[0].parent == path.parent])
    missing.append(
        f"no report of C synthesis lies below {directory / BUILD}; "
        + (f"{others[0]} has not what is in one" if others else f"run vitforge build {directory} --until csynth")
    )
    return None


def _first(directory: Path, stem: str, read: Any, missing: list[str]) -> Any:
    paths = sorted((directory / BUILD).rglob(f"*{stem}*.rpt"))
    for path in paths:
        try:
            return read(path)
        except CheckError as error:
            missing.append(str(error))
    if not paths:
        what, command = _TEXT_REPORTS[stem]
        missing.append(f"no report of {what} lies below {directory / BUILD}; run vitforge build {directory}{command}")
    return None


def _reported(
    csynth: CsynthReport | None, cosim: Cosim | None, used: dict[str, float] | None, timing: Timing | None
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if csynth is not None:
        found["csynth"] = {
            "file": csynth.file,
            "release": csynth.release,
            "clock_mhz": round(1e3 / csynth.estimated_ns, 1) if csynth.estimated_ns else None,
            "latency_cycles": csynth.latency,
            **{key: value for key, value in csynth.used.items() if key != "bram18"},
            **({"bram36": csynth.used["bram18"] / 2} if "bram18" in csynth.used else {}),
        }
    if cosim is not None:
        found["cosim"] = asdict(cosim)
    if used is not None:
        found["implementation"] = dict(used)
    if timing is not None:
        found["timing"] = asdict(timing)
    return found


def _models(kernel: str, design: Mapping[str, Any]) -> Mapping[str, LoopModel]:
    """Loops of the kernel as they are modelled."""
    if kernel == "a3":
        return a3_loops(design["approximate"], design["numbers"]["policy"] == "deferred")
    return LOOPS if kernel == "vit" else SPARSE_MATMUL_LOOPS


def _loops(models: Mapping[str, LoopModel], csynth: CsynthReport | None, missing: list[str]) -> list[LoopRow]:
    reached = {} if csynth is None else {loop.name: loop for loop in csynth.loops}
    rows = []
    for name, model in models.items():
        if name in _SIMULATED:
            continue
        # A loop that the tool merged with the one around it has both names.
        fitting = [loop for key, loop in reached.items() if key == name or key.endswith(f"_{name}")]
        intervals = [loop.interval for loop in fitting if loop.interval is not None]
        depths = [loop.depth for loop in fitting if loop.depth is not None]
        interval = max(intervals, default=None)
        misses = interval is not None and interval != model.interval
        rows.append(LoopRow(name, model.interval, interval, model.depth, max(depths, default=None), misses))
    if csynth is not None:
        unknown = [row.name for row in rows if row.reached is None]
        if unknown:
            missing.append(f"the report of C synthesis names no interval of {', '.join(unknown)}")
    return rows
