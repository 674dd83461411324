# SPDX-License-Identifier: Apache-2.0
"""What the vendor tools read: the HLS config file, and a Makefile and Tcl script for C synthesis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vitforge.boards import Board
from vitforge.codegen.environment import render
from vitforge.design.registers import IP_LIBRARY, IP_VENDOR, IP_VERSION

_HLS = "hls/"  # the paths in the config file are relative to it


@dataclass(frozen=True, kw_only=True)
class FlowContext:
    """Context of the templates in `templates/vitis`."""

    title: str
    part: str
    clock_mhz: str
    top: str
    vlnv: Mapping[str, str]  # what names the IP in a catalogue
    data_files: Sequence[str]

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


def vendor_files(flow: FlowContext) -> dict[str, bytes]:
    """``hls/hls_config.cfg`` and ``vitis/``, by path in the project."""
    texts = {
        "hls/hls_config.cfg": render("vitis/hls_config.cfg.jinja", flow=flow),
        "vitis/run_hls.tcl": render("vitis/run_hls.tcl.jinja", flow=flow),
        "vitis/Makefile": render("vitis/Makefile.jinja", flow=flow),
    }
    return {name: text.encode() for name, text in texts.items()}
