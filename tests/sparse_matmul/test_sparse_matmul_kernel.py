# SPDX-License-Identifier: Apache-2.0
"""The compiled kernel against the golden model, bit for bit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from sparse_matmul.designs import DESIGNS, compiled, write_sources
from sparse_matmul.products import Product, products
from vitforge.csim.build import build_executable
from vitforge.csim.checks import run_checks
from vitforge.csim.headers import own_headers
from vitforge.csim.sparse_matmul_checks import sparse_matmul_checks
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary
from vitforge.design.sparse_matmul import SPARSE_MATMUL_TOP
from vitforge.golden.sparse_matmul import sparse_matmul
from vitforge_host import pack_matrix, prune_two_of_four
from vitforge_host.sparse_matmul_packets import pack_activations, pack_results, result_bytes, unpack_results

CASES = 120


def is_right(library: SparseMatmulLibrary, product: Product) -> bool:
    matrix = pack_matrix(product.weights, library.format, sparsity=product.sparsity, **product.rest)
    got, registers = library.multiply(product.activations, matrix)
    golden = sparse_matmul(product.activations, product.weights, **product.rest)
    return registers["status"] == 0 and got.dtype == golden.dtype and np.array_equal(got, golden)


COMPILED = [(name, "vitforge") for name in sorted(DESIGNS)] + [("wide", "amd"), ("zynq", "amd")]


@pytest.mark.parametrize(("name", "headers"), COMPILED)
def test_any_product_equals_golden(name: str, headers: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    library = compiled(DESIGNS[name], tmp_path_factory.mktemp(name), headers)

    @settings(max_examples=CASES)
    @given(products(library.design))
    def check(product: Product) -> None:
        assert is_right(library, product)

    check()


def test_counts_at_the_edges_of_words_tiles_and_blocks(library: SparseMatmulLibrary) -> None:
    """Kept inputs around beats, at either end of the row; kept outputs around column tiles; rows around blocks."""
    design, rng = library.design, np.random.default_rng(3)
    k, n, beat = design.k_max, design.n_max, design.beat_bytes
    kinds = ("dense", "2:4") if design.sparse else ("dense",)
    counts = [(1, 1), (beat - 1, n), (beat, design.tc), (beat + 1, design.tc + 1), (k - 1, n - 1), (k, n), (0, 1)]
    rows = (1, design.td + 1, design.tt, design.block_rows, design.block_rows + 1)
    for i, (inputs, outputs) in enumerate(counts):
        keep_inputs, keep_outputs = np.zeros(k, bool), np.zeros(n, bool)
        keep_inputs[(k - inputs) * (i % 2) :][:inputs] = True
        keep_outputs[n - outputs :] = True
        weights = rng.integers(-127, 128, (n, k)).astype(np.int8) * (keep_outputs[:, None] & keep_inputs)
        masks = {"keep_inputs": keep_inputs, "keep_outputs": keep_outputs}
        for kind in kinds:
            pruned = prune_two_of_four(weights, keep_inputs) if kind == "2:4" else weights
            for m in rows:
                x = rng.integers(design.activation_lowest, 128, (m, k)).astype(np.int8)
                assert is_right(library, Product(x, pruned, kind, masks)), (inputs, outputs, kind, m)


@pytest.mark.parametrize("name", ["wide", "zynq"])
def test_declared_widths_suffice(name: str, tmp_path: Path) -> None:
    library = compiled(DESIGNS[name], tmp_path, defines=("VITFORGE_DECLARED_WIDTHS",))

    @settings(max_examples=CASES)
    @given(products(library.design))
    def check(product: Product) -> None:
        assert is_right(library, product)

    check()


def test_checks_of_csim_find_no_difference(library: SparseMatmulLibrary) -> None:
    done = run_checks(library, sparse_matmul_checks(library))
    assert [check.name for check in done] == ["array", "requantize", "launches"]
    assert all(check.elements > 1000 and not check.mismatches for check in done), [check.first for check in done]


def test_the_test_bench_passes_and_sees_a_wrong_result(tmp_path: Path) -> None:
    hls = write_sources(DESIGNS["wide"], tmp_path)
    sources = [hls / "src" / f"{SPARSE_MATMUL_TOP}.cpp", hls / "tb" / "tb_main.cpp"]
    bench = build_executable(sources, headers=own_headers(), include_dirs=[hls / "include"], name="bench")

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([bench, hls / "data"], capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 0 and "PASS: 43 rows, 4 matrices, bit-exact" in done.stdout, done.stdout
    path = hls / "data" / "sums_results.bin"
    path.write_bytes(path.read_bytes()[:-9] + b"\x55" + path.read_bytes()[-8:])
    done = run()
    assert done.returncode == 1 and "FAIL: sums" in done.stdout
    path.unlink()
    assert run().returncode == 2


@pytest.mark.parametrize("blocks", [0, 2])
@pytest.mark.parametrize("missing", [-40, -2, -1, 0, 1, 2, 3, "half", "all but one"])
def test_a_broken_packet_is_reported_and_spoils_no_other(
    missing: int | str, blocks: int, library: SparseMatmulLibrary
) -> None:
    """Beats that are missing at the end, or too many: in the only block of rows, or in the last of several."""
    rng, format_ = np.random.default_rng(1), library.format
    x = rng.integers(-127, 128, (blocks * library.design.block_rows + 7, 31)).astype(np.int8)
    keep = rng.random(31) < 0.6  # a last word of a row that is not full
    weights = rng.integers(-127, 128, (9, 31)).astype(np.int8) * keep
    matrix = pack_matrix(weights, format_, keep_inputs=keep)
    golden = sparse_matmul(x, weights, keep_inputs=keep)
    packet = pack_activations(x, format_).tobytes()
    beat = format_.beat_bytes
    cut = {"half": len(packet) // 2 // beat, "all but one": len(packet) // beat - 1}
    beats = cut[missing] if isinstance(missing, str) else missing
    broken = packet[: len(packet) - beats * beat] if beats > 0 else packet + bytes(-beats * beat)
    capacity = result_bytes(matrix, len(x), format_)
    done, registers = library.launch(matrix.data, matrix.head_beats, len(x), broken, capacity)
    assert len(done) == capacity
    assert registers["status"] == (0 if beats == 0 else 1 if beats > 0 else 2)
    assert np.array_equal(library.multiply(x, matrix)[0], golden)


def test_a_launch_of_no_rows_fills_the_identity_registers(library: SparseMatmulLibrary) -> None:
    done, registers = library.launch(np.zeros(0, np.uint8), 0, 0, b"", 16)
    words = [int.from_bytes(library.design.hash[i : i + 4], "little") for i in (0, 4)]
    assert done == b""
    assert registers == {
        "status": 0,
        "cycles": 0,
        "magic": 0x5646534D,
        "version": 1,
        "hash_lo": words[0],
        "hash_hi": words[1],
    }


def test_results_are_unpacked_as_they_were_packed(library: SparseMatmulLibrary) -> None:
    rng, format_ = np.random.default_rng(2), library.format
    keep = rng.random(library.design.n_max) < 0.5
    keep[0] = True
    weights = np.zeros((len(keep), 3), np.int8)
    for rows in (1, library.design.block_rows, 2 * library.design.block_rows + 1):
        for scale in ({}, {"mult": 1, "shift": 1}):
            matrix = pack_matrix(weights, format_, keep_outputs=keep, **scale)
            results = (rng.integers(-127, 128, (rows, len(keep))) * keep).astype(matrix.dtype)
            packet = pack_results(results, matrix, format_)
            assert packet.size == result_bytes(matrix, rows, format_)
            assert np.array_equal(unpack_results(packet, matrix, rows, format_), results)
