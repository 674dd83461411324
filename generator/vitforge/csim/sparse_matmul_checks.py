# SPDX-License-Identifier: Apache-2.0
"""The array of a compiled sparse_matmul kernel against plain products, then whole launches of every kind of matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.checks import KernelCheck
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary
from vitforge.golden.arith import requantize
from vitforge.golden.sparse_matmul import sparse_matmul
from vitforge_host.sparse_matrix import DENSE, TWO_OF_FOUR, pack_matrix, prune_two_of_four

_SEED = 20261123
_CYCLES = 64  # of the array
_SCALES = 2048
_LARGEST = 160  # inputs and outputs of the many cases; one more is of the compiled maxima


def check_array(library: SparseMatmulLibrary, check: KernelCheck) -> None:
    """Cycles of the array on random operands and extremes, each lane with any pick that it has."""
    rng, design = np.random.default_rng(_SEED), library.design
    lowest, lanes = design.activation_lowest, design.tk
    size = 2 * lanes if design.sparse else lanes
    pools = rng.integers(lowest, 128, (_CYCLES, design.tt, size))
    weights = rng.integers(-127, 128, (_CYCLES, design.tc, lanes))
    for i, (x, w) in enumerate([(lowest, 127), (lowest, -127), (127, 127), (127, -127), (0, 127)]):
        pools[i], weights[i] = x, w
    picks = rng.integers(0, 4, weights.shape) if design.sparse else np.zeros(weights.shape, int)
    lane = np.arange(lanes)
    source = lane // 2 * 4 + picks if design.sparse else np.broadcast_to(lane, weights.shape)
    chosen = pools[np.arange(_CYCLES)[:, None, None, None], np.arange(design.tt)[:, None, None], source[:, None]]
    sums = np.zeros((_CYCLES, design.tt, design.tc), np.int32)
    operands = [np.ascontiguousarray(part, np.int8) for part in (pools, weights)]
    library.csim.call("vf_sparse_mac", *operands, np.ascontiguousarray(picks, np.int32), _CYCLES, sums)
    check.compare("sums", (chosen * weights[:, None]).sum(axis=-1), sums)


def check_requantize(library: SparseMatmulLibrary, check: KernelCheck) -> None:
    """Sums over the whole range of an accumulator, every shift."""
    rng, limit = np.random.default_rng(_SEED), 1 << 26
    sums = np.concatenate([[-limit, limit - 1, 0, -1], rng.integers(-limit, limit, _SCALES - 4)]).astype(np.int32)
    mults = rng.integers(0, 1 << 16, _SCALES).astype(np.int32)
    shifts = np.resize(np.arange(1, 63), _SCALES).astype(np.int32)
    got = np.zeros(_SCALES, np.int64)
    library.csim.call("vf_sparse_requantize", sums, mults, shifts, _SCALES, got)
    check.compare("scaled", requantize(sums, mults, shifts), got)


@dataclass(frozen=True)
class Case:
    """A product; ``rest`` are further arguments of golden model and packing alike."""

    name: str
    activations: NDArray[np.int8]
    weights: NDArray[np.int8]
    sparsity: str = DENSE
    rest: dict[str, Any] = field(default_factory=dict)


def _sizes(library: SparseMatmulLibrary) -> list[tuple[int, int, int]]:
    """(rows, inputs, outputs): one of each, a beat and one less or more, what divides nothing, several blocks."""
    design, beat = library.design, library.design.beat_bytes
    k, n = min(design.k_max, _LARGEST), min(design.n_max, _LARGEST // 2)
    sizes = [(1, 1, 1), (design.tt + 1, min(k, beat), n), (design.block_rows, min(k, 2 * beat + 1), min(n, design.tc))]
    sizes += [(2 * design.block_rows + 3, min(k, beat - 1), min(n, design.tc + 1)), (design.tt, k, n), (3, k, 1)]
    return sizes


def cases(library: SparseMatmulLibrary) -> Iterator[Case]:
    """Matrices of every kind in all sizes; the largest that fits; extremes; nothing kept."""
    rng, design = np.random.default_rng(_SEED), library.design
    kinds = (DENSE, TWO_OF_FOUR) if design.sparse else (DENSE,)

    def numbers(low: int, *shape: int) -> NDArray[np.int8]:
        return rng.integers(low, 128, shape).astype(np.int8)

    for m, k, n in _sizes(library):
        for sparsity in kinds:
            for kept in (1.0, 0.5, 0.0):
                keep = {"keep_inputs": rng.random(k) < kept, "keep_outputs": rng.random(n) < max(kept, 0.5)}
                keep["keep_outputs"][0] = True
                weights = numbers(-127, n, k) * (keep["keep_outputs"][:, None] & keep["keep_inputs"])
                if sparsity == TWO_OF_FOUR:
                    weights = prune_two_of_four(weights, keep["keep_inputs"])
                bias = rng.integers(-(1 << 18), 1 << 18, n) * keep["keep_outputs"]
                scale = {"mult": rng.integers(1 << 15, 1 << 16, n), "shift": rng.integers(20, 27, n)}
                for rest in ({"bias": bias, **scale}, {"bias": bias}):
                    name = f"{sparsity}, {kept:.0%} kept, {m} x {k} x {n}, {'int8' if 'mult' in rest else 'int32'}"
                    yield Case(name, numbers(design.activation_lowest, m, k), weights, sparsity, {**rest, **keep})
    k, n = design.k_max, design.n_max
    fixed = {"mult": 1 << 15, "shift": 15 + 8 + k.bit_length()}
    yield Case("compiled maxima", numbers(design.activation_lowest, design.tt, k), numbers(-127, n, k), DENSE, fixed)
    for x in (design.activation_lowest, 0, 127):
        for w in (-127, 127):
            full = np.full((design.tt, k), x, np.int8), np.full((design.tc, k), w, np.int8)
            yield Case(f"all {x} times all {w}", *full)
            yield Case(f"all {x} times all {w}, requantised", *full, DENSE, fixed)


def check_launches(library: SparseMatmulLibrary, check: KernelCheck) -> None:
    """Results of whole launches, and their status."""
    for case in cases(library):
        golden = sparse_matmul(case.activations, case.weights, **case.rest)
        matrix = pack_matrix(case.weights, library.format, sparsity=case.sparsity, **case.rest)
        got, registers = library.multiply(case.activations, matrix)
        check.compare(case.name, golden, got)
        check.compare(f"{case.name}: status", np.zeros(1, int), np.array([registers["status"]]))


Check = Callable[[SparseMatmulLibrary, KernelCheck], None]


def sparse_matmul_checks(library: SparseMatmulLibrary) -> dict[str, Check]:
    """Checks by name; the last one is all of it."""
    return {"array": check_array, "requantize": check_requantize, "launches": check_launches}
