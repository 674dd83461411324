# SPDX-License-Identifier: Apache-2.0
"""Finds the vendor tools and reads their versions.

`v++` and `vitis-run` come first; `vitis_hls`, which newer releases no longer have, is the fallback. Each is looked for
on PATH and then where XILINX_VITIS, XILINX_HLS and XILINX_VIVADO point.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vitforge.errors import ToolError

UNIFIED, CLASSIC = "unified", "classic"  # v++ with vitis-run; vitis_hls with a Tcl script
PROGRAMS = {UNIFIED: ("v++", "vitis-run"), CLASSIC: ("vitis_hls",)}
OLDEST = {"v++": (2024, 1), "vitis-run": (2024, 1), "vitis_hls": (2020, 2), "vivado": (2020, 2)}
VARIABLES = {
    "v++": ("XILINX_VITIS",),
    "vitis-run": ("XILINX_VITIS",),
    "vitis_hls": ("XILINX_HLS", "XILINX_VITIS"),
    "vivado": ("XILINX_VIVADO",),
}
CURE = "install Vitis 2024.1 or newer and source its settings64.sh, or point XILINX_VITIS and XILINX_VIVADO at it"
_VERSION = re.compile(r"\b[vV]?(20\d\d)\.(\d)\b")
_PATIENCE_S = 60  # a launcher on a slow network drive


@dataclass(frozen=True)
class Tool:
    """A vendor program; version (year, release), or None if it does not say."""

    name: str
    path: str
    version: tuple[int, int] | None

    @property
    def release(self) -> str:
        return "of an unknown version" if self.version is None else f"{self.version[0]}.{self.version[1]}"

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "version": None if self.version is None else self.release}


@dataclass(frozen=True)
class Toolchain:
    """What a build uses: ``flow`` says how HLS is driven; vivado is None if only HLS steps were asked for."""

    flow: str
    hls: tuple[Tool, ...]
    vivado: Tool | None

    def to_json(self) -> dict[str, object]:
        tools = [*self.hls, *([self.vivado] if self.vivado else [])]
        return {tool.name: tool.to_json() for tool in tools}

    def path(self, program: str) -> str:
        """Of a tool by its name."""
        return next(tool.path for tool in (*self.hls, self.vivado) if tool and tool.name == program)


def find_toolchain(*, needs_vivado: bool, environment: Mapping[str, str] | None = None) -> Toolchain:
    """The tools of a build. Raises ToolError with what was found, what is too old and where to get it."""
    environment = os.environ if environment is None else environment
    found = {name: find_tool(name, environment) for name in VARIABLES}
    usable = {name: tool for name, tool in found.items() if tool and not _too_old(tool)}
    flow = next((flow for flow, names in PROGRAMS.items() if all(name in usable for name in names)), None)
    if flow is None:
        raise ToolError(f"no Vitis HLS was found: {_looked(found, ('v++', 'vitis-run', 'vitis_hls'))}; {CURE}")
    if needs_vivado and "vivado" not in usable:
        raise ToolError(f"a bitstream needs Vivado: {_looked(found, ('vivado',))}; {CURE}")
    return Toolchain(flow, tuple(usable[name] for name in PROGRAMS[flow]), usable.get("vivado"))


def find_tool(name: str, environment: Mapping[str, str]) -> Tool | None:
    """The first program ``name`` on PATH, or below the variables that belong to it."""
    path = shutil.which(name, path=environment.get("PATH", ""))
    for variable in VARIABLES[name]:
        if path is None and environment.get(variable):
            path = shutil.which(name, path=str(Path(environment[variable]) / "bin"))
    return None if path is None else Tool(name, path, _version(name, path, environment))


def _version(name: str, path: str, environment: Mapping[str, str]) -> tuple[int, int] | None:
    option = "-version" if name in ("vitis_hls", "vivado") else "--version"
    try:
        done = subprocess.run(
            [path, option],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout + done.stderr)
    return (int(found[1]), int(found[2])) if found else None


def _too_old(tool: Tool) -> bool:
    """A tool that does not say its version is given a try."""
    return tool.version is not None and tool.version < OLDEST[tool.name]


def _looked(found: Mapping[str, Tool | None], names: tuple[str, ...]) -> str:
    words = []
    for name in names:
        tool, (year, release) = found[name], OLDEST[name]
        old = f"{name} is {tool.release} and must be {year}.{release} or newer" if tool else f"{name} is not on PATH"
        words.append(old if tool is None or _too_old(tool) else f"{name} {tool.release} is at {tool.path}")
    return ", ".join(words)
