# SPDX-License-Identifier: Apache-2.0
"""Resources of A3 designs: counted by hand, the same as the kernels declare, and refused where a board is too small."""

from __future__ import annotations

import dataclasses
import re

import pytest

from vitforge.boards import RESOURCES, list_boards, load_board
from vitforge.codegen.a3 import a3_hls_files
from vitforge.design.a3 import GROUP, LANES, PORTS, QUEUE, A3Design
from vitforge.design.a3_fit import fit_a3
from vitforge.design.a3_memories import COUNT_BITS, SHORT, SIDES, a3_fifo_depths, a3_memories
from vitforge.design.a3_numbers import A3Numbers
from vitforge.design.a3_resources import a3_dsp_rows, a3_fabric_rows, a3_resources, fits, units_that_fit
from vitforge.design.memories import Memory
from vitforge.errors import CapacityError, ConfigError


def design(board: str = "zcu104", **sizes: object) -> A3Design:
    facts = load_board(board)
    return A3Design(name="a3", board=facts, clock_mhz=facts.clock_mhz, **sizes)  # type: ignore[arg-type]


def memory(one: A3Design, name: str) -> Memory:
    return next(item for item in a3_memories(one) if item.name == name)


def bits(item: Memory) -> int:
    return item.banks * item.copies * item.depth * item.width_bits


PAPER = A3Numbers(policy="divide_first")
NARROW = A3Numbers(integer_bits=3)  # 8-bit elements
SHAPES: list[dict[str, object]] = [
    {},
    {"units": 3, "approximate": False},
    {"n_max": 50, "d_max": 20, "width": 24},
    {"n_max": 320, "d_max": 100, "width": 32, "numbers": PAPER},
    {"n_max": 2048, "numbers": NARROW},
]


@pytest.mark.parametrize("board", list_boards())
@pytest.mark.parametrize("sizes", SHAPES[:4])
def test_what_is_chosen_fits_and_is_the_widest(board: str, sizes: dict[str, object]) -> None:
    asked = {key: value for key, value in sizes.items() if key != "width"}
    try:
        found = fit_a3(load_board(board), **asked)  # type: ignore[arg-type]
    except CapacityError:
        assert board == "pynq-z2" and sizes.get("units") == 3 or board == "ultra96v2"
        return
    used, limit = found.resources, found.design.board.limit
    assert all(0 <= getattr(used, name) <= limit(name) for name in RESOURCES)
    assert found.units_that_fit >= found.design.units
    assert found.design.width <= 64
    for wider in range(found.design.width + found.design.per_beat, 65, found.design.per_beat):
        other = dataclasses.replace(found.design, width=wider)
        assert not fits(other) or other.row_words == found.design.row_words  # which would gain nothing


def test_small_boards_do_without_selection_unless_it_is_asked_for() -> None:
    found = fit_a3(load_board("pynq-z2"))
    assert not found.design.approximate
    assert any(reason.startswith("no candidate selection: even with width = 4 it needs") for reason in found.reasons)
    with pytest.raises(CapacityError, match=r"1 unit needs [\d,]+ lut and the limit is 37,240 .*approximate = false"):
        fit_a3(load_board("pynq-z2"), approximate=True)
    assert fit_a3(load_board("zcu104")).design.approximate


