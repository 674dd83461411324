# SPDX-License-Identifier: Apache-2.0
"""Compiled A3 kernels equal the golden model bit for bit, on every kind of key, and live through broken packets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from a3.designs import DESIGNS, compiled, write_sources
from vitforge.codegen.a3_packets import load_packet, load_registers, query_registers, read_results, rows_packet
from vitforge.csim.a3_checks import a3_checks
from vitforge.csim.a3_library import A3Library
from vitforge.csim.build import build_executable
from vitforge.csim.checks import KernelCheck, run_checks
from vitforge.csim.headers import HEADER_SETS
from vitforge.design.a3 import A3_MAGIC, A3_TOP, LANES, PORTS
from vitforge.design.geometry import ceil_div
from vitforge.golden.a3 import attend, candidate_select

PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
SHORT, LONG = 1, 2  # bits of the status


def codes(rng: np.random.Generator, library: A3Library, rows: int, d: int, spread: float = 0.3) -> NDArray[np.int64]:
    limit = library.design.numbers.limit
    return np.clip(np.rint(rng.normal(scale=spread * limit, size=(rows, d))), -limit, limit).astype(np.int64)


def checked(library: A3Library) -> list[KernelCheck]:
    return run_checks(library, a3_checks(library))


def test_every_check_passes(library: A3Library) -> None:
    checks = checked(library)
    assert [str(check.first) for check in checks if check.mismatches] == []
    assert all(check.elements > 0 for check in checks)


@pytest.mark.parametrize("name", ["paper", "plain"])
def test_every_check_passes_with_amd_headers(name: str, tmp_path: Path) -> None:
    checks = checked(compiled(DESIGNS[name], tmp_path, "amd"))
    assert [str(check.first) for check in checks if check.mismatches] == []


@pytest.mark.parametrize("name", ["bytes", "paper"])
def test_the_declared_widths_suffice(name: str, tmp_path: Path) -> None:
    checks = checked(compiled(DESIGNS[name], tmp_path, defines=("VITFORGE_DECLARED_WIDTHS",)))
    assert [str(check.first) for check in checks if check.mismatches] == []


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.data())
def test_selection_is_the_pointer_machine_on_adversarial_keys(
    approximate: A3Library, seed: int, data: st.DataObject
) -> None:
    """One column with all large products, which its ring must not run out of; few values, so that all is ties."""
    rng, design = np.random.default_rng(seed), approximate.design
    n, d = int(rng.integers(1, design.n_max + 1)), int(rng.integers(1, design.d_max + 1))
    limit = design.numbers.limit
    kind = data.draw(st.sampled_from(["one column", "ties", "steep", "signs"]))
    if kind == "one column":
        keys = rng.integers(-3, 4, (n, d))
        keys[:, rng.integers(d)] = rng.integers(limit // 2, limit + 1, n)
    elif kind == "ties":
        keys = rng.integers(-1, 2, (n, d))
    elif kind == "steep":
        keys = np.clip(np.rint(limit * rng.standard_cauchy((n, d)) / 8), -limit, limit).astype(int)
    else:
        keys = rng.choice([-limit, limit], (n, d))
    queries = rng.choice([-limit, -1, 0, 1, limit], (2, d))
    m = int(rng.integers(1, design.m_max + 1))
    got = approximate.select(keys, queries, m)
    for i, query in enumerate(queries):
        assert got[i].tolist() == candidate_select(keys, query, m).greedy.tolist()


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.data())
def test_any_launch_equals_the_golden_model(approximate: A3Library, seed: int, data: st.DataObject) -> None:
    rng, design = np.random.default_rng(seed), approximate.design
    n, d = int(rng.integers(1, design.n_max + 1)), int(rng.integers(1, design.d_max + 1))
    count = data.draw(st.integers(1, 4 * LANES * design.units + 1))
    spread = data.draw(st.sampled_from([0.02, 0.3, 3.0]))
    keys, values, queries = (codes(rng, approximate, rows, d, spread) for rows in (n, n, count))
    m = data.draw(st.none() | st.integers(1, design.m_max))
    t = data.draw(st.none() | st.sampled_from([0.1, 5.0, 100.0]))
    scale = data.draw(st.sampled_from([1.0, d**-0.5, 0.01]))
    approximate.load(keys, values)
    golden = attend(keys, values, queries, numbers=design.numbers, scale=scale, m=m, t=t)
    result, registers = approximate.query(queries, n, scale=scale, m=m, t=t)
    assert result.tolist() == golden.result.tolist()
    assert registers["candidates"] == golden.candidates.sum()
    assert registers["kept"] == golden.kept.sum()
    assert registers["status"] == 0


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.data())
def test_any_selection_gives_the_golden_results(approximate: A3Library, seed: int, data: st.DataObject) -> None:
    """Rows that gain and lose in turn, rows that only lose, and queries without a candidate, where the row with the
    largest score is searched for."""
    rng, design = np.random.default_rng(seed), approximate.design
    n, d = int(rng.integers(1, design.n_max + 1)), int(rng.integers(1, design.d_max + 1))
    limit, count = design.numbers.limit, 2 * LANES * design.units + 1
    kind = data.draw(st.sampled_from(["losses alone", "nothing", "one row", "ties", "opposites"]))
    queries = rng.integers(-limit, limit + 1, (count, d))
    if kind == "losses alone":
        keys, queries = -rng.integers(1, limit + 1, (n, d)), np.abs(queries) + (queries == 0)
    elif kind == "nothing":
        keys = np.zeros((n, d), int)
    elif kind == "one row":  # what the others lose it gains
        keys = rng.integers(-3, 4, (n, d))
        keys[rng.integers(n)] = rng.choice([-limit, limit], d)
    elif kind == "ties":
        keys, queries = rng.integers(-1, 2, (n, d)), rng.integers(-1, 2, (count, d))
    else:  # a large gain, and a larger loss
        keys = rng.choice([limit - 1, -limit], (n, d))
        queries = np.full((count, d), limit)
    values, m = codes(rng, approximate, n, d), int(rng.integers(1, design.m_max + 1))
    approximate.load(keys, values)
    golden = attend(keys, values, queries, numbers=design.numbers, m=m, t=5.0)
    result, registers = approximate.query(queries, n, m=m, t=5.0)
    assert result.tolist() == golden.result.tolist()
    assert (registers["candidates"], registers["kept"]) == (golden.candidates.sum(), golden.kept.sum())


def test_the_cycles_register_counts_the_busiest_stage(library: A3Library) -> None:
    """Of all rows, the dot products: two rows a cycle, or as many cycles as they have words."""
    rng, design = np.random.default_rng(0), library.design
    n, d, groups = design.n_max, design.d_max, 3
    library.load(codes(rng, library, n, d), codes(rng, library, n, d))
    _, registers = library.query(codes(rng, library, groups * LANES * design.units, d), n)
    assert registers["cycles"] == groups * LANES * ceil_div(n, PORTS) * design.row_words


def test_what_a_smaller_key_leaves_behind_does_no_harm(library: A3Library) -> None:
    """Rows and columns of the larger one are still in memory."""
    rng, design = np.random.default_rng(2), library.design
    n, d = design.n_max, design.d_max
    library.load(*(np.full((n, d), design.numbers.limit),) * 2)
    small = [codes(rng, library, rows, max(1, d - 1)) for rows in (3, 3, 5)]
    library.load(small[0], small[1])
    for m in (None, 2) if design.approximate else (None,):
        golden = attend(*small, numbers=design.numbers, m=m)
        assert library.query(small[2], 3, m=m)[0].tolist() == golden.result.tolist()


def test_units_can_hold_a_head_each(library: A3Library) -> None:
    rng, design = np.random.default_rng(3), library.design
    n, d, units, pairs = 9, 5, design.units, 3
    heads = [(codes(rng, library, n, d), codes(rng, library, n, d)) for _ in range(units)]
    for unit, (keys, values) in enumerate(heads):
        library.load(keys, values, unit_mask=1 << unit)
    queries = codes(rng, library, pairs * units * LANES, d)
    result, _ = library.query(queries, n)
    for pair in range(pairs * units):
        both = slice(LANES * pair, LANES * (pair + 1))
        golden = attend(*heads[pair % units], queries[both], numbers=design.numbers)
        assert result[both].tolist() == golden.result.tolist()


def test_a_load_for_no_unit_changes_nothing(library: A3Library) -> None:
    rng, design = np.random.default_rng(6), library.design
    keys, values, queries = (codes(rng, library, rows, 5) for rows in (4, 4, 3))
    library.load(keys, values)
    assert library.load(values, keys, unit_mask=0)["status"] == 0
    golden = attend(keys, values, queries, numbers=design.numbers)
    assert library.query(queries, 4)[0].tolist() == golden.result.tolist()


@pytest.mark.parametrize("what", ["load", "query"])
@pytest.mark.parametrize("beats", [-3, -1, 1, 7])
def test_a_packet_of_the_wrong_length_is_reported_and_spoils_nothing(library: A3Library, what: str, beats: int) -> None:
    rng, design = np.random.default_rng(4), library.design
    n, d = 6, min(5, design.d_max)
    keys, values, queries = (codes(rng, library, rows, d) for rows in (n, n, 4))
    golden = attend(keys, values, queries, numbers=design.numbers)
    inputs, packet = load_registers(n, d, (1 << design.units) - 1), load_packet(design, keys, values)
    capacity = 0
    if what == "query":
        library.load(keys, values)
        inputs, packet = query_registers(design, n, d, len(queries), 1.0, None, None), rows_packet(design, queries)
        capacity = 1 << 12
    size = len(packet) + beats * design.beat_bytes
    done = library.launch(inputs, packet[:size].ljust(size, b"\x55"), capacity)
    assert done.registers["status"] == (SHORT if beats < 0 else LONG)
    if what == "query":  # as many results as were asked for, to be thrown away if beats were missing
        got = read_results(design, done.packet, d)
        assert got.shape == golden.result.shape
        assert beats < 0 or got.tolist() == golden.result.tolist()
    library.load(keys, values)
    result, registers = library.query(queries, n)
    assert result.tolist() == golden.result.tolist()
    assert registers["status"] == 0


def test_identity_is_there_without_a_packet(library: A3Library) -> None:
    registers = library.launch([0] * 10, b"", 0).registers
    assert registers["magic"] == A3_MAGIC
    words = [registers["hash_lo"], registers["hash_hi"]]
    assert words == [int.from_bytes(library.design.hash[i : i + 4], "little") for i in (0, 4)]


@pytest.fixture(params=sorted(HEADER_SETS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """The generated test bench as a program, and its data."""
    hls = write_sources(DESIGNS["paper"], tmp_path)
    program = build_executable(
        [hls / "src" / f"{A3_TOP}.cpp", hls / "tb" / "tb_main.cpp"],
        headers=HEADER_SETS[request.param](),
        include_dirs=[hls / "include"],
        name="tb",
    )
    return program, hls / "data"


def run(program: Path, data: Path) -> tuple[int, str]:
    done = subprocess.run([str(program), str(data)], capture_output=True, text=True, check=False, cwd=data)
    return done.returncode, done.stdout


def test_the_test_bench_passes_and_fails_when_it_must(bench: tuple[Path, Path]) -> None:
    program, data = bench
    code, text = run(program, data)
    assert (code, text.split(":")[0]) == (0, "PASS")
    expected = data / "results_approximate.bin"
    content = bytearray(expected.read_bytes())
    content[9] ^= 1
    expected.write_bytes(content)
    code, text = run(program, data)
    assert code == 1
    assert "results_approximate: result 2, byte 1" in text
    expected.unlink()
    assert run(program, data)[0] == 2
