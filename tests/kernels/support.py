# SPDX-License-Identifier: Apache-2.0
"""Models, images and sources of the small designs."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from vitforge.codegen.project import TEST_BENCH_IMAGES, test_bench_files
from vitforge.design.design import Design
from vitforge.golden.random_model import random_images, random_quant_model
from vitforge.golden.vit import forward
from vitforge.quantize.model import QuantModel

MODELS = ("random", "extreme", "zero")


def quant_model(design: Design, kind: str) -> QuantModel:
    """A seeded integer model: alive, saturating, or all zero."""
    rng = np.random.default_rng(zlib.crc32(f"{design.name}/{kind}".encode()))
    return random_quant_model(rng, design.shape, extreme=kind == "extreme", zero=kind == "zero")


def images(design: Design, count: int) -> np.ndarray:
    """Seeded images; the first is black, the second white."""
    return random_images(np.random.default_rng(count), design.shape, count)


def write_sources(design: Design, model: QuantModel, directory: Path) -> Path:
    """hls/ of a project with this design; returns its directory."""
    pictures = images(design, TEST_BENCH_IMAGES)
    for name, data in test_bench_files(design, model, pictures, forward(model, pictures)).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory / "hls"
