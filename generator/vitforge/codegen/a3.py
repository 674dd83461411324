# SPDX-License-Identifier: Apache-2.0
"""The sources of an A3 project: one context a template, every number read from `A3Design`."""

from __future__ import annotations

from dataclasses import dataclass

from vitforge.codegen.a3_bench import BenchData, bench_data
from vitforge.codegen.engines import ConstantField, constants
from vitforge.codegen.environment import render
from vitforge.codegen.identity import IdentityContext, namespace
from vitforge.codegen.project import kernel_headers
from vitforge.codegen.storage import OverlayStorageContext
from vitforge.design.a3 import A3_ARGUMENTS, A3_MAGIC, A3_TOP, A3_VERSION, DSP_LANES, A3Design
from vitforge.design.a3_memories import SHORT, UNIT_BEATS, UNIT_QUERIES, a3_fifo_depths, a3_memories, outcome_bits
from vitforge.design.registers import SIM_SYMBOL

Files = dict[str, bytes]
COMMON_HEADERS = ("divide.hpp", "ints.hpp", "axis/packet.hpp", "trace.hpp")  # of the ViT kernels that these use too


@dataclass(frozen=True, kw_only=True)
class TablesContext:
    """tables.hpp"""

    high: tuple[int, ...]
    low: tuple[int, ...]
    shift: int
    fraction_bits: int
    entry_bits: int

    @classmethod
    def build(cls, design: A3Design) -> TablesContext:
        numbers = design.numbers
        high, low = numbers.exp_tables
        entry_bits = max(*high, *low).bit_length() + 1  # exp(0) is 1.0, a bit above the fraction
        return cls(
            high=high, low=low, shift=numbers.exp_shift, fraction_bits=numbers.exp_fraction, entry_bits=entry_bits
        )


@dataclass(frozen=True, kw_only=True)
class ConfigContext:
    """a3_config.hpp"""

    identity: IdentityContext
    widest: int
    deferred: str  # C++ literal
    approximate: str
    fields: list[ConstantField]

    @classmethod
    def build(cls, design: A3Design) -> ConfigContext:
        return cls(
            identity=IdentityContext.build(design.name, design.hash, A3_MAGIC, A3_VERSION),
            widest=max(1024, design.width * design.acc_bits, outcome_bits(design)),
            deferred="true" if design.numbers.is_deferred else "false",
            approximate="true" if design.approximate else "false",
            fields=constants(_shape_fields(design) + _number_fields(design)),
        )


