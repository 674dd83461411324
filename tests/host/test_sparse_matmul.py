# SPDX-License-Identifier: Apache-2.0
"""`SparseMatmul` on the simulated board in strict mode: results, batches, and what a failed transfer leaves behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from host.held import check_cycles
from sparse_matmul.designs import DESIGNS, compiled
from sparse_matmul.products import Product, products
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary
from vitforge.deploy.sparse_matmul_overlay import write_sparse_matmul_overlay
from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge.golden.sparse_matmul import sparse_matmul
from vitforge_host import (
    ClosedError,
    HostError,
    InputError,
    SparseMatmul,
    TransferError,
    pack_matrix,
    prune_two_of_four,
)
from vitforge_host.sim import SimDevice

Overlays = dict[str, Path]


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Overlays:
    """Folder of the overlay of each design that is used here."""
    found = {}
    for name in ("wide", "zynq"):
        directory = tmp_path_factory.mktemp(name)
        library: SparseMatmulLibrary = compiled(DESIGNS[name], directory)
        write_sparse_matmul_overlay(directory / "overlay", DESIGNS[name], library=library.csim.path)
        found[name] = directory / "overlay"
    return found


@pytest.fixture
def opened(overlays: Overlays) -> Callable[..., SparseMatmul]:
    def open_it(name: str = "wide", batch: int | None = 13, **options: Any) -> SparseMatmul:
        device = SimDevice(strict=True, ddr_bytes=1 << 26, **options)
        return SparseMatmul(overlays[name], device=device, batch=batch)

    return open_it


@pytest.fixture
def matmul(opened: Callable[..., SparseMatmul]) -> Iterator[SparseMatmul]:
    with opened() as found:
        yield found


def some(design: SparseMatmulDesign, rows: int = 31) -> Product:
    """Half of a 2:4 matrix, requantised."""
    rng = np.random.default_rng(rows)
    k, n = design.k_max, design.n_max
    inputs, outputs = rng.random(k) < 0.5, rng.random(n) < 0.5
    weights = prune_two_of_four(rng.integers(-127, 128, (n, k)) * (outputs[:, None] & inputs), inputs)
    rest = {"mult": rng.integers(1 << 15, 1 << 16, n), "shift": 24, "keep_inputs": inputs, "keep_outputs": outputs}
    activations = rng.integers(design.activation_lowest, 128, (rows, k)).astype(np.int8)
    return Product(activations, weights.astype(np.int8), "2:4", rest)


def load(matmul: SparseMatmul, product: Product) -> np.ndarray:
    """Loads the matrix; returns what must come out."""
    matmul.load(product.weights, sparsity=product.sparsity, **product.rest)
    return sparse_matmul(product.activations, product.weights, **product.rest)


@pytest.mark.parametrize("name", ["wide", "zynq"])
def test_any_product_equals_golden(name: str, opened: Callable[..., SparseMatmul]) -> None:
    with opened(name) as matmul:

        @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(products(DESIGNS[name]))
        def check(product: Product) -> None:
            golden = load(matmul, product)
            found = matmul(product.activations)
            assert found.dtype == golden.dtype and np.array_equal(found, golden)

        check()


@pytest.mark.parametrize("run_mode", ["sync", "thread"])
def test_batches_keep_their_order(run_mode: str, opened: Callable[..., SparseMatmul]) -> None:
    with opened(run_mode=run_mode) as matmul:
        product = some(DESIGNS["wide"], rows=100)
        golden = load(matmul, product)
        assert np.array_equal(matmul.run(product.activations), golden)
        assert (matmul.statistics.rows, matmul.statistics.launches) == (100, 8)
        assert matmul.statistics.cycles > 0
        assert np.array_equal(matmul(product.activations[:1]), golden[:1])


def test_a_launch_of_several_blocks_by_default(opened: Callable[..., SparseMatmul]) -> None:
    with opened(batch=None) as matmul:
        assert matmul.batch == 8 * DESIGNS["wide"].block_rows
        product = some(DESIGNS["wide"], rows=3 * DESIGNS["wide"].block_rows + 5)
        golden = load(matmul, product)
        assert np.array_equal(matmul(product.activations), golden)
        assert matmul.statistics.launches == 1


def test_two_of_four_takes_half_of_the_cycles_and_nothing_but_the_cycles(matmul: SparseMatmul) -> None:
    rng, design = np.random.default_rng(4), DESIGNS["wide"]
    weights = prune_two_of_four(rng.integers(-127, 128, (40, 144)))
    x = rng.integers(-128, 128, (13, design.k_max)).astype(np.int8)[:, :144]
    found, cycles = [], []
    for sparsity in ("dense", "2:4"):
        matmul.load(weights, sparsity=sparsity)
        found.append(matmul(x))
        cycles.append(matmul.statistics.cycles)
    assert np.array_equal(*found)
    assert cycles[1] < 0.7 * cycles[0]


@pytest.mark.parametrize("sparsity", ["dense", "2:4"])
def test_no_output_kept_runs_nothing(sparsity: str, matmul: SparseMatmul) -> None:
    matmul.load(np.zeros((5, 7), np.int8), keep_outputs=np.zeros(5, bool), sparsity=sparsity)
    assert np.array_equal(matmul(np.ones((3, 7), np.int8)), np.zeros((3, 5), np.int32))
    assert matmul.statistics.launches == 0


def test_use_before_load_and_after_close(opened: Callable[..., SparseMatmul]) -> None:
    with opened() as matmul, pytest.raises(InputError, match="no matrix is on the accelerator; call load"):
        matmul(np.zeros((1, 3), np.int8))
    for use in (lambda: matmul(np.zeros((1, 3), np.int8)), lambda: matmul.load(np.zeros((1, 3), np.int8))):
        with pytest.raises(ClosedError, match="SparseMatmul"):
            use()


def test_buffers_are_given_back(opened: Callable[..., SparseMatmul]) -> None:
    with opened() as matmul:
        memory = matmul._overlay.device.default_memory
        for rows in (3, 31):
            load(matmul, some(DESIGNS["wide"], rows))
            assert memory.live_allocations == 5  # the record; activations and results of two launches
    assert memory.live_allocations == 0


def test_a_cut_transfer_is_an_error_and_the_next_call_is_right(matmul: SparseMatmul) -> None:
    product = some(DESIGNS["wide"], rows=12)  # a row less than the buffer holds
    golden = load(matmul, product)
    channel = matmul._dma._dma.sendchannel
    whole = channel.transfer
    for wrong in (-16, -160, 32):
        channel.transfer = lambda buffer, nbytes, wrong=wrong: whole(buffer, 0, nbytes + wrong)
        with pytest.raises(TransferError, match="too short" if wrong < 0 else "too long"):
            matmul(product.activations)
        channel.transfer = whole
        assert np.array_equal(matmul(product.activations), golden)


def test_a_failed_load_leaves_the_matrix_before(matmul: SparseMatmul) -> None:
    product = some(DESIGNS["wide"])
    golden = load(matmul, product)
    with pytest.raises(InputError):
        matmul.load(np.full((3, 3), -128, np.int8))
    assert np.array_equal(matmul(product.activations), golden)


def test_a_packed_matrix_is_checked_before_it_is_used(matmul: SparseMatmul) -> None:
    weights = np.arange(-60, 60, dtype=np.int8).reshape(8, 15)
    packed = pack_matrix(weights, matmul.format)
    matmul.load_packed(packed)
    x = np.arange(30, dtype=np.int8).reshape(2, 15)
    assert np.array_equal(matmul(x), x.astype(int) @ weights.T.astype(int))
    damaged = dataclasses.replace(packed, data=packed.data ^ (np.arange(packed.data.size) == 99).astype(np.uint8))
    with pytest.raises(InputError, match="CRC-32 does not match"):
        matmul.load_packed(damaged)
    for changes in ({"inputs": 16}, {"wide": False}, {"keep_outputs": ~packed.keep_outputs}):
        with pytest.raises(InputError, match="CRC-32 does not match"):
            matmul.load_packed(dataclasses.replace(packed, **changes))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the matrix is a ndarray; give one that pack_matrix or load returned"):
        matmul.load_packed(weights)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="packed for another design"):
        matmul.load_packed(dataclasses.replace(packed, design_hash="0" * 64))
    assert np.array_equal(matmul(x), x.astype(int) @ weights.T.astype(int))


def test_a_load_that_device_memory_does_not_hold_leaves_the_matrix_before(
    matmul: SparseMatmul, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = some(DESIGNS["wide"])
    golden = load(matmul, product)
    memory, allocate = matmul._overlay.device.default_memory, matmul._allocate
    before = memory.live_allocations
    for allowed in range(5):  # the record; activations and results of two launches
        left = iter(range(allowed))

        def refuse(shape: Any, dtype: Any, left: Iterator[int] = left) -> Any:
            if next(left, None) is None:
                raise HostError("no device memory")
            return allocate(shape, dtype)

        with monkeypatch.context() as patch:
            patch.setattr(matmul, "_allocate", refuse)
            with pytest.raises(HostError, match="no device memory"):
                matmul.load(np.ones((3, 5), np.int8))
        assert memory.live_allocations == before
        assert np.array_equal(matmul(product.activations), golden)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (np.zeros((2, 4), np.int8), r"activations are \(2, 4\) int8; expected \(m, 5\) int8"),
        (np.zeros((2, 5), np.int16), r"activations are \(2, 5\) int16"),
        (np.zeros(5, np.int8), r"activations are \(5,\) int8"),
        (np.zeros((0, 5), np.int8), "with m at least 1"),
        ([[1.5] * 5], "float64"),
        ([[1], [2, 3]], "activations cannot be read as an array"),
    ],
)
def test_bad_activations(activations: Any, message: str, matmul: SparseMatmul) -> None:
    matmul.load(np.ones((3, 5), np.int8))
    with pytest.raises(InputError, match=message):
        matmul(activations)


def test_the_lowest_activation_where_a_pair_of_it_fits_no_dsp(opened: Callable[..., SparseMatmul]) -> None:
    with opened("zynq") as matmul:
        matmul.load(np.ones((3, 5), np.int8))
        rows = np.zeros((4, 5), np.int8)
        rows[2, 1] = -128
        with pytest.raises(InputError, match=r"activations\[2, 1\] is -128; the DSPs of this board take -127 to 127"):
            matmul(rows)


def test_the_file_beside_the_bitstream_must_be_of_its_design(overlays: Overlays, tmp_path: Path) -> None:
    from vitforge_host import IdentityError, OverlayError

    for path in overlays["wide"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    sim = tmp_path / "vitforge.sim.json"
    library = (overlays["wide"] / _library(sim)).resolve()
    sim.write_text(sim.read_text().replace(_library(sim), str(library)))
    beside = tmp_path / "vitforge.sparse_matmul.json"
    text = beside.read_text()
    beside.write_text(text.replace(DESIGNS["wide"].hash.hex(), "ab" * 32))
    with pytest.raises(IdentityError, match=r"the \.sparse_matmul\.json beside it for design abababab"):
        SparseMatmul(tmp_path, device=SimDevice(ddr_bytes=1 << 24))
    beside.write_text(text.replace('"k_max": 150', '"k_max": "many"'))
    with pytest.raises(OverlayError, match="does not describe a sparse_matmul overlay"):
        SparseMatmul(tmp_path, device=SimDevice(ddr_bytes=1 << 24))
    beside.unlink()
    with pytest.raises(OverlayError, match="is missing"):
        SparseMatmul(tmp_path / "vitforge.bit", device=SimDevice(ddr_bytes=1 << 24))


def _library(manifest: Path) -> str:
    import json

    (entry,) = json.loads(manifest.read_text())["ip"].values()
    return str(entry["lib"])


def test_opening_and_closing_leaks_nothing(overlays: Overlays) -> None:
    product = some(DESIGNS["wide"], 5)
    device = SimDevice(ddr_bytes=1 << 26)

    def cycle() -> None:
        with SparseMatmul(overlays["wide"], device, batch=4) as matmul:
            matmul.load(product.weights, sparsity=product.sparsity, **product.rest)
            matmul(product.activations)

    check_cycles(device, cycle)


def test_batches_larger_than_device_memory_are_split(overlays: Overlays) -> None:
    product = some(DESIGNS["wide"], 40)
    device = SimDevice(ddr_bytes=3 << 16)
    with SparseMatmul(overlays["wide"], device, batch=4096) as matmul:
        golden = load(matmul, product)
        assert 1 <= matmul.batch < 4096
        assert np.array_equal(matmul(product.activations), golden)
    assert device.default_memory.live_allocations == 0


def test_a_benchmark_names_what_takes_the_time(matmul: SparseMatmul) -> None:
    with pytest.raises(InputError, match="no matrix"):
        matmul.benchmark()
    golden = load(matmul, some(DESIGNS["wide"]))
    report = matmul.benchmark((1, 8, 5000), launches=2)
    assert report.unit == "rows" and [row.batch for row in report.rows] == [1, 8]
    assert all(row.host_ms > 0 and row.transfer_ms > 0 for row in report.rows)
    assert np.array_equal(matmul(some(DESIGNS["wide"]).activations), golden)  # and all is as before
