# SPDX-License-Identifier: Apache-2.0
"""Every on-chip memory of a design, as the kernels declare and partition it, and the primitives that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry, ceil_div
from vitforge.design.loops import BURST_BEATS, OUTSTANDING

# Aspect ratios of half a block RAM (18 Kib), simple dual port: (depth, width).
BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
DUAL_READ_SHAPES = BRAM18_SHAPES[1:]  # true dual port, for two addresses to read
URAM_DEPTH, URAM_WIDTH = 4096, 72
LUTRAM_DEPTH = 64  # a bank no deeper than this goes to distributed RAM
LUTRAM_BITS = 1024  # and so does any bank this small
# Eight LUTs hold 64 x 7 bits (RAM64M8) or 32 x 14 (RAM32M16), a port to write, a port to read: (depth, bits).
_LUTRAM_SHAPES, _LUTS_PER_GROUP = ((64, 7), (32, 14)), 8
FETCH_FIFO_BEATS = 64  # per unit: covers one DDR latency at the rate of a weight stream
# Around a resident store: what it takes and what leaves; entries of the last column tiles of a section, so that those
# of the next one are read under their products.
RESIDENT_FIFO_BEATS, RESIDENT_FIFO_ENTRIES = 16, 32
COMMAND_BITS, MERGE_BITS = 96, 64  # of what its processes tell each other (vitforge/resident.hpp)

# What an m_axi adapter buffers: outstanding bursts times the beats of one (`codegen.context`, options of the ports).
AXI_READ_BEATS, AXI_WRITE_BEATS = OUTSTANDING * BURST_BEATS, 16 * 16
_AXI_PORTS = 4  # that read; one more writes logits, 32 bits wide
_AXI_FLAGS = 2  # bits that travel with a beat


@lru_cache(maxsize=1 << 14)
def _bank_bram18(width_bits: int, depth: int, reads: int = 1) -> int:
    shapes = BRAM18_SHAPES if reads == 1 else DUAL_READ_SHAPES
    return min(ceil_div(width_bits, width) * ceil_div(depth, rows) for rows, width in shapes)


@lru_cache(maxsize=1 << 14)
def _bank_luts(width_bits: int, depth: int) -> int:
    def luts(rows: int, bits: int) -> int:
        groups = ceil_div(depth, rows)
        return ceil_div(width_bits, bits) * groups * _LUTS_PER_GROUP + width_bits * ceil_div(groups - 1, 3)

    return min(luts(rows, bits) for rows, bits in _LUTRAM_SHAPES)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """``copies`` times ``banks`` memories of ``depth`` words of ``width_bits``.

    A copy is an array of its own in the kernels (the halves of a ping-pong, the four residuals), so each can lie in
    another primitive. A bank is an array partition.
    """

    name: str
    banks: int
    width_bits: int
    depth: int
    copies: int = 1
    reads: int = 1  # addresses of a bank in a cycle; two take true dual ports, which distributed RAM has not
    may_be_uram: bool = False
    is_distributed: bool = False  # the kernels ask for distributed RAM
    is_uram: bool = False  # the kernels ask for ultra RAM
    is_fifo: bool = False  # a stream or an adapter's buffer: the tool chooses its primitive

    @property
    def is_lutram(self) -> bool:
        if self.is_distributed or self.is_uram or self.reads > 1:
            return self.is_distributed
        return self.depth <= LUTRAM_DEPTH or self.depth * self.width_bits <= LUTRAM_BITS

    @property
    def luts(self) -> int:
        """LUTs of one copy as distributed RAM: 64-deep groups, and the multiplexer behind them (4 to 1 in a LUT)."""
        return self.banks * _bank_luts(self.width_bits, self.depth)

    @property
    def bram18(self) -> int:
        """Half block RAMs of one copy, each bank in the aspect ratio that needs fewest."""
        return self.banks * _bank_bram18(self.width_bits, self.depth, self.reads)

    @property
    def uram(self) -> int:
        """Ultra RAMs of one copy."""
        return self.banks * ceil_div(self.width_bits, URAM_WIDTH) * ceil_div(self.depth, URAM_DEPTH)


def _engine_memories(design: Design, name: str, engine: EngineGeometry, max_k_tiles: int) -> list[Memory]:
    f = design.folding
    return [
        Memory(
            name=f"{name}_left",
            banks=engine.tt * (f.tk // f.tc) * design.left_parts,
            width_bits=8 * f.tc,
            depth=ceil_div(engine.left_depth, design.left_parts),
            may_be_uram=True,
        ),
        Memory(
            name=f"{name}_weight_tiles",
            banks=8 * f.tc * f.tk // design.axi_bits,
            width_bits=design.axi_bits,
            depth=2 * max_k_tiles,
        ),
        *_pick_memory(design, name, max_k_tiles),
        Memory(name=f"{name}_norm_values", banks=1, width_bits=16 * f.tc, depth=design.norm_fifo_depth, is_fifo=True),
        Memory(name=f"{name}_norm_records", banks=f.tc, width_bits=49, depth=design.channel_tiles),
    ]


def _pick_memory(design: Design, name: str, max_k_tiles: int) -> list[Memory]:
    """Places of 2:4 weights, beside the weight tiles."""
    f = design.folding
    bits, depth = 2 * f.tc * f.tk, 2 * max_k_tiles
    memory = Memory(name=f"{name}_picks", banks=1, width_bits=bits, depth=depth, is_distributed=True)
    return [memory] if f.sparse else []


def _attention_memories(design: Design) -> list[Memory]:
    f, nsa = design.folding, design.nsa
    groups, word = f.tk // f.tc, 8 * f.tc
    return [
        Memory(name="key", banks=design.key_banks * groups, width_bits=word, depth=design.key_depth, may_be_uram=True),
        Memory(name="value", banks=design.value_banks, width_bits=word, depth=design.value_depth, may_be_uram=True),
        Memory(
            name="attention",
            banks=nsa.tt * groups,
            width_bits=word,
            depth=design.attention_depth,
            copies=2,
            may_be_uram=True,
        ),
        Memory(name="reciprocals", banks=nsa.td, width_bits=32, depth=nsa.token_tiles * nsa.drain_groups, copies=2),
        Memory(name="scores", banks=2, width_bits=16 * f.tc * nsa.td, depth=design.key_columns * nsa.drain_groups),
    ]


def _interface_memories(design: Design) -> list[Memory]:
    bits = design.axi_bits
    return [
        Memory(name="fetch", banks=1, width_bits=bits, depth=FETCH_FIFO_BEATS, copies=4, is_fifo=True),
        Memory(
            name="axi_reads",
            banks=1,
            width_bits=bits + _AXI_FLAGS,
            depth=AXI_READ_BEATS,
            copies=_AXI_PORTS,
            is_fifo=True,
        ),
        Memory(name="axi_writes", banks=1, width_bits=32 + _AXI_FLAGS, depth=AXI_WRITE_BEATS, is_fifo=True),
    ]


def _resident_memories(design: Design) -> list[Memory]:
    """Stores of what the weight streams repeat, and the FIFOs around them."""
    stores = [
        Memory(name=f"{array}_resident", banks=1, width_bits=design.entry_bits, depth=entries, is_uram=True)
        for array, entries in design.resident_entries.items()
        if entries
    ]
    fifos = (
        ("resident_kept", design.axi_bits, RESIDENT_FIFO_BEATS),
        ("resident_entries", design.entry_bits, RESIDENT_FIFO_ENTRIES),
        ("resident_beats", design.axi_bits, RESIDENT_FIFO_BEATS),
    )
    return stores + [
        Memory(name=name, banks=1, width_bits=bits, depth=depth, copies=len(stores), is_fifo=True)
        for name, bits, depth in fifos
        if stores
    ]


def memories(design: Design) -> list[Memory]:
    """All memories of both engines and between them."""
    f = design.folding
    return [
        *_engine_memories(design, "nsa", design.nsa, design.max_k_tiles_nsa),
        *_engine_memories(design, "nmp", design.nmp, design.max_k_tiles_nmp),
        Memory(
            name="nmp_gelu",
            banks=design.nmp.td * f.tc * design.beat_bytes,
            width_bits=8,
            depth=256 // design.beat_bytes,
        ),
        *_attention_memories(design),
        Memory(
            name="residual",
            banks=f.tc if f.lane_banks else 1,
            width_bits=16 * f.tr * (1 if f.lane_banks else f.tc),
            depth=design.residual_depth,
            copies=4,
            may_be_uram=True,
        ),
        *_interface_memories(design),
        *_resident_memories(design),
    ]
