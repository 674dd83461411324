# SPDX-License-Identifier: Apache-2.0
"""Memories that resources count are those that the kernel declares and partitions."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from sparse_matmul.designs import DESIGNS, write_sources
from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge.design.sparse_matmul_resources import sparse_matmul_memories


@pytest.fixture(params=sorted(DESIGNS))
def design(request: pytest.FixtureRequest) -> SparseMatmulDesign:
    return DESIGNS[request.param]


def values_of(design: SparseMatmulDesign, directory: Path) -> dict[str, int]:
    """Constants of the generated configuration, and what the layout of weight tiles makes of them."""
    config = (write_sources(design, directory) / "include" / "sparse_matmul_config.hpp").read_text()
    values = {f"C::{name}": int(value) for name, value in re.findall(r"constexpr int (\w+) = (\d+);", config)}
    word = values["C::tc"] * values["C::tk"]
    return values | {
        "WeightBuffer<C>::depth": 2 * values["C::max_k_tiles"],
        "WeightBuffer<C>::pick_depth": 2 * values["C::max_k_tiles"],
        "TileLayout<C>::word_beats": word // values["C::beat_bytes"],
        "TileLayout<C>::pick_bytes": word // 4,
        "masks_per_beat": 8,
    }


@pytest.mark.parametrize(("name", "element_bits"), [("left", 8), ("weights", 8), ("picks", 8), ("masks", None)])
def test_a_memory_is_what_the_kernel_declares(
    name: str, element_bits: int | None, design: SparseMatmulDesign, tmp_path: Path
) -> None:
    memory = next((item for item in sparse_matmul_memories(design) if item.name == name), None)
    if memory is None:
        assert name == "picks" and not design.sparse
        return
    values = values_of(design, tmp_path)
    source = "receive.hpp" if name == "masks" else "multiply.hpp"
    text = (tmp_path / "hls" / "include" / "vitforge" / "sparse_matmul" / source).read_text()
    declared = re.search(rf"(?:static u?int8|uint32) {name}((?:\[[^\]]+\])+);", text)
    assert declared is not None
    sizes = [values[bound] for bound in re.findall(r"\[([^\]]+)\]", declared.group(1))]
    partitioned = re.findall(rf"array_partition variable={name} complete dim=(\d)", text)
    reshaped = re.findall(rf"array_reshape variable={name} complete dim=(\d)", text)
    banks = math.prod(sizes[int(dim) - 1] for dim in partitioned)
    width = math.prod(sizes[int(dim) - 1] for dim in reshaped) * (element_bits or design.beat_bytes)
    depth = math.prod(sizes) // banks // math.prod(sizes[int(dim) - 1] for dim in reshaped)
    assert (memory.banks, memory.width_bits, memory.depth) == (banks, width, depth)
