# SPDX-License-Identifier: Apache-2.0
"""The overlay of a Vision Transformer for the simulated board: `.hwh`, a stub `.bit` and the simulation manifest."""

from __future__ import annotations

from pathlib import Path

from vitforge.deploy.handoff import OVERLAY_NAME, instance_of, kernel_module, memory_port, render_handoff
from vitforge.deploy.manifest import (
    kernel_entry,
    link_library,
    named_files,
    relative_to,
    render_manifest,
    write_files,
)
from vitforge.design.design import Design
from vitforge.design.registers import TOP_NAME, Register, bundles, register_map

__all__ = ["OVERLAY_NAME", "link_library", "overlay_files", "write_overlay"]
_LIST_ENTRY_BYTES = 16


def overlay_files(design: Design, library: str | None = None) -> dict[str, bytes]:
    """Content of the overlay by file name; ``library`` is relative to its folder, None while there is none."""
    registers = register_map()
    ports = tuple(memory_port(design.board, f"m_axi_{bundle.name}", bundle.hp_port) for bundle in bundles())
    kernel = kernel_module(design.board, TOP_NAME, registers, ports=ports)
    arguments = [_manifest_argument(register, design) for register in registers]
    return named_files(
        render_handoff(design.board, design.clock_mhz, [kernel]),
        render_manifest(instance_of(TOP_NAME), kernel_entry(library, arguments)),
    )


def write_overlay(directory: Path, design: Design, *, library: Path | None) -> None:
    """Write ``vitforge.hwh``, ``vitforge.bit`` and ``vitforge.sim.json`` into ``directory``.

    Parameters
    ----------
    directory : Path
        Created if absent.
    design : Design
    library : Path or None
        Csim shared library with ``vitforge_sim``; None leaves it to `link_library`.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    write_files(directory, overlay_files(design, None if library is None else relative_to(library, directory)))


def _manifest_argument(register: Register, design: Design) -> dict[str, object]:
    entry: dict[str, object] = {"name": register.name, "kind": register.kind, "offset": register.offset}
    if register.name == "images":
        entry |= {"min_bytes": design.image_beats * design.beat_bytes, "times": "n_images"}
    elif register.name == "logits":
        entry |= {"min_bytes": design.result_words * 4, "times": "n_images"}
    elif register.name.startswith("list_"):
        entry["min_bytes"] = _LIST_ENTRY_BYTES
    return entry
