# SPDX-License-Identifier: Apache-2.0
"""Steps of a build and their command lines: the runner starts them, and the Makefile of a project has the same ones.

All run in ``vitis/`` of the project but for HLS with a config file, whose paths are relative to ``hls/``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vitforge.vendor.tools import CLASSIC, UNIFIED

STEPS = ("csynth", "cosim", "ip", "bitstream")
VIVADO_STEPS = ("bitstream",)
WORK = "build/hls"  # of v++ and vitis-run, below vitis/
CLASSIC_PROJECT = "build/vitis_hls"
IP_REPOSITORY = "build/ip"
XSA = "build/vitforge.xsa"
OPTIONS_TCL = "build/options.tcl"  # what the Tcl script is to do: vitis-run passes no arguments on
_CONFIG = ("--config", "hls_config.cfg", "--work_dir", f"../vitis/{WORK}")


@dataclass(frozen=True)
class Command:
    """A command line; ``folder`` is where it runs, below the project."""

    program: str
    arguments: tuple[str, ...]
    folder: str = "vitis"

    def line(self) -> str:
        """For people and for make; no argument needs quotes."""
        return " ".join((self.program, *self.arguments))


_HLS = {
    UNIFIED: {
        "csynth": Command("v++", ("--compile", "--mode", "hls", *_CONFIG), "hls"),
        "cosim": Command("vitis-run", ("--mode", "hls", "--cosim", *_CONFIG), "hls"),
        "ip": Command("vitis-run", ("--mode", "hls", "--package", *_CONFIG), "hls"),
    },
    CLASSIC: {name: Command("vitis_hls", ("-f", "run_hls.tcl")) for name in ("csynth", "cosim", "ip")},
}
_BITSTREAM = Command("vivado", ("-mode", "batch", "-nojournal", "-nolog", "-source", "bitstream.tcl"))


def command_of(step: str, flow: str) -> Command:
    """The command line of ``step``."""
    return _BITSTREAM if step == "bitstream" else _HLS[flow][step]


def steps_until(last: str) -> tuple[str, ...]:
    """Those that ``last`` builds on, and itself. Cosimulation is no part of the way to an IP."""
    ways = {"csynth": ("csynth",), "cosim": ("csynth", "cosim"), "ip": ("csynth", "ip")}
    return ways.get(last, ("csynth", "ip", "bitstream"))
