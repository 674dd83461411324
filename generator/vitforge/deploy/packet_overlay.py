# SPDX-License-Identifier: Apache-2.0
"""An overlay of one kernel that works on packets, and an AXI DMA, for the simulated board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitforge.boards import Board
from vitforge.deploy.axi_dma import DMA_INSTANCE, LENGTH_BITS, dma_module
from vitforge.deploy.handoff import (
    ModuleContext,
    PortContext,
    StreamContext,
    instance_of,
    kernel_module,
    render_handoff,
)
from vitforge.deploy.manifest import kernel_entry, named_files, render_manifest
from vitforge.design.registers import Register


@dataclass(frozen=True)
class Packets:
    """Streams of a kernel, taken and given; ``unless`` is (argument, value) with which a run takes no packet."""

    taken: str
    given: str
    unless: tuple[str, int]


def packet_modules(
    board: Board,
    top: str,
    registers: tuple[Register, ...],
    packets: Packets,
    ports: tuple[PortContext, ...] = (),
) -> list[ModuleContext]:
    """The IPs of the overlay: the kernel, and the DMA on its streams."""
    to_kernel, from_kernel = f"{DMA_INSTANCE}_M_AXIS_MM2S", f"{instance_of(top)}_{packets.given}"  # after their source
    streams = (
        StreamContext(name=packets.taken, kind="TARGET", bus=to_kernel, data_bits=board.axi_bits),
        StreamContext(name=packets.given, kind="INITIATOR", bus=from_kernel, data_bits=board.axi_bits),
    )
    kernel = kernel_module(board, top, registers, ports=ports, streams=streams)
    return [kernel, dma_module(board, 1, to_kernel=to_kernel, from_kernel=from_kernel)]


def packet_overlay_files(
    board: Board,
    clock_mhz: float,
    modules: Sequence[ModuleContext],
    arguments: Sequence[Mapping[str, object]],
    packets: Packets,
    library: str | None,
) -> dict[str, bytes]:
    """``vitforge.hwh``, ``.bit`` and ``.sim.json`` by name; ``arguments`` are those of the simulation manifest."""
    kernel_name = modules[0].instance
    argument, value = packets.unless
    stream = {
        "max_out_bytes": (1 << LENGTH_BITS) - 1,
        "packet_unless": {"argument": argument, "value": value},
    }
    connections = [(DMA_INSTANCE, kernel_name), (kernel_name, DMA_INSTANCE)]
    return named_files(
        render_handoff(board, clock_mhz, modules),
        render_manifest(kernel_name, kernel_entry(library, arguments, stream), connections),
    )
