# SPDX-License-Identifier: Apache-2.0
"""Reports of C/RTL co-simulation: whether the RTL gave what the test bench expects, and in how many cycles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vitforge.errors import CheckError

PASS = "Pass"
REPORT = "*_cosim.rpt"
# A language that was simulated, its status, then least, mean and most latency; what was not simulated is NA.
_ROW = re.compile(r"^\|\s*(Verilog|VHDL)\s*\|\s*(\w+)\s*\|\s*(\S+)\s*\|\s*(\S+)\s*\|\s*(\S+)\s*\|", re.M)


@dataclass(frozen=True)
class Cosim:
    """Of the RTL: status as the tool says it, and the longest latency of a launch [cycles], None if it does not say."""

    file: str
    status: str
    latency_cycles: int | None

    @property
    def passed(self) -> bool:
        """Whether the RTL gave what the test bench expects."""
        return self.status == PASS


def read_cosim(path: Path) -> Cosim:
    """Raises CheckError if the file is no such report, or ends before it says how the simulation went."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise CheckError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    for _, status, _, _, most in _ROW.findall(text):
        if status.upper() != "NA":
            return Cosim(str(path), status, int(most) if most.isdigit() else None)
    raise CheckError(f"{path} does not say how the simulation went; run cosim again")
