# SPDX-License-Identifier: Apache-2.0
"""`vitforge doctor`: what this machine has of the tools, and the cure for what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

from vitforge.boards import list_boards, load_board
from vitforge.deploy.wheel import DISTRIBUTION
from vitforge.errors import ConfigError, ToolError
from vitforge.resources import data_dir
from vitforge.vendor.tools import CURE, OLDEST, find_tool
from vitforge_host.finding import Finding

_EXTRAS = "pip install 'vitforge[sim]' (in a checkout: pip install -e '.[sim,test]')"

# distribution, what it is for, how to get it; all are needed for the demo
PACKAGES = (
    *((name, "everything", "pip install vitforge") for name in ("numpy", "jinja2", "click", "rich", "pydantic")),
    ("safetensors", "reading models", "pip install vitforge"),
    ("pynq", "the simulated board", _EXTRAS),
    ("pillow", "the demo's picture", _EXTRAS),
)


def examine() -> list[Finding]:
    """Look for everything that any command needs; takes about a second and changes nothing.

    A finding is required if `vitforge demo` needs it.
    """
    return [
        _python(),
        *(_package(*entry) for entry in PACKAGES),
        _driver(),
        _compiler(),
        _program("make", "make demo, make test; vendor flow", "apt install make"),
        _amd_headers(),
        _board_files(),
        _optional("libclang", "vitforge lint", "pip install 'vitforge[lint]'"),
        _optional("sphinx", "make docs", "pip install -e '.[docs]' in a checkout"),
        _vendor("v++", "synthesis"),
        _vendor("vitis-run", "cosimulation, IP export"),
        _vendor("vitis_hls", "the same, of releases before 2024.1"),
        _vendor("vivado", "bitstream"),
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


def _driver() -> Finding:
    """A wheel for a board that is installed beside vitforge has overwritten its driver, or hides it."""
    cure = f"pip uninstall {DISTRIBUTION}, install vitforge again, and give wheels for a board their own environment"
    found = not _package(DISTRIBUTION, "", "").found
    detail = "that of vitforge" if found else ""
    return Finding(name="driver", found=found, detail=detail, purpose="the simulated board", cure=cure, required=True)


def _compiler() -> Finding:
    from vitforge.csim.build import HOW_TO_GET, find_compiler

    try:
        path = find_compiler()
    except ToolError:
        return _tool("g++", "", "csim", HOW_TO_GET, required=True)
    return _tool("g++", f"{_version(path)}, {path}", "csim", HOW_TO_GET, required=True)


def _program(name: str, purpose: str, cure: str) -> Finding:
    path = shutil.which(name)
    return _tool(name, f"{_version(path)}, {path}" if path else "", purpose, cure, required=False)


def _vendor(name: str, purpose: str) -> Finding:
    """On PATH, or where the variables of the vendor point; one that is too old counts as missing."""
    tool = find_tool(name, os.environ)
    if tool is None:
        return _tool(name, "", purpose, CURE, required=False)
    year, release = OLDEST[name]
    if tool.version is not None and tool.version < OLDEST[name]:
        cure = f"{tool.path} is {tool.release}, and {year}.{release} is the oldest that works; {CURE}"
        return _tool(name, "", purpose, cure, required=False)
    return _tool(name, f"{tool.release}, {tool.path}", purpose, CURE, required=False)


def _board_files() -> Finding:
    """Whether all boards that ship can be read."""
    names = list_boards()
    try:
        for name in names:
            load_board(name)
    except ConfigError as error:
        return _tool("board files", "", "vitforge generate", str(error), required=True)
    cure = f"there is none in {data_dir('boards')}; install vitforge again"
    return _tool("board files", ", ".join(names), "vitforge generate", cure, required=True)


def _optional(name: str, purpose: str, cure: str) -> Finding:
    """A package that only ``purpose`` needs."""
    return replace(_package(name, purpose, cure), required=False)


def _tool(name: str, detail: str, purpose: str, cure: str, *, required: bool) -> Finding:
    return Finding(name=name, found=bool(detail), detail=detail, purpose=purpose, cure=cure, required=required)


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

    name, purpose = "AMD ap_int headers", "csim with AMD's own types"
    try:
        headers = find_amd_headers()
    except ToolError as error:
        return _tool(name, "", purpose, str(error), required=True)
    return _tool(name, f"{headers.origin}, {headers.include_dirs[0]}", purpose, _EXTRAS, required=True)
