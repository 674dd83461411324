# SPDX-License-Identifier: Apache-2.0
"""Text reports of Vivado: utilisation and timing after implementation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vitforge.errors import CheckError

# A row of `report_utilization` -> what it counts; the first spelling that a report has.
_ROWS = {
    "lut": ("CLB LUTs", "Slice LUTs"),
    "ff": ("CLB Registers", "Slice Registers"),
    "bram36": ("Block RAM Tile",),
    "uram": ("URAM",),
    "dsp": ("DSPs", "DSP48E1"),
}
_SUMMARY = re.compile(r"WNS\(ns\).*?\n[ -]+\n\s*(-?[\d.]+|NA)", re.S)


@dataclass(frozen=True)
class Timing:
    """Worst slack of set-up [ns]; negative if the clock is not met."""

    file: str
    worst_slack_ns: float


def read_utilization(path: Path) -> dict[str, float]:
    """Resources used. Raises CheckError if the file is no such report, or ends before its tables do."""
    text = _read(path)
    found = {}
    for name, titles in _ROWS.items():
        for title in titles:
            row = re.search(rf"^\|\s*{re.escape(title)}\*?\s*\|\s*([\d.]+)\s*\|", text, re.M)
            if row and name not in found:
                found[name] = float(row[1])
    if not {"lut", "ff"} <= found.keys():
        raise CheckError(f"{path} is no whole utilisation report; build the bitstream again")
    return found


def read_timing(path: Path) -> Timing:
    """Worst slack of the design. Raises CheckError if the file does not say."""
    found = _SUMMARY.search(_read(path))
    if found is None or found[1] == "NA":
        raise CheckError(f"{path} names no worst slack; build the bitstream again")
    return Timing(str(path), float(found[1]))


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise CheckError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
