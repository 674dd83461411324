# SPDX-License-Identifier: Apache-2.0
"""What the vendor tools read: the HLS config file, and a Makefile and Tcl script for C synthesis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitforge.codegen.environment import render
from vitforge.design.design import Design
from vitforge.design.registers import IP_LIBRARY, IP_VENDOR, IP_VERSION, TOP_NAME

DATA_FILES = (
    "data/blob.bin",
    "data/images.bin",
    "data/list_ln1.bin",
    "data/list_ln2.bin",
    "data/list_nmp.bin",
    "data/list_nsa.bin",
    "data/logits.bin",
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

    @classmethod
    def build(cls, design: Design) -> FlowContext:
        return cls(
            title=f"{design.name}: Vision Transformer accelerator for {design.board.title}",
            part=design.board.part,
            clock_mhz=f"{design.clock_mhz:g}",
            top=TOP_NAME,
            vlnv={"vendor": IP_VENDOR, "library": IP_LIBRARY, "name": TOP_NAME, "version": IP_VERSION},
            data_files=DATA_FILES,
        )


def vendor_files(design: Design) -> dict[str, bytes]:
    """``hls/hls_config.cfg`` and ``vitis/``, by path in the project."""
    flow = FlowContext.build(design)
    texts = {
        "hls/hls_config.cfg": render("vitis/hls_config.cfg.jinja", flow=flow),
        "vitis/run_hls.tcl": render("vitis/run_hls.tcl.jinja", flow=flow),
        "vitis/Makefile": render("vitis/Makefile.jinja", flow=flow),
    }
    return {name: text.encode() for name, text in texts.items()}
