# SPDX-License-Identifier: Apache-2.0
"""Matrices that reports on a sparse_matmul design are about: of the compiled size, dense and pruned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.design.sparse_matmul import SparseMatmulDesign

KEPT = (0.75, 0.5, 0.25)  # shares of the weights, of matrices that are pruned in whole inputs and outputs
_SEED = 20261123


@dataclass(frozen=True)
class MatrixCase:
    """A kind of matrix: what it keeps of k_max inputs and n_max outputs, and whether it is 2:4 besides."""

    name: str
    inputs: NDArray[np.bool_]
    outputs: NDArray[np.bool_]
    is_two_of_four: bool

    def macs(self, rows: int) -> int:
        """Products that count: pruned ones do not."""
        kept = int(self.inputs.sum()) * int(self.outputs.sum())
        return rows * (kept // 2 if self.is_two_of_four else kept)


def matrix_cases(design: SparseMatmulDesign, kept: Sequence[float] = KEPT) -> list[MatrixCase]:
    """Dense, and pruned to each share of ``kept``; where the array takes them, the same 2:4.

    Inputs and outputs are pruned at random, equal shares of both: "structured_50" keeps half of the weights.
    """
    masks = {"": (np.ones(design.k_max, bool), np.ones(design.n_max, bool))}
    for share in kept:
        rng = np.random.default_rng(_SEED)
        masks[f"structured_{100 * share:.0f}"] = _mask(rng, design.k_max, share), _mask(rng, design.n_max, share)
    found = [MatrixCase(name or "dense", *both, False) for name, both in masks.items()]
    if design.sparse:
        found += [MatrixCase(f"{name}_two_of_four".lstrip("_"), *both, True) for name, both in masks.items()]
    return found


def _mask(rng: np.random.Generator, size: int, share: float) -> NDArray[np.bool_]:
    found = np.zeros(size, bool)
    found[rng.permutation(size)[: max(1, round(share**0.5 * size))]] = True
    return found
