# SPDX-License-Identifier: Apache-2.0
"""What the vendor tools read: the HLS config file, and a Makefile and Tcl script to build without vitforge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from vitforge.boards import Board
from vitforge.codegen.environment import render
from vitforge.deploy.block_design import BlockDesign
from vitforge.deploy.handoff import OVERLAY_NAME
from vitforge.design.registers import IP_LIBRARY, IP_VENDOR, IP_VERSION
from vitforge.vendor.steps import (
    CLASSIC_PROJECT,
    IP_REPOSITORY,
    OPTIONS_TCL,
    WORK,
    XSA,
    Command,
    command_of,
    steps_until,
)
from vitforge.vendor.tools import CLASSIC, UNIFIED

_HLS = "hls/"  # the paths in the config file are relative to it


@dataclass(frozen=True, kw_only=True)
class MakeStep:
    """A step of HLS as a target of make; ``after`` is the target that it builds on."""

    name: str
    after: str
    unified: Command
    classic: Command
    publishes: bool  # the IP

    @classmethod
    def of(cls, name: str) -> MakeStep:
        before = steps_until(name)[:-1]
        return cls(
            name=name,
            after="".join(f" build/{step}.done" for step in before),
            unified=command_of(name, UNIFIED),
            classic=command_of(name, CLASSIC),
            publishes=name == "ip",
        )


@dataclass(frozen=True, kw_only=True)
class FlowContext:
    """Context of the templates in `templates/vitis`."""

    title: str
    part: str
    clock_mhz: str
    top: str
    vlnv: Mapping[str, str]  # what names the IP in a catalogue
    data_files: Sequence[str]
    hls_steps: Sequence[MakeStep] = field(default_factory=lambda: [MakeStep.of(n) for n in ("csynth", "cosim", "ip")])
    bitstream: Command = command_of("bitstream", UNIFIED)
    unified: str = UNIFIED
    classic: str = CLASSIC
    options: str = OPTIONS_TCL
    ip_repository: str = IP_REPOSITORY
    work_folders: str = f"{WORK} {CLASSIC_PROJECT}"
    classic_name: str = PurePosixPath(CLASSIC_PROJECT).name
    xsa: str = XSA
    overlay: str = OVERLAY_NAME

    @classmethod
    def build(cls, *, title: str, board: Board, clock_mhz: float, top: str, hls: Iterable[str]) -> FlowContext:
        """hls : paths in the project of what the tools read; those below hls/data go to the test bench"""
        return cls(
            title=title,
            part=board.part,
            clock_mhz=f"{clock_mhz:g}",
            top=top,
            vlnv={"vendor": IP_VENDOR, "library": IP_LIBRARY, "name": top, "version": IP_VERSION},
            data_files=sorted(name.removeprefix(_HLS) for name in hls if name.startswith(f"{_HLS}data/")),
        )


def vendor_files(flow: FlowContext, block: BlockDesign | None) -> dict[str, bytes]:
    """``hls/hls_config.cfg`` and ``vitis/``, by path in the project; without a block design no way to a bitstream."""
    texts = {
        "hls/hls_config.cfg": render("vitis/hls_config.cfg.jinja", flow=flow),
        "vitis/run_hls.tcl": render("vitis/run_hls.tcl.jinja", flow=flow),
        "vitis/Makefile": render("vitis/Makefile.jinja", flow=flow),
    }
    if block is not None:
        for name in ("block_design.tcl", "bitstream.tcl"):
            texts[f"vitis/{name}"] = render(f"vitis/{name}.jinja", flow=flow, block=block)
    return {name: text.encode() for name, text in texts.items()}
