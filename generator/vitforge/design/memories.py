# SPDX-License-Identifier: Apache-2.0
"""Every on-chip memory of a design, as the kernels declare and partition it, and the primitives that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry, ceil_div

# Aspect ratios of half a block RAM (18 Kib), simple dual port: (depth, width).
BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
URAM_DEPTH, URAM_WIDTH = 4096, 72
LUTRAM_DEPTH = 64  # a bank no deeper than this goes to distributed RAM
LUTRAM_BITS = 1024  # and so does any bank this small
_LUTRAM_BITS_PER_GROUP, _LUTS_PER_GROUP = 7, 8  # RAM64M8: eight LUTs hold 64 x 7 bits, one port to write, one to read
FETCH_FIFO_BEATS = 64  # per unit: covers one DDR latency at the rate of a weight stream


# What an m_axi adapter buffers: outstanding bursts times the beats of one (`codegen.context`, options of the ports).
AXI_READ_BEATS, AXI_WRITE_BEATS = 8 * 64, 16 * 16
_AXI_PORTS = 4  # that read; one more writes logits, 32 bits wide
_AXI_FLAGS = 2  # bits that travel with a beat


@lru_cache(maxsize=1 << 14)
def _bank_bram18(width_bits: int, depth: int) -> int:
    return min(ceil_div(width_bits, width) * ceil_div(depth, rows) for rows, width in BRAM18_SHAPES)


@lru_cache(maxsize=1 << 14)
def _bank_luts(width_bits: int, depth: int) -> int:
    rows = ceil_div(depth, 64)
    select = width_bits * ceil_div(rows - 1, 3)
    return ceil_div(width_bits, _LUTRAM_BITS_PER_GROUP) * rows * _LUTS_PER_GROUP + select


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
    may_be_uram: bool = False
    is_fifo: bool = False  # a stream or an adapter's buffer: the tool chooses its primitive

    @property
    def is_lutram(self) -> bool:
        return self.depth <= LUTRAM_DEPTH or self.depth * self.width_bits <= LUTRAM_BITS

    @property
    def luts(self) -> int:
        """LUTs of one copy as distributed RAM: 64-deep groups, and the multiplexer behind them (4 to 1 in a LUT)."""
        return self.banks * _bank_luts(self.width_bits, self.depth)

    @property
    def bram18(self) -> int:
        """Half block RAMs of one copy, each bank in the aspect ratio that needs fewest."""
        return self.banks * _bank_bram18(self.width_bits, self.depth)

    @property
    def uram(self) -> int:
        """Ultra RAMs of one copy."""
        return self.banks * ceil_div(self.width_bits, URAM_WIDTH) * ceil_div(self.depth, URAM_DEPTH)


def _engine_memories(design: Design, name: str, engine: EngineGeometry, max_k_tiles: int) -> list[Memory]:
    f = design.folding
    banks, width = engine.tt * (f.tk // f.tc), 8 * f.tc
    return [
        Memory(name=f"{name}_xn", banks=banks, width_bits=width, depth=engine.xn_depth, copies=2, may_be_uram=True),
        Memory(name=f"{name}_scratch", banks=banks, width_bits=width, depth=engine.scratch_depth, may_be_uram=True),
        Memory(
            name=f"{name}_weight_tiles",
            banks=8 * f.tc * f.tk // design.axi_bits,
            width_bits=design.axi_bits,
            depth=max_k_tiles,
            copies=2,
        ),
        Memory(name=f"{name}_gelu", banks=f.td * f.tc, width_bits=8, depth=256),
        Memory(
            name=f"{name}_norm_values", banks=1, width_bits=16 * f.lt * f.tc, depth=design.norm_fifo_depth, is_fifo=True
        ),
        Memory(name=f"{name}_norm_records", banks=f.tc, width_bits=50, depth=design.channel_tiles),
    ]


def memories(design: Design) -> list[Memory]:
    """All memories of both engines and between them."""
    f, nsa = design.folding, design.nsa
    groups, word = f.tk // f.tc, 16 * f.tc
    attention = [
        Memory(
            name="key", banks=design.key_banks * groups, width_bits=8 * f.tc, depth=design.key_depth, may_be_uram=True
        ),
        Memory(name="value", banks=design.value_banks, width_bits=8 * f.tc, depth=design.value_depth, may_be_uram=True),
        Memory(
            name="weights",
            banks=nsa.tt * groups,
            width_bits=8 * f.tc,
            depth=design.weights_depth,
            copies=2,
            may_be_uram=True,
        ),
        Memory(name="reciprocals", banks=f.td, width_bits=32, depth=nsa.token_tiles * nsa.drain_groups, copies=2),
        Memory(name="scores", banks=1, width_bits=word * f.td, depth=design.key_columns * nsa.drain_groups, copies=2),
    ]
    between = [
        Memory(name="residual", banks=f.td, width_bits=word, depth=design.residual_depth, copies=4, may_be_uram=True),
        Memory(
            name="nsa_branch", banks=f.td, width_bits=word, depth=design.branch_nsa_depth, copies=2, may_be_uram=True
        ),
        Memory(
            name="nmp_branch", banks=f.td, width_bits=word, depth=design.branch_nmp_depth, copies=2, may_be_uram=True
        ),
        Memory(name="fetch", banks=1, width_bits=design.axi_bits, depth=FETCH_FIFO_BEATS, copies=4, is_fifo=True),
        Memory(
            name="axi_reads",
            banks=1,
            width_bits=design.axi_bits + _AXI_FLAGS,
            depth=AXI_READ_BEATS,
            copies=_AXI_PORTS,
            is_fifo=True,
        ),
        Memory(name="axi_writes", banks=1, width_bits=32 + _AXI_FLAGS, depth=AXI_WRITE_BEATS, is_fifo=True),
    ]
    return [
        *_engine_memories(design, "nsa", nsa, design.max_k_tiles_nsa),
        *_engine_memories(design, "nmp", design.nmp, design.max_k_tiles_nmp),
        *attention,
        *between,
    ]
