# SPDX-License-Identifier: Apache-2.0
"""Why a vendor tool failed: its own words, and what to do about the causes that are known."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

TAIL_LINES = 12
_TAIL_BYTES = 64 << 10
_ERROR = re.compile(r"^\s*(?:\S+\s+)?(?:CRITICAL WARNING|ERROR|FATAL)\b[:\s].*", re.I)
_NO_PART = r"part .{0,60}(?:not found|not installed|is not supported|invalid)|invalid part|no parts matched"
_CAUSES: Sequence[tuple[str, str]] = (  # what an error says, and the cure; the first that fits
    (
        r"licen[cs]e|flexlm|Common 17-345",
        "no licence for tool or part was to be had: check XILINXD_LICENSE_FILE, or take a part of the free edition",
    ),
    (
        r"out of memory|std::bad_alloc|cannot allocate memory|virtual memory exhausted",
        "it ran out of memory: close other programs or give the machine more; a smaller folding needs less",
    ),
    (r"board_?part .{0,80}(?:not found|invalid)|Board 49-71", "fetch the board files in Vivado's board store"),
    (_NO_PART, "the device is not installed: add its family with the vendor's installer"),
    (
        r"bad lexical cast|core_revision",
        "IP export of releases up to 2021.2 fails since 2022: install AMD's patch of AR 76960, or a newer release",
    ),
    (
        r"timing (?:constraints )?(?:are|is|was|were) not met",
        "the design does not run at its clock: generate it with a lower clock_mhz, and build again",
    ),
    (
        r"HLS 207-814|does not support synthesis",
        "headers for simulation reached synthesis: unset CPLUS_INCLUDE_PATH and VITFORGE_AP_INCLUDE",
    ),
    (r"no space left on device", "the disk is full: make room, and build again"),
)
_KILLED = "most often memory ran out: see dmesg, close other programs, or take a smaller folding"


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """Last lines of a log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def explain(log: Path, code: int) -> str:
    """Its first error in its own words, or how it ended, and a cure if the cause is a known one."""
    text = log.read_text(errors="replace")
    errors = [line.strip() for line in text.splitlines() if _ERROR.match(line) and "CRITICAL WARNING" not in line]
    said = f'it said "{errors[0][:300]}"' if errors else f"it {_ended(code)}, and its log names no error"
    told = "\n".join(errors or tail(log))
    cure = next((cure for pattern, cure in _CAUSES if re.search(pattern, told, re.I)), "")
    if not cure and code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        said, cure = "it was killed", _KILLED
    return f"{said}; {cure}" if cure else said


def _ended(code: int) -> str:
    number = -code if code < 0 else code - 128
    if code < 0 or code > 128:
        try:
            return f"was ended by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"ended with exit code {code}"
