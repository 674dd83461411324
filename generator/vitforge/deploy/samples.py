# SPDX-License-Identifier: Apache-2.0
"""Sample inputs of a project with the golden model's results: what `vitforge_host.selftest` runs, as an npz file."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from vitforge.codegen.a3_bench import bench_inputs as a3_inputs
from vitforge.codegen.sparse_matmul_bench import bench_inputs as matmul_inputs
from vitforge.csim.project import A3Project, Project, SparseMatmulProject
from vitforge.csim.run import default_images
from vitforge.golden.a3 import attend
from vitforge.golden.sparse_matmul import sparse_matmul
from vitforge.golden.vit import forward
from vitforge.model.samples import sample_images
from vitforge_host.fixed_point import decode

IMAGES = 8  # at most; twice as many as are in flight
Arrays = dict[str, NDArray]


def sample_file(project: Project | A3Project | SparseMatmulProject) -> bytes:
    """The samples of ``project``; the same project gives the same bytes."""
    if isinstance(project, Project):
        arrays = _images(project)
    else:
        arrays = _queries(project) if isinstance(project, A3Project) else _rows(project)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _images(project: Project) -> Arrays:
    """images (n, H, W, C) uint8, expected (n, classes) int32"""
    images = sample_images(project.design.shape, min(IMAGES, default_images(project.design)))
    return {"images": images, "expected": forward(project.model(), images)}


def _queries(project: A3Project) -> Arrays:
    """keys, values (n, d), queries (b, d) float64; of each setting m, t (0 for None) and expected (b, d)"""
    inputs, numbers = a3_inputs(project.design), project.design.numbers
    scale, settings = inputs.keys.shape[1] ** -0.5, list(inputs.settings.values())
    found = [
        attend(inputs.keys, inputs.values, inputs.queries, numbers=numbers, scale=scale, m=m, t=t) for m, t in settings
    ]
    reals = {name: decode(getattr(inputs, name), numbers.fraction_bits) for name in ("keys", "values", "queries")}
    return {
        **reals,
        "m": np.array([m or 0 for m, _ in settings]),
        "t": np.array([t or 0.0 for _, t in settings]),
        "expected": np.stack([decode(one.result, numbers.result_fraction) for one in found]),
    }


def _rows(project: SparseMatmulProject) -> Arrays:
    """activations (m, k) int8, names of matrices, and of each its weights, what goes with them, and expected (m, n)"""
    inputs = matmul_inputs(project.design)
    arrays: Arrays = {"activations": inputs.activations, "matrices": np.array(list(inputs.matrices))}
    for name, (weights, sparsity, rest) in inputs.matrices.items():
        expected = sparse_matmul(inputs.activations, weights, **rest)
        parts = {"weights": weights, "sparsity": np.array(sparsity), "expected": expected, **rest}
        arrays |= {f"{name}.{part}": value for part, value in parts.items()}
    return arrays
