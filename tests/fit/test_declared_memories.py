# SPDX-License-Identifier: Apache-2.0
"""The memories that a design counts are the arrays that the kernels declare, bank for bank."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pytest

from kernels.designs import DESIGNS
from vitforge.codegen.engines import EngineContext, nmp_context, nsa_context
from vitforge.design.design import Design
from vitforge.design.memories import Memory, memories
from vitforge.resources import data_dir

KERNELS = data_dir("templates") / "include" / "vitforge"
BITS = {"int8": 8, "uint8": 8, "int16": 16, "int32": 32, "bool": 1}
# Memory of a design -> header, engine, and the arrays that are its copies.
DECLARED = {
    "nsa_left": ("nsa_engine", "nsa", ["left"]),
    "nsa_weight_tiles": ("nsa_engine", "nsa", ["words"]),
    "nsa_picks": ("nsa_engine", "nsa", ["picks"]),
    "nmp_picks": ("nmp_engine", "nmp", ["picks"]),
    "key": ("nsa_engine", "nsa", ["key"]),
    "value": ("nsa_engine", "nsa", ["value"]),
    "attention": ("nsa_engine", "nsa", ["attention_even", "attention_odd"]),
    "reciprocals": ("nsa_engine", "nsa", ["reciprocal_even", "reciprocal_odd"]),
    "scores": ("softmax", "nsa", ["tile_scores"]),
    "nmp_left": ("nmp_engine", "nmp", ["left"]),
    "nmp_weight_tiles": ("nmp_engine", "nmp", ["words"]),
    "nmp_gelu": ("array_job", "nmp", ["gelu"]),
    "nsa_resident": ("resident", "nsa", ["store"]),
    "nmp_resident": ("resident", "nmp", ["store"]),
    "residual": ("accelerator", "nsa", ["residual0", "residual1", "residual2", "residual3"]),
}


@dataclass(frozen=True)
class DeclaredArray:
    """Banks, bits of a word and words of a bank, after the pragmas."""

    banks: int
    width_bits: int
    depth: int


def constants(engine: EngineContext) -> dict[str, int]:
    """Values of the names that array bounds are made of."""
    values = {field.name: field.value for field in engine.fields}
    values["WeightBuffer_depth"] = 2 * values["max_k_tiles"]
    values["WeightBuffer_pick_depth"] = 2 * values["max_k_tiles"]
    values["TileLayout_pick_bytes"] = values["tc"] * values["tk"] // 4
    values["TileLayout_word_beats"] = values["tc"] * values["tk"] // values["beat_bytes"]
    values["Resident_entry_bits"] = values["beat_bits"] + 16
    values["GeluTable_rows"] = 256 // values["beat_bytes"]
    return values


def declared(header: str, name: str, values: dict[str, int]) -> DeclaredArray:
    """The array ``name`` of a header, the last of that name that is no argument."""
    text = (KERNELS / f"{header}.hpp").read_text()
    found = re.findall(rf"^ +(?:static )?([\w:<> ]+?) {name}((?:\[[^\]]+\])+);", text, re.MULTILINE)
    kind, bounds = found[-1]
    sizes = [evaluate(bound, values) for bound in re.findall(r"\[([^\]]+)\]", bounds)]
    bits = BITS.get(kind) or evaluate(re.fullmatch(r"ap_uint<(.+)>", kind)[1], values)
    ways = {"partition": 1, "reshape": bits}
    pragmas = re.findall(rf"#pragma HLS array_(\w+) variable={name} complete dim=(\d)", text)
    if f"VITFORGE_SPLIT_{name.upper()}" in text:  # a generated one
        pragmas.append(("partition" if values["lane_banks"] else "reshape", "3"))
    for way, dims in pragmas:
        for index in range(len(sizes)) if dims == "0" else [int(dims) - 1]:
            ways[way] *= sizes[index]
            sizes[index] = 1
    return DeclaredArray(banks=ways["partition"], width_bits=ways["reshape"], depth=math.prod(sizes))


def evaluate(bound: str, values: dict[str, int]) -> int:
    """An array bound: constants of the engine, and products of them."""
    text = re.sub(r"(WeightBuffer|TileLayout|GeluTable|Resident)<[CAM]>::", r"\1_", bound)
    return math.prod(
        values[part] if part in values else int(part) for part in re.sub(r"\b[CAM]::", "", text).split(" * ")
    )


def array_of(memory: Memory) -> DeclaredArray:
    return DeclaredArray(banks=memory.banks, width_bits=memory.width_bits, depth=memory.depth)


@pytest.fixture(params=sorted(DESIGNS))
def design(request: pytest.FixtureRequest) -> Design:
    return DESIGNS[request.param]


@pytest.mark.parametrize("memory", sorted(DECLARED))
def test_a_memory_is_what_the_kernel_declares(design: Design, memory: str) -> None:
    counted = {item.name: item for item in memories(design)}.get(memory)
    if counted is None:
        unit, kind = memory.split("_")
        assert {"picks": design.folding.sparse, "resident": design.resident_entries[unit]}[kind] == 0
        return
    header, engine, names = DECLARED[memory]
    values = constants(nsa_context(design) if engine == "nsa" else nmp_context(design))
    assert counted.copies == len(names)
    for name in names:
        assert array_of(counted) == declared(header, name, values), name


def test_parameters_of_layer_norm(design: Design) -> None:
    """gamma, beta and the keep flag of a channel are counted as one word."""
    values = constants(nsa_context(design))
    parts = [declared("norm_output", name, values) for name in ("gamma", "beta", "emits")]
    found = {item.name: item for item in memories(design)}
    for engine in ("nsa", "nmp"):
        memory = found[f"{engine}_norm_records"]
        assert memory.width_bits == sum(part.width_bits for part in parts)
        assert {(part.banks, part.depth) for part in parts} == {(memory.banks, memory.depth)}


def test_nothing_else_is_counted_but_streams_and_adapters(design: Design) -> None:
    others = {item.name for item in memories(design)} - set(DECLARED) - {"nsa_norm_records", "nmp_norm_records"}
    assert all(item.is_fifo for item in memories(design) if item.name in others)
