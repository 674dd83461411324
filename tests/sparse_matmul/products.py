# SPDX-License-Identifier: Apache-2.0
"""Random products for every kind of matrix that a design takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge_host import prune_two_of_four
from vitforge_host.sparse_matrix import DENSE, TWO_OF_FOUR


@dataclass(frozen=True)
class Product:
    """Activations (m, k), weights (n, k) and what golden model and packing take besides."""

    activations: np.ndarray
    weights: np.ndarray
    sparsity: str
    rest: dict[str, Any]


def _numbers(draw: st.DrawFn, rng: np.random.Generator, lowest: int, *shape: int) -> np.ndarray:
    """Random over the whole range, near its ends, or all the same."""
    kind = draw(st.sampled_from(["any", "any", "ends", "lowest", "highest", "zero"]))
    if kind == "ends":
        return rng.choice(np.array([lowest, lowest + 1, -1, 0, 1, 127]), shape).astype(np.int8)
    fixed = {"lowest": lowest, "highest": 127, "zero": 0}
    return np.full(shape, fixed[kind], np.int8) if kind in fixed else rng.integers(lowest, 128, shape).astype(np.int8)


@st.composite
def products(draw: st.DrawFn, design: SparseMatmulDesign) -> Product:
    """Ragged sizes, any masks, dense or 2:4, int8 or int32."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    m = draw(st.integers(1, 2 * design.block_rows + design.td + 1))
    k, n = draw(st.integers(1, design.k_max)), draw(st.integers(1, design.n_max))
    shares = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
    inputs, outputs = rng.random(k) < draw(shares), rng.random(n) < draw(shares)
    outputs[draw(st.integers(0, n - 1))] = True  # the driver alone does without any: nothing is launched
    weights = _numbers(draw, rng, -127, n, k) * (outputs[:, None] & inputs)
    sparsity = draw(st.sampled_from([DENSE, TWO_OF_FOUR] if design.sparse else [DENSE]))
    if sparsity == TWO_OF_FOUR:
        weights = prune_two_of_four(weights, inputs)
    rest: dict[str, Any] = {"bias": rng.integers(-(1 << 20), 1 << 20, n) * outputs}
    if not inputs.all() or draw(st.booleans()):
        rest["keep_inputs"] = inputs
    if not outputs.all() or draw(st.booleans()):
        rest["keep_outputs"] = outputs
    if draw(st.booleans()):
        rest |= {"mult": rng.integers(0, 1 << 16, n), "shift": rng.integers(1, 63, n)}
    return Product(_numbers(draw, rng, design.activation_lowest, m, k), weights, sparsity, rest)