def _shape_fields(design: A3Design) -> list[tuple[str, int, str]]:
    return [
        ("units", design.units, ""),
        ("n_max", design.n_max, "rows of key and value"),
        ("width", design.width, "elements of a row in a cycle"),
        ("row_words", design.row_words, "cycles of the longest row"),
        ("columns", design.columns, "of the sorted key"),
        ("groups", design.columns // design.per_beat, "of columns, as many as a beat has elements"),
        ("group_words", design.group_words, "of 16 rows"),
        ("beat_bits", design.axi_bits, "width of the streams"),
        ("beat_bytes", design.beat_bytes, ""),
        ("element_bits", 8 * design.element_bytes, "of an element in a packet"),
        ("per_beat", design.per_beat, "elements of a beat"),
        ("sorted_per_beat", design.sorted_per_beat, "entries of the sorted key in a beat"),
        ("result_per_beat", design.result_per_beat, ""),
        ("word_bits", design.word_bits, "a word of a row"),
    ]


def _number_fields(design: A3Design) -> list[tuple[str, int, str]]:
    numbers = design.numbers
    lane_shift, port_bits = DSP_LANES[design.board.dsp_family]
    return [
        ("code_bits", numbers.code_bits, "query, key and value, signed"),
        ("row_bits", design.row_bits, "a row number"),
        ("product_bits", design.product_bits, "query x key, signed"),
        ("dot_bits", design.dot_bits, "dot product, signed; a distance of two, unsigned"),
        ("total_bits", design.total_bits, "sum of the products that selection accepts, signed"),
        ("score_bits", numbers.score_bits, "a score, and a weight: fractions"),
        ("score_limit", numbers.score_limit, "exp(0) saturates"),
        ("exp_range", numbers.exp_range, "distances from here on score 0"),
        ("sum_bits", design.sum_bits, "sum of scores, unsigned"),
        ("acc_bits", design.acc_bits, "sum of weighted values, signed"),
        ("result_bits", 8 * numbers.result_bytes, ""),
        ("result_shift", numbers.result_shift, "fraction bits that a deferred division adds"),
        ("packing_depth", design.packing_depth, "pairs of products that a cascade of DSPs sums; 0: a DSP a product"),
        ("lane_shift", lane_shift, "place of the upper operand of a pair"),
        ("port_bits", port_bits, "of a pair"),
    ]


@dataclass(frozen=True, kw_only=True)
class UnitContext:
    """unit.hpp"""

    deferred: bool
    approximate: bool
    group_words: int
    depths: dict[str, int]  # FIFO -> words; those that need no more than others have `SHORT`

    @classmethod
    def build(cls, design: A3Design) -> UnitContext:
        short = dict.fromkeys(("column_beats", "steps", "lane_rows", "slot_groups", "scores"), SHORT)
        return cls(
            deferred=design.numbers.is_deferred,
            approximate=design.approximate,
            group_words=design.group_words,
            depths=short | a3_fifo_depths(design),
        )


@dataclass(frozen=True, kw_only=True)
class TopContext:
    """The top function and the flat C interface."""

    title: str
    name: str
    symbol: str
    namespace: str
    units: range
    inputs: list[str]
    outputs: list[str]
    cycles_index: int  # among all arguments
    approximate: bool
    column_depth: int
    result_depth: int
    count_depth: int

    @classmethod
    def build(cls, design: A3Design) -> TopContext:
        names = [argument.name for argument in A3_ARGUMENTS]
        return cls(
            title=f"{design.name}: A3 attention accelerator for {design.board.title}",
            name=A3_TOP,
            symbol=SIM_SYMBOL,
            namespace=namespace(design.name, design.hash),
            units=range(design.units),
            inputs=[a.name for a in A3_ARGUMENTS if a.kind == "i32"],
            outputs=[a.name for a in A3_ARGUMENTS if a.kind == "out32"],
            cycles_index=names.index("cycles"),
            approximate=design.approximate,
            column_depth=a3_fifo_depths(design).get("column_beats", SHORT),
            result_depth=UNIT_BEATS,
            count_depth=UNIT_QUERIES,
        )


def a3_hls_files(design: A3Design) -> Files:
    """Everything below hls/ but the config file of the tools: kernels, configuration, top, test bench and its data."""
    top, bench = TopContext.build(design), bench_data(design)
    storage = OverlayStorageContext.build(design.board, a3_memories(design), ("key", "value"), "VITFORGE_A3_BIND")
    texts = {
        "include/a3_config.hpp": render("hls/a3/a3_config.hpp.jinja", config=ConfigContext.build(design)),
        "include/vitforge/a3/tables.hpp": render("hls/a3/tables.hpp.jinja", tables=TablesContext.build(design)),
        "include/vitforge/a3/storage.hpp": render("hls/a3/storage.hpp.jinja", storage=storage),
        "include/vitforge/a3/unit.hpp": render("hls/a3/unit.hpp.jinja", unit=UnitContext.build(design)),
        f"src/{A3_TOP}.cpp": render("hls/a3/top.cpp.jinja", top=top),
        "tb/csim_api.cpp": render("hls/a3/csim_api.cpp.jinja", top=top),
        "tb/tb_main.cpp": render("hls/a3/tb_main.cpp.jinja", top=top, bench=bench),
    }
    files = {f"hls/{name}": text.encode() for name, text in texts.items()}
    return files | kernel_headers("a3", COMMON_HEADERS) | _data_files(bench)


def _data_files(bench: BenchData) -> Files:
    files = {"hls/data/load.bin": bench.load, "hls/data/queries.bin": bench.queries}
    return files | {f"hls/data/{launch.name}.bin": launch.results for launch in bench.launches}
