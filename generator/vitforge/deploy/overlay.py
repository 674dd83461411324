# SPDX-License-Identifier: Apache-2.0
"""The overlay of a Vision Transformer for the simulated board: `.hwh`, a stub `.bit` and the simulation manifest."""

from __future__ import annotations

import json
from pathlib import Path

from vitforge.deploy.handoff import (
    OVERLAY_NAME,
    ModuleContext,
    instance_of,
    kernel_module,
    memory_port,
    render_handoff,
)
from vitforge.deploy.manifest import (
    board_names,
    kernel_entry,
    link_library,
    named_files,
    relative_to,
    render_manifest,
    write_files,
)
from vitforge.design.design import Design
from vitforge.design.identity import design_hash
from vitforge.design.registers import TOP_NAME, Register, bundles, register_map
from vitforge.timing.estimate import estimate
from vitforge_host.identity import VIT

__all__ = ["OVERLAY_NAME", "link_library", "overlay_files", "write_overlay"]
_LIST_ENTRY_BYTES = 16


def overlay_modules(design: Design) -> list[ModuleContext]:
    """The IPs of the overlay."""
    ports = tuple(memory_port(design.board, f"m_axi_{bundle.name}", bundle.hp_port) for bundle in bundles())
    return [kernel_module(design.board, TOP_NAME, register_map(), ports=ports)]


def overlay_files(design: Design, library: str | None = None) -> dict[str, bytes]:
    """Content of the overlay by file name; ``library`` is relative to its folder, None while there is none."""
    arguments = [_manifest_argument(register, design) for register in register_map()]
    entry = kernel_entry(library, arguments) | {"cycles": _modelled_cycles(design)}
    files = named_files(
        render_handoff(design.board, design.clock_mhz, overlay_modules(design)),
        render_manifest(instance_of(TOP_NAME), entry),
    )
    return files | {f"{OVERLAY_NAME}{VIT.suffix}": _identity(design).encode("utf-8")}


def _modelled_cycles(design: Design) -> dict[str, object]:
    """Cycles of a launch by the analytic model, for dense weights."""
    modelled = estimate(design)
    return {"times": "n_images", "first": modelled.latency_cycles, "each": modelled.cycles_per_image}


def _identity(design: Design) -> str:
    """``vitforge.vit.json``: what the driver compares with its blob before it touches the hardware."""
    return (
        json.dumps(
            {"kernel": VIT.name, **board_names(design.board), "design_hash": design_hash(design).hex()}, indent=2
        )
        + "\n"
    )


def write_overlay(directory: Path, design: Design, *, library: Path | None) -> None:
    """Write ``vitforge.hwh``, ``.bit``, ``.sim.json`` and ``.vit.json`` into ``directory``.

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
