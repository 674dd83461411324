# SPDX-License-Identifier: Apache-2.0
"""Pruned models on the overlay of the dense one: any kept size, from all to nothing, equals the golden model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kernels.designs import DESIGNS
from kernels.support import images, quant_model, write_sources
from vitforge.csim.build import build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS
from vitforge.csim.model_run import run_model
from vitforge.design.design import Design
from vitforge.golden.vit import forward
from vitforge.model.keep import BlockKeep, mask_shapes
from vitforge.quantize.blob import build_blob
from vitforge.quantize.model import QuantModel
from vitforge.quantize.prune import prune_quantized, prune_two_of_four, random_keep

IMAGES = 5  # more than are in flight


@pytest.fixture(scope="module", params=sorted(DESIGNS))
def overlay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Design, CsimLibrary]:
    """A design, compiled for its dense model."""
    design = DESIGNS[request.param]
    hls = write_sources(design, quant_model(design, "random"), tmp_path_factory.mktemp("overlay"))
    path = build_shared(
        [hls / "src" / "vitforge_vit.cpp", hls / "tb" / "csim_api.cpp"],
        headers=HEADER_SETS["vitforge"](),
        include_dirs=[hls / "include"],
        name=design.name,
    )
    return design, CsimLibrary(path)


def check(overlay: tuple[Design, CsimLibrary], model: QuantModel) -> None:
    design, library = overlay
    pictures = images(design, IMAGES)
    results = run_model(library, design, build_blob(design, model), pictures, at_once=IMAGES)
    assert np.array_equal(results, forward(model, pictures))


def pruned(design: Design, seed: int, fraction: float, kind: str = "random") -> QuantModel:
    rng = np.random.default_rng(seed)
    keep = [random_keep(rng, design.shape, fraction) for _ in range(design.shape.depth)]
    return prune_quantized(quant_model(design, kind), keep)


@pytest.mark.parametrize("fraction", [0.9, 0.6, 0.3, 0.1])
@pytest.mark.parametrize("kind", ["random", "extreme"])
def test_random_masks(overlay: tuple[Design, CsimLibrary], fraction: float, kind: str) -> None:
    for seed in range(3):
        check(overlay, pruned(overlay[0], seed, fraction, kind))


@pytest.mark.parametrize("name", ["norm1", "qk", "v", "proj", "norm2", "hidden", "fc2", "everything"])
@pytest.mark.parametrize("left", [0, 1])
def test_a_dimension_with_nothing_left_or_one(overlay: tuple[Design, CsimLibrary], name: str, left: int) -> None:
    """In the last block alone, then in all."""
    design = overlay[0]
    shape, depth = design.shape, design.shape.depth
    for blocks in {(depth - 1,), tuple(range(depth))}:
        keep = []
        for block in range(depth):
            masks = {part: np.ones(size, bool) for part, size in mask_shapes(shape).items()}
            for part, mask in masks.items():
                if block in blocks and name in (part, "everything"):
                    mask[...] = False
                    mask.flat[mask.size // 2] = bool(left)
            keep.append(BlockKeep(**masks))
        check(overlay, prune_quantized(quant_model(design, "random"), keep))


@pytest.mark.parametrize("fraction", [1.0, 0.5])
@pytest.mark.parametrize("kind", ["random", "extreme"])
def test_two_of_four(overlay: tuple[Design, CsimLibrary], fraction: float, kind: str) -> None:
    """On arrays that take such weights in half the steps, and on those that take them as dense ones."""
    for seed in range(3):
        check(overlay, prune_two_of_four(pruned(overlay[0], seed, fraction, kind)))


def test_heads_of_different_sizes(overlay: tuple[Design, CsimLibrary]) -> None:
    """Small queries before large values, and the other way round: contexts take the place of queries."""
    design = overlay[0]
    heads, dim = design.shape.num_heads, design.shape.head_dim
    for order in (1, -1):
        sizes = [1 + (dim - 1) * head // max(1, heads - 1) for head in range(heads)][::order]
        qk = np.arange(dim)[None, :] < np.array(sizes)[:, None]
        keep = [
            dataclasses.replace(random_keep(np.random.default_rng(1), design.shape, 1.0), qk=qk, v=qk[::-1].copy())
            for _ in range(design.shape.depth)
        ]
        check(overlay, prune_quantized(quant_model(design, "random"), keep))
