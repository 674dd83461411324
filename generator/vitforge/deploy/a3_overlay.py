# SPDX-License-Identifier: Apache-2.0
"""The overlay of an A3 accelerator for the simulated board: the kernel, an AXI DMA, and what the driver must know."""

from __future__ import annotations

import json
from pathlib import Path

from vitforge.deploy.handoff import OVERLAY_NAME, ModuleContext
from vitforge.deploy.manifest import board_names, relative_to, write_files
from vitforge.deploy.packet_overlay import Packets, packet_modules, packet_overlay_files
from vitforge.design.a3 import A3_TOP, OPERATIONS, A3Design
from vitforge_host.identity import A3

_PACKETS = Packets(taken="queries", given="results", unless=("op", OPERATIONS["identify"]))


def a3_modules(design: A3Design) -> list[ModuleContext]:
    """The IPs of the overlay."""
    return packet_modules(design.board, A3_TOP, design.registers, _PACKETS)


def a3_overlay_files(design: A3Design, library: str | None = None) -> dict[str, bytes]:
    """Content of the overlay by file name; ``library`` is relative to its folder, None while there is none."""
    arguments = [{"name": r.name, "kind": r.kind, "offset": r.offset} for r in design.registers]
    files = packet_overlay_files(design.board, design.clock_mhz, a3_modules(design), arguments, _PACKETS, library)
    return files | {f"{OVERLAY_NAME}{A3.suffix}": _metadata(design).encode("utf-8")}


def write_a3_overlay(directory: Path, design: A3Design, *, library: Path | None) -> None:
    """Write the overlay into ``directory``, which is created if absent.

    library : csim shared library with ``vitforge_sim``; None leaves it to `link_library`
    Raises OutputError if a file cannot be written.
    """
    write_files(directory, a3_overlay_files(design, None if library is None else relative_to(library, directory)))


def _metadata(design: A3Design) -> str:
    """``vitforge.a3.json``: sizes and formats for the driver, which checks that they are those of the bitstream."""
    numbers = design.numbers
    content = {
        "kernel": A3.name,
        **board_names(design.board),
        "n_max": design.n_max,
        "d_max": design.d_max,
        "m_max": design.m_max,
        "units": design.units,
        "approximate": design.approximate,
        "integer_bits": numbers.integer_bits,
        "fraction_bits": numbers.fraction_bits,
        "policy": numbers.policy,
        "element_bytes": design.element_bytes,
        "beat_bytes": design.beat_bytes,
        "result_bytes": numbers.result_bytes,
        "result_fraction": numbers.result_fraction,
        "design_hash": design.hash.hex(),
    }
    return json.dumps(content, indent=2) + "\n"
