# SPDX-License-Identifier: Apache-2.0
"""The overlay of a sparse_matmul accelerator for the simulated board, and what the driver must know."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from vitforge.codegen.sparse_matmul_bench import format_of
from vitforge.deploy.handoff import OVERLAY_NAME, ModuleContext, memory_port
from vitforge.deploy.manifest import board_names, relative_to, write_files
from vitforge.deploy.packet_overlay import Packets, packet_modules, packet_overlay_files
from vitforge.design.registers import Register
from vitforge.design.sparse_matmul import SPARSE_MATMUL_ARGUMENTS, SPARSE_MATMUL_TOP, SparseMatmulDesign
from vitforge_host.identity import SPARSE_MATMUL

_PACKETS = Packets(taken="activations", given="results", unless=("rows", 0))
_HP_PORT = 2  # behind the two of the DMA


def sparse_matmul_modules(design: SparseMatmulDesign) -> list[ModuleContext]:
    """The IPs of the overlay."""
    bundle = next(a.bundle for a in SPARSE_MATMUL_ARGUMENTS if a.kind == "ptr")
    ports = (memory_port(design.board, f"m_axi_{bundle}", _HP_PORT),)
    return packet_modules(design.board, SPARSE_MATMUL_TOP, design.registers, _PACKETS, ports)


def sparse_matmul_overlay_files(design: SparseMatmulDesign, library: str | None = None) -> dict[str, bytes]:
    """Content of the overlay by file name; ``library`` is relative to its folder, None while there is none."""
    arguments = [_manifest_argument(register, design) for register in design.registers]
    files = packet_overlay_files(
        design.board, design.clock_mhz, sparse_matmul_modules(design), arguments, _PACKETS, library
    )
    metadata = (
        json.dumps({"kernel": SPARSE_MATMUL.name, **board_names(design.board), **asdict(format_of(design))}, indent=2)
        + "\n"
    )
    return files | {f"{OVERLAY_NAME}{SPARSE_MATMUL.suffix}": metadata.encode("utf-8")}


def write_sparse_matmul_overlay(directory: Path, design: SparseMatmulDesign, *, library: Path | None) -> None:
    """Write the overlay into ``directory``, which is created if absent.

    library : csim shared library with ``vitforge_sim``; None leaves it to `link_library`
    Raises OutputError if a file cannot be written.
    """
    name = None if library is None else relative_to(library, directory)
    write_files(directory, sparse_matmul_overlay_files(design, name))


def _manifest_argument(register: Register, design: SparseMatmulDesign) -> dict[str, object]:
    entry: dict[str, object] = {"name": register.name, "kind": register.kind, "offset": register.offset}
    return entry | {"min_bytes": design.beat_bytes, "times": "matrix_beats"} if register.kind == "ptr" else entry
