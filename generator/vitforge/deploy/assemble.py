# SPDX-License-Identifier: Apache-2.0
"""What the projects of all kernels have: driver, vendor flow, reports and project file beside the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitforge.boards import Board
from vitforge.codegen.project import Files, host_files, project_file, report_files
from vitforge.codegen.vendor import FlowContext, vendor_files
from vitforge.deploy.block_design import block_design
from vitforge.deploy.handoff import ModuleContext


@dataclass(frozen=True, kw_only=True)
class Parts:
    """In what projects differ.

    title : what it is, without its name and board
    digest : hash of the design
    hls : sources, test bench and its data, by path in the project
    overlay : files of the overlay, by name
    modules : IPs of the overlay
    reports : content of the files in report/, by name
    design : its plain data
    """

    kernel: str
    name: str
    title: str
    board: Board
    clock_mhz: float
    top: str
    digest: bytes
    hls: Files
    overlay: Files
    modules: Sequence[ModuleContext]
    reports: Mapping[str, object]
    design: Mapping[str, object]


def assemble(parts: Parts, settings: Mapping[str, object]) -> Files:
    """Files by path in the project; those of one kernel alone (weights, notebooks) come beside them."""
    flow = FlowContext.build(
        title=f"{parts.name}: {parts.title} for {parts.board.title}",
        board=parts.board,
        clock_mhz=parts.clock_mhz,
        top=parts.top,
        hls=parts.hls,
    )
    return (
        parts.hls
        | {f"overlay/{name}": data for name, data in parts.overlay.items()}
        | host_files()
        | vendor_files(flow, block_design(parts.board, parts.clock_mhz, parts.modules))
        | report_files(parts.reports)
        | {"project.json": project_file(parts.kernel, parts.digest, parts.design, settings)}
    )
