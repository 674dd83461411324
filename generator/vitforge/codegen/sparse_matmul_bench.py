# SPDX-License-Identifier: Apache-2.0
"""What the generated test bench of a sparse_matmul project runs: seeded rows and matrices, and the golden results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge.golden.sparse_matmul import sparse_matmul
from vitforge_host.sparse_matmul_format import SparseMatmulFormat
from vitforge_host.sparse_matmul_packets import pack_activations, pack_results
from vitforge_host.sparse_matrix import DENSE, TWO_OF_FOUR, pack_matrix, prune_two_of_four

_SEED = 20261123
_ROWS, _INPUTS, _OUTPUTS = 19, 77, 21  # at most; they divide nothing


@dataclass(frozen=True, kw_only=True)
class BenchLaunch:
    """One launch and what must come out."""

    name: str  # of its files
    registers: list[int]
    matrix: bytes
    results: bytes
    element_bytes: int


@dataclass(frozen=True, kw_only=True)
class BenchData:
    """All data of the test bench."""

    rows: int
    activations: bytes
    launches: list[BenchLaunch]


def format_of(design: SparseMatmulDesign) -> SparseMatmulFormat:
    """What the driver knows of ``design``."""
    names = ("tc", "tk", "td", "block_rows", "k_max", "n_max", "sparse", "activation_lowest", "beat_bytes")
    return SparseMatmulFormat(**{name: getattr(design, name) for name in names}, design_hash=design.hash.hex())


def launch_registers(matrix_bytes: int, head_beats: int, rows: int, design: SparseMatmulDesign) -> list[int]:
    """Registers in the order of the arguments that are inputs."""
    return [matrix_bytes // design.beat_bytes, head_beats, rows]


@dataclass(frozen=True, kw_only=True)
class BenchInputs:
    """Activations (m, k), and by name the weights (n, k) of a launch, their sparsity, and further arguments."""

    activations: NDArray[np.int8]
    matrices: dict[str, tuple[NDArray[np.int8], str, dict[str, Any]]]


def bench_inputs(design: SparseMatmulDesign) -> BenchInputs:
    """A few rows times matrices of every kind that the design takes."""
    rng = np.random.default_rng(_SEED)
    m, k, n = design.block_rows + min(design.block_rows, _ROWS), min(design.k_max, _INPUTS), min(design.n_max, _OUTPUTS)
    x = rng.integers(design.activation_lowest, 128, (m, k)).astype(np.int8)
    weights = rng.integers(-127, 128, (n, k)).astype(np.int8)
    scale: dict[str, Any] = {"mult": rng.integers(1 << 15, 1 << 16, n), "shift": rng.integers(20, 26, n)}
    bias = rng.integers(-1 << 14, 1 << 14, n)
    inputs, outputs = rng.random(k) < 0.5, rng.random(n) < 0.6
    pruned = weights * (outputs[:, None] & inputs[None, :])
    masks: dict[str, Any] = {"keep_inputs": inputs, "keep_outputs": outputs}
    matrices: dict[str, tuple[Any, str, dict[str, Any]]] = {
        "dense": (weights, DENSE, {"bias": bias, **scale}),
        "structured": (pruned, DENSE, {"bias": bias * outputs, **scale, **masks}),
        "sums": (weights, DENSE, {"bias": bias}),
    }
    if design.sparse:
        matrices["two_of_four"] = (prune_two_of_four(pruned, inputs), TWO_OF_FOUR, {**scale, **masks})
    return BenchInputs(activations=x, matrices=matrices)


def bench_data(design: SparseMatmulDesign) -> BenchData:
    """Registers and data of `bench_inputs`, and what must come out."""
    format_, inputs, launches = format_of(design), bench_inputs(design), []
    x = inputs.activations
    for name, (matrix, sparsity, rest) in inputs.matrices.items():
        packed = pack_matrix(matrix, format_, sparsity=sparsity, **rest)
        results = pack_results(sparse_matmul(x, matrix, **rest), packed, format_)
        launches.append(
            BenchLaunch(
                name=name,
                registers=launch_registers(len(packed.data), packed.head_beats, len(x), design),
                matrix=packed.data.tobytes(),
                results=results.tobytes(),
                element_bytes=4 if packed.wide else 1,
            )
        )
    return BenchData(rows=len(x), activations=pack_activations(x, format_).tobytes(), launches=launches)
