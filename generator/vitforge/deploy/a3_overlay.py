# SPDX-License-Identifier: Apache-2.0
"""The overlay of an A3 accelerator for the simulated board: the kernel, an AXI DMA, and what the driver must know."""

from __future__ import annotations

import json
from pathlib import Path

from vitforge.deploy.axi_dma import DMA_INSTANCE, LENGTH_BITS, dma_module
from vitforge.deploy.handoff import OVERLAY_NAME, StreamContext, instance_of, kernel_module, render_handoff
from vitforge.deploy.manifest import kernel_entry, named_files, relative_to, render_manifest, write_files
from vitforge.design.a3 import A3_TOP, OPERATIONS, A3Design

_INSTANCE = instance_of(A3_TOP)
_TO_KERNEL, _FROM_KERNEL = f"{DMA_INSTANCE}_M_AXIS_MM2S", f"{_INSTANCE}_results"  # streams, named after their source
_STREAM = {  # a run takes a packet, but one that only fills the identity registers
    "max_out_bytes": (1 << LENGTH_BITS) - 1,
    "packet_unless": {"argument": "op", "value": OPERATIONS["identify"]},
}


def a3_overlay_files(design: A3Design, library: str | None = None) -> dict[str, bytes]:
    """Content of the overlay by file name; ``library`` is relative to its folder, None while there is none."""
    board, registers = design.board, design.registers
    streams = (
        StreamContext(name="queries", kind="TARGET", bus=_TO_KERNEL, data_bits=design.axi_bits),
        StreamContext(name="results", kind="INITIATOR", bus=_FROM_KERNEL, data_bits=design.axi_bits),
    )
    kernel = kernel_module(board, A3_TOP, registers, streams=streams)
    dma = dma_module(board, 1, to_kernel=_TO_KERNEL, from_kernel=_FROM_KERNEL)
    arguments = [{"name": r.name, "kind": r.kind, "offset": r.offset} for r in registers]
    connections = [(DMA_INSTANCE, _INSTANCE), (_INSTANCE, DMA_INSTANCE)]
    files = named_files(
        render_handoff(board, design.clock_mhz, [kernel, dma]),
        render_manifest(_INSTANCE, kernel_entry(library, arguments, _STREAM), connections),
    )
    return files | {f"{OVERLAY_NAME}.a3.json": _metadata(design).encode("utf-8")}


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
        "kernel": "a3",
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