def test_a_refusal_names_what_would_fit() -> None:
    board = load_board("zcu104")
    with pytest.raises(CapacityError) as caught:
        fit_a3(board, units=5)
    text = str(caught.value)
    assert re.match(
        r"the A3 design does not fit AMD ZCU104: 5 units need [\d,]+ lut and the limit is 161,280 \(70%", text
    )
    cures = dict(re.findall(r"with (\w+) = (\w+)", text))
    assert cures["approximate"] == "false"
    assert fits(design(units=int(cures["units"]))) and not fits(design(units=int(cures["units"]) + 1))
    assert fit_a3(board, units=5, approximate=False).design.units == 5
    with pytest.raises(CapacityError) as caught:
        fit_a3(board, n_max=4096, d_max=512, approximate=False, units=2)
    for name, value in re.findall(r"with (\w+) = (\d+)", str(caught.value)):
        fit_a3(board, **{"n_max": 4096, "d_max": 512, "approximate": False, "units": 2, name: int(value)})  # type: ignore[arg-type]
    tiny = dataclasses.replace(board, dsp=8)
    with pytest.raises(CapacityError, match=r"dsp and the limit is 7 .*; no single setting of \[a3\] makes it fit"):
        fit_a3(tiny)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": 30}, "width is 30; it must be a multiple of the 8 elements of a beat"),
        ({"n_max": 4097}, "n_max is 4097; an A3 design takes 1 to 4096"),
        ({"units": 17}, "units is 17"),
    ],
)
def test_values_out_of_range(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_a3(load_board("zcu104"), **sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", SHAPES)
def test_more_units_take_more_of_everything(sizes: dict[str, object]) -> None:
    board = dataclasses.replace(load_board("rfsoc4x2"), bram36=10**6, uram=0, lut=10**8)
    few, more = (dataclasses.replace(design(**sizes), board=board, units=units) for units in (1, 2))
    for name in ("dsp", "bram36", "lut", "ff"):
        assert getattr(a3_resources(few), name) < getattr(a3_resources(more), name), name
    assert sum(map(bits, a3_memories(few))) < sum(map(bits, a3_memories(more)))


@pytest.mark.parametrize(("board", "width"), [("zcu104", 32), ("pynq-z2", 16), ("kv260", 32)])
def test_units_that_fit(board: str, width: int) -> None:
    one = design(board, width=width, approximate=False)
    most = units_that_fit(one)
    assert 1 < most < 16
    assert fits(dataclasses.replace(one, units=most)) and not fits(dataclasses.replace(one, units=most + 1))
    assert units_that_fit(dataclasses.replace(one, board=dataclasses.replace(one.board, dsp=4))) == 0


def test_dsps_of_both_families() -> None:
    """Pairs of 9-bit products fit a DSP48E2 but not a DSP48E1; a product of 26 x 17 bits is one or two of them."""
    rows = a3_dsp_rows(design(units=2))
    assert rows == {
        "dot": 2 * 64,
        "scale": 2 * 2,
        "exponent": 2 * 2,
        "output": 2 * 2 * 64,
        "normalise": 2 * 8,
        "seeding": 2 * 2 * 8 * 8 // 2,
        "replacement": 2 * 4,
    }
    rows = a3_dsp_rows(design("pynq-z2", width=32))
    assert (rows["dot"], rows["output"], rows["normalise"], rows["seeding"]) == (64, 64, 4 * 2, 2 * 4 * 8)
    assert a3_dsp_rows(design("pynq-z2", width=32, numbers=NARROW))["dot"] == 32
    rows = a3_dsp_rows(design(numbers=PAPER, approximate=False))
    assert set(rows) == {"dot", "scale", "exponent", "output"}


@pytest.mark.parametrize("sizes", SHAPES)
def test_memories_hold_what_they_must(sizes: dict[str, object]) -> None:
    one = design(**sizes)
    numbers, key = one.numbers, one.n_max * one.d_max * one.numbers.code_bits
    assert bits(memory(one, "key")) >= one.units * key
    assert bits(memory(one, "value")) == bits(memory(one, "key"))
    assert memory(one, "value").reads == memory(one, "key").reads == 2
    assert bits(memory(one, "score_groups")) >= one.units * one.n_max * (one.dot_bits + one.row_bits + 1)
    names = {item.name for item in a3_memories(one)}
    assert ("scores" in names) == (not numbers.is_deferred)
    assert ("sorted_key" in names) == one.approximate
    if one.approximate:
        entry = numbers.code_bits + one.row_bits
        sorted_key, greedy = memory(one, "sorted_key"), memory(one, "greedy")
        assert bits(sorted_key) >= 2 * one.units * one.n_max * one.d_max * entry
        # Of each row what two pointers of two lanes added, in a copy for either row that an iteration reads.
        assert bits(greedy) == 8 * one.units * one.n_max * one.total_bits
        assert bits(memory(one, "slots")) >= 4 * one.units * one.n_max * one.row_bits
        assert greedy.is_lutram and not sorted_key.is_lutram


def test_sorted_key_is_read_twice_a_cycle() -> None:
    """512 x 18 bits fit one block RAM of 1024 x 18; 512 x 36 is no shape with two ports to read."""
    assert memory(design(), "sorted_key").bram18 == 2 * 64
    one = Memory(name="m", banks=1, width_bits=36, depth=512)
    assert (one.bram18, dataclasses.replace(one, reads=2).bram18) == (1, 2)


@pytest.mark.parametrize("sizes", SHAPES)
def test_fifos_are_as_deep_as_the_kernels_say(sizes: dict[str, object]) -> None:
    one = design(**sizes)
    files = a3_hls_files(one)
    text = "".join(files[f"hls/{name}"].decode() for name in ("include/vitforge/a3/unit.hpp", "src/vitforge_a3.cpp"))
    pragmas = {name: int(depth) for name, depth in re.findall(r"#pragma HLS stream variable=(\w+) depth=(\d+)", text)}
    depths: dict[str, set[int]] = {}
    for name, depth in pragmas.items():
        stream = re.sub(r"(_\d+)+$", "", name)
        depths.setdefault("lane_rows" if name != stream == "rows" else stream, set()).add(depth)
    for name, depth in a3_fifo_depths(one).items():
        assert depths.pop(name) == {depth}, name
    assert {name for name, found in depths.items() if max(found) > SHORT} == {"unit_results", "unit_counts"}


def test_counts_of_the_kernels_are_those_of_the_design() -> None:
    """Constants that both need: rows, lanes and ports at a time, and the width of a count."""
    files = a3_hls_files(design())
    text = "".join(files[f"hls/include/vitforge/a3/{name}.hpp"].decode() for name in ("launch", "rows", "select"))
    found = {name: int(value) for name, value in re.findall(r"^constexpr int (\w+) = (\d+);", text, re.MULTILINE)}
    same = {"lanes": LANES, "ports": PORTS, "group": GROUP, "queue": QUEUE, "sides": SIDES, "count_bits": COUNT_BITS}
    assert {name: found[name] for name in same} == same


@pytest.mark.parametrize("sizes", SHAPES)
def test_totals_are_the_sum_of_the_rows(sizes: dict[str, object]) -> None:
    one = design(**sizes)
    used = a3_resources(one)
    assert used.dsp == sum(used.dsp_rows.values())
    assert used.ff == sum(row.ff for row in a3_fabric_rows(one).values())
    assert set(used.memory_rows) == {item.name for item in a3_memories(one)}
    held = " ".join(used.memory_rows.values())
    assert sum(int(count) for count in re.findall(r"(\d+) URAM", held)) == used.uram
    halves = sum(float(count) for count in re.findall(r"([\d.]+) BRAM36", held))
    assert halves <= used.bram36 < halves + 1
    luts = sum(int(count) for count in re.findall(r"(\d+) LUT", held))
    assert used.lut == luts + sum(row.lut for row in a3_fabric_rows(one).values())
    assert all(len(places) == 1 for places in used.bindings.values())  # a pragma names one primitive
