# SPDX-License-Identifier: Apache-2.0
"""Where each kernel stands under its roofline: all multipliers above, the bandwidth of DDR beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitforge.design.a3 import PORTS, a3_design_from_dict
from vitforge.design.geometry import ceil_div
from vitforge.report.compare import ProjectReport
from vitforge.report.pictures import Roofline, roofline

_CASES = {"dense": "dense", "structured_50_two_of_four": "half of it pruned, and 2:4"}  # of sparse_matmul
Points = list[tuple[str, float, float]]  # (name, operations a byte, 10^9 operations a second)


def kernel_roofline(result: ProjectReport, directory: Path, design: dict[str, Any]) -> Roofline | None:
    """Of the kernel in ``directory``; None on a board whose bandwidth is not known, or without an estimate."""
    ddr, clock = design["board"]["ddr_gbps"], result.predicted["clock_mhz"]
    if ddr is None or (result.kernel == "vit" and "fps" not in result.predicted):
        return None
    if result.kernel == "vit":
        macs, points = _vit(design["folding"], result.predicted)
    elif result.kernel == "a3":
        macs, points = _a3(design, result.predicted)
    else:
        cases = json.loads((directory / "report" / "estimate.json").read_text())["cases"]
        macs, points = _sparse_matmul(cases, result.predicted)
    return roofline(2 * macs * clock / 1e3, ddr, points)


def _vit(folding: Mapping[str, int], figures: Mapping[str, Any]) -> tuple[int, Points]:
    """Multiplications a cycle at most, and points."""
    work = 2 * figures["macs_per_image"]
    point = ("the model", work / figures["ddr_bytes_per_image"], work * figures["fps"] / 1e9)
    return (folding["tt_nsa"] + folding["tt_nmp"]) * folding["tc"] * folding["tk"], [point]


def _a3(data: dict[str, Any], figures: Mapping[str, Any]) -> tuple[int, Points]:
    """Dot products and weighted sums, of queries that come and go through the DMA; the key stays in the kernel."""
    design = a3_design_from_dict(data)
    beats = ceil_div(design.d_max, design.per_beat) + ceil_div(design.d_max, design.result_per_beat)
    work = 2 * 2 * design.n_max * design.d_max
    point = ("all rows", work / (beats * design.beat_bytes), work * figures["queries_per_second"] / 1e9)
    return 2 * PORTS * design.width * design.units, [point]


def _sparse_matmul(cases: Mapping[str, Any], figures: Mapping[str, Any]) -> tuple[int, Points]:
    points = [
        (
            _CASES[name],
            2 * case["macs"] / case["ddr_bytes"],
            2 * case["macs_per_cycle"] * figures["clock_mhz"] / 1e3,
        )
        for name, case in cases.items()
        if name in _CASES
    ]
    return figures["array_macs_per_cycle"], points
