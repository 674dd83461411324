# SPDX-License-Identifier: Apache-2.0
"""Resources of a sparse_matmul design: DSPs by construction, memories by aspect ratio, LUT and FF as a stated model."""

from __future__ import annotations

from vitforge.design.a3_resources import OVERLAY_FF, OVERLAY_LUT, STAGE_FF, STAGE_LUT
from vitforge.design.loops import BURST_BEATS, OUTSTANDING
from vitforge.design.memories import FETCH_FIFO_BEATS, Memory
from vitforge.design.resources import (
    CASCADE_FF,
    CASCADE_LUT,
    REQUANTIZE_FF,
    REQUANTIZE_LUT,
    UNIT_FF,
    UNIT_LUT,
    Resources,
    held_by,
    place_memories,
    shortfall,
)
from vitforge.design.sparse_matmul import LEFT_PARTS, MASKS_PER_BEAT, SparseMatmulDesign

WORD_FIFO_BEATS = 64  # activations that wait for the weights of the first column tile
RESULT_FIFO_BEATS = 32
_DMA_BEATS = 512  # buffer of a channel
_AXI_FLAGS = 2  # bits that travel with a beat
_STAGES = 2  # processes beside the fetcher, which counts as a unit


def sparse_matmul_dsp_rows(design: SparseMatmulDesign) -> dict[str, int]:
    """DSPs by construction: two tokens share one in the array; 27 x 17 bits take two DSP48E1."""
    wide = 2 if design.board.dsp_family == "dsp48e1" else 1
    return {"array": design.tt // 2 * design.tc * design.tk, "requantize": design.td * design.tc * wide}


def sparse_matmul_memories(design: SparseMatmulDesign) -> list[Memory]:
    """All memories, as the kernels declare and partition them."""
    beat, words = design.axi_bits, 2 * design.max_k_tiles
    left = Memory(
        name="left",
        banks=LEFT_PARTS * design.tt * (design.tk // design.tc),
        width_bits=8 * design.tc,
        depth=design.left_depth,
        may_be_uram=True,
    )
    picks = Memory(name="picks", banks=1, width_bits=2 * design.tc * design.tk, depth=words, is_distributed=True)

    def fifo(name: str, width: int, depth: int, copies: int = 1) -> Memory:
        return Memory(name=name, banks=1, width_bits=width, depth=depth, copies=copies, is_fifo=True)

    return [
        left,
        Memory(name="weights", banks=design.word_beats, width_bits=beat, depth=words),
        *([picks] if design.sparse else []),
        Memory(name="masks", banks=MASKS_PER_BEAT, width_bits=design.beat_bytes, depth=design.mask_beats),
        fifo("tiles", beat, FETCH_FIFO_BEATS),
        fifo("words", beat, WORD_FIFO_BEATS),
        fifo("results", beat + 8, RESULT_FIFO_BEATS),
        fifo("axi_reads", beat + _AXI_FLAGS, OUTSTANDING * BURST_BEATS),
        fifo("dma", beat + beat // 8 + 1, _DMA_BEATS, copies=2),
    ]


def _fabric(design: SparseMatmulDesign) -> tuple[int, int]:
    """LUT and FF of what DSPs and memories do not hold."""
    cascades = design.tt // 2 * design.tc
    drained, operands, beat = design.td * design.tc, 8 * design.tt * design.tk, design.axi_bits
    # A lane of a beat may go to any place of the window: a multiplexer of all lanes, a third of a LUT each.
    window = 2 * beat * design.beat_bytes // 3
    chosen = operands * (design.tc + 1) if design.sparse else operands  # of even or odd entry; of four activations
    choose_group = drained * 27 * (design.tt // design.td) // 3  # accumulators of the group that leaves
    lut = cascades * CASCADE_LUT + drained * REQUANTIZE_LUT + window + chosen + choose_group + beat
    ff = cascades * CASCADE_FF + drained * REQUANTIZE_FF + 3 * beat + 2 * operands
    return (
        lut + UNIT_LUT + _STAGES * STAGE_LUT + OVERLAY_LUT,
        ff + UNIT_FF + _STAGES * STAGE_FF + OVERLAY_FF,
    )


def sparse_matmul_resources(design: SparseMatmulDesign) -> Resources:
    """Resources of ``design`` on its board."""
    rows, items = sparse_matmul_dsp_rows(design), sparse_matmul_memories(design)
    placed = place_memories(design.board, items)
    lut, ff = _fabric(design)
    return Resources(
        dsp=sum(rows.values()),
        bram36=placed.bram36,
        uram=placed.uram,
        lut=lut + placed.lut,
        ff=ff,
        dsp_rows=rows,
        memory_rows={item.name: held_by(item, placed.bindings[item.name]) for item in items},
        bindings=placed.bindings,
    )


def fits(design: SparseMatmulDesign) -> bool:
    """Whether ``design`` keeps to the caps of its board."""
    return shortfall(design.board, sparse_matmul_resources(design)) is None
