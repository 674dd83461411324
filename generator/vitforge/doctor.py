# SPDX-License-Identifier: Apache-2.0
"""`vitforge doctor`: what this machine has of the tools, and the cure for what is missing."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata

from vitforge.errors import ToolError

_APT = "on Debian or Ubuntu: sudo apt install"
_EXTRAS = "pip install 'vitforge[sim]' (in a checkout: pip install -e '.[sim,test]')"
_VENDOR = "install Vitis 2024.1 or newer and source its settings64.sh"

# distribution, what it is for, how to get it; all are needed for the demo
PACKAGES = (
    *((name, "everything", "pip install vitforge") for name in ("numpy", "jinja2", "click", "rich", "pydantic")),
    ("safetensors", "reading models", "pip install vitforge"),
    ("pynq", "the simulated board", _EXTRAS),
    ("pillow", "the demo's picture", _EXTRAS),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked for."""

    name: str
    found: bool
    detail: str  # version or place if found
    purpose: str
    cure: str  # what to do if it is not found
    required: bool  # whether `vitforge demo` needs it

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def examine() -> list[Finding]:
    """Look for everything that any command needs; takes about a second and changes nothing."""
    return [
        _python(),
        *(_package(*entry) for entry in PACKAGES),
        _program("g++", "csim", f"{_APT} g++"),
        _program("make", "make demo, make test; vendor flow", f"{_APT} make", required=False),
        _amd_headers(),
        _program("v++", "synthesis", _VENDOR, required=False),
        _program("vitis-run", "cosimulation, IP export", _VENDOR, required=False),
        _program("vivado", "bitstream", _VENDOR, required=False),
    ]


def _python() -> Finding:
    return Finding(
        name="Python",
        found=sys.version_info >= (3, 10),
        detail=platform.python_version(),
        purpose="everything",
        cure="install Python 3.11",
        required=True,
    )


def _package(name: str, purpose: str, cure: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    return Finding(name=name, found=bool(version), detail=version, purpose=purpose, cure=cure, required=True)


def _program(name: str, purpose: str, cure: str, required: bool = True) -> Finding:
    path = shutil.which(name)
    detail = f"{_version(path)}, {path}" if path else ""
    return Finding(name=name, found=path is not None, detail=detail, purpose=purpose, cure=cure, required=required)


def _version(path: str) -> str:
    """First line of ``--version`` that has a digit, or a word in its place: vendor launchers can be slow or fail."""
    try:
        result = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "version unknown"
    lines = [line.strip() for line in result.stdout.splitlines() if any(letter.isdigit() for letter in line)]
    return lines[0][:60] if lines else "version unknown"


def _amd_headers() -> Finding:
    from vitforge.csim.headers import find_amd_headers

    try:
        detail = str(find_amd_headers().include_dirs[0])
    except ToolError as error:
        return _headers(found=False, detail="", cure=str(error))
    return _headers(found=True, detail=detail, cure=_EXTRAS)


def _headers(*, found: bool, detail: str, cure: str) -> Finding:
    name, purpose = "AMD ap_int headers", "csim with AMD's own types"
    return Finding(name=name, found=found, detail=detail, purpose=purpose, cure=cure, required=True)
