# SPDX-License-Identifier: Apache-2.0
"""The sources of a sparse_matmul project: one context a template, every number read from `SparseMatmulDesign`."""

from __future__ import annotations

from dataclasses import dataclass

from vitforge.codegen.engines import DSP_POLICY, ConstantField, constants
from vitforge.codegen.environment import render
from vitforge.codegen.identity import IdentityContext, namespace
from vitforge.codegen.project import kernel_headers
from vitforge.codegen.sparse_matmul_bench import BenchData, bench_data
from vitforge.codegen.storage import OverlayStorageContext
from vitforge.design.geometry import ceil_div
from vitforge.design.loops import BURST_BEATS, OUTSTANDING
from vitforge.design.memories import FETCH_FIFO_BEATS
from vitforge.design.registers import SIM_SYMBOL
from vitforge.design.sparse_matmul import (
    HEADER_BYTES,
    LEFT_PARTS,
    SETTLE_CYCLES,
    SPARSE_MATMUL_ARGUMENTS,
    SPARSE_MATMUL_MAGIC,
    SPARSE_MATMUL_TOP,
    SPARSE_MATMUL_VERSION,
    SparseMatmulDesign,
)
from vitforge.design.sparse_matmul_resources import WORD_FIFO_BEATS, sparse_matmul_memories

Files = dict[str, bytes]
COMMON_HEADERS = (  # of the other kernels that these use too
    *("dsp_pack.hpp", "fetch.hpp", "ints.hpp", "job.hpp", "keep_mask.hpp", "mac_array.hpp", "axis/packet.hpp"),
    *("requantize.hpp", "trace.hpp", "weight_tile.hpp"),
)


@dataclass(frozen=True, kw_only=True)
class ConfigContext:
    """sparse_matmul_config.hpp"""

    identity: IdentityContext
    dsp: str
    fields: list[ConstantField]
    matrix_depth: int

    @classmethod
    def build(cls, design: SparseMatmulDesign) -> ConfigContext:
        return cls(
            identity=IdentityContext.build(design.name, design.hash, SPARSE_MATMUL_MAGIC, SPARSE_MATMUL_VERSION),
            dsp=DSP_POLICY[design.board.dsp_family],
            fields=constants(_fields(design)),
            matrix_depth=matrix_beats(design),
        )


def matrix_beats(design: SparseMatmulDesign) -> int:
    """Of the largest matrix record."""
    return design.head_beats + design.column_tiles * design.tile_beats


def _fields(design: SparseMatmulDesign) -> list[tuple[str, int, str]]:
    return [
        ("tt", design.tt, "tokens a cycle"),
        ("tc", design.tc, "output columns a cycle"),
        ("tk", design.tk, "reduction lanes a cycle = DSP cascade"),
        ("td", design.td, "tokens that leave in a cycle"),
        ("groups", design.tk // design.tc, "column tiles in an activation entry"),
        ("beat_bits", design.axi_bits, "of the streams and the m_axi port"),
        ("beat_bytes", design.beat_bytes, ""),
        ("sparse", int(design.sparse), "1: 2:4 weights too, two k tiles a step"),
        ("left_parts", LEFT_PARTS, "memories that entries go to by turns"),
        ("left_depth", design.left_depth, "entries of each, of two blocks"),
        ("block_rows", design.block_rows, "multiplied at a time"),
        ("mask_beats", design.mask_beats, "of the keep mask of the longest row"),
        ("max_k_tiles", design.max_k_tiles, "of a weight column tile"),
        ("settle_cycles", SETTLE_CYCLES, "from the last weight of a tile to the first step that may read it"),
        ("max_arrivals", design.block_rows * (design.row_beats + 1), "cycles in which a block arrives"),
        ("max_cycles", design.max_cycles, "of the array in a block"),
    ]


@dataclass(frozen=True, kw_only=True)
class TopContext:
    """The top function and the flat C interface."""

    title: str
    name: str
    symbol: str
    namespace: str
    pointers: list[str]
    inputs: list[str]
    outputs: list[str]
    cycles_index: int  # among the arguments that are no pointers
    bundle: str
    matrix_depth: int
    port_options: str
    order_depth: int
    tile_depth: int
    word_depth: int

    @classmethod
    def build(cls, design: SparseMatmulDesign) -> TopContext:
        def named(kind: str) -> list[str]:
            return [a.name for a in SPARSE_MATMUL_ARGUMENTS if a.kind == kind]

        return cls(
            title=f"{design.name}: sparse matrix product for {design.board.title}",
            name=SPARSE_MATMUL_TOP,
            symbol=SIM_SYMBOL,
            namespace=namespace(design.name, design.hash),
            pointers=named("ptr"),
            inputs=named("i32"),
            outputs=named("out32"),
            cycles_index=[*named("i32"), *named("out32")].index("cycles"),
            bundle=next(a.bundle for a in SPARSE_MATMUL_ARGUMENTS if a.kind == "ptr"),
            matrix_depth=matrix_beats(design),
            port_options=f"max_read_burst_length={BURST_BEATS} num_read_outstanding={OUTSTANDING}",
            order_depth=ceil_div(HEADER_BYTES, design.beat_bytes),
            tile_depth=FETCH_FIFO_BEATS,
            word_depth=WORD_FIFO_BEATS,
        )


def sparse_matmul_hls_files(design: SparseMatmulDesign) -> Files:
    """Everything below hls/ but the config file of the tools: kernels, configuration, top, test bench and its data."""
    top, bench, folder = TopContext.build(design), bench_data(design), "hls/sparse_matmul"
    memories = sparse_matmul_memories(design)
    storage = OverlayStorageContext.build(design.board, memories, ("left", "weights"), "VITFORGE_BIND")
    texts = {
        "include/sparse_matmul_config.hpp": render(
            f"{folder}/sparse_matmul_config.hpp.jinja", config=ConfigContext.build(design)
        ),
        "include/vitforge/sparse_matmul/storage.hpp": render(f"{folder}/storage.hpp.jinja", storage=storage),
        f"src/{SPARSE_MATMUL_TOP}.cpp": render(f"{folder}/top.cpp.jinja", top=top),
        "tb/csim_api.cpp": render(f"{folder}/csim_api.cpp.jinja", top=top),
        "tb/tb_main.cpp": render(f"{folder}/tb_main.cpp.jinja", top=top, bench=bench),
    }
    files = {f"hls/{name}": text.encode() for name, text in texts.items()}
    return files | kernel_headers("sparse_matmul", COMMON_HEADERS) | _data_files(bench)


def _data_files(bench: BenchData) -> Files:
    files = {"hls/data/activations.bin": bench.activations}
    for launch in bench.launches:
        files[f"hls/data/{launch.name}_matrix.bin"] = launch.matrix
        files[f"hls/data/{launch.name}_results.bin"] = launch.results
    return files
