# SPDX-License-Identifier: Apache-2.0
"""All files of a generated project, as bytes: the same inputs give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge import __version__
from vitforge.codegen.context import (
    Extent,
    HwContext,
    ModelContext,
    NormContext,
    TablesContext,
    TestBenchContext,
    TopContext,
    TypesContext,
)
from vitforge.codegen.environment import render
from vitforge.codegen.storage import StorageContext
from vitforge.design.design import Design
from vitforge.design.registers import TOP_NAME
from vitforge.quantize.blob import build_blob
from vitforge.quantize.model import QuantModel
from vitforge.resources import data_dir
from vitforge_host.blob import pack_images, pack_results, read_blob
from vitforge_host.schedule import chunk_lists

Files = dict[str, bytes]
BLOB = "weights/vitforge.blob"
TEST_BENCH_IMAGES = 5  # more than the four in flight, so that a slot is reused


@dataclass(frozen=True, kw_only=True)
class TestBenchData:
    """DDR contents of the test bench, in the layout the accelerator reads."""

    blob: bytes
    lists: dict[str, bytes]  # unit -> chunk list
    images: bytes
    logits: bytes
    extent: Extent

    @classmethod
    def build(cls, design: Design, blob: bytes, images: NDArray[np.uint8], logits: NDArray) -> TestBenchData:
        manifest = read_blob(blob).manifest
        lists, n_steps = chunk_lists(manifest, len(images))
        longest = max(entries.nbytes for entries in lists.values())
        padded = {unit: entries.tobytes().ljust(longest, b"\0") for unit, entries in lists.items()}
        return cls(
            blob=blob,
            lists=padded,
            images=pack_images(images, manifest).tobytes(),
            logits=pack_results(logits, manifest).tobytes(),
            extent=Extent(
                images=len(images),
                n_steps=n_steps,
                list_beats=longest // design.beat_bytes,
                blob_beats=len(blob) // design.beat_bytes,
            ),
        )


def hls_files(design: Design, data: TestBenchData) -> Files:
    """Everything below hls/: kernels, configuration, top, test bench and its data."""
    top = TopContext.build(design, data.extent)
    bench = TestBenchContext.build(data.extent)
    texts = {
        "hls/include/vitforge/exp_tables.hpp": render("hls/exp_tables.hpp.jinja", tables=TablesContext.build()),
        "hls/include/vitforge/norm_step.hpp": render("hls/norm_step.hpp.jinja", norm=NormContext.build(design)),
        "hls/include/vitforge/storage.hpp": render("hls/storage.hpp.jinja", storage=StorageContext.build(design)),
        "hls/include/model_config.hpp": render("hls/model_config.hpp.jinja", model=ModelContext.build(design)),
        "hls/include/types.hpp": render("hls/types.hpp.jinja", types=TypesContext.build(design)),
        "hls/include/hw_config.hpp": render("hls/hw_config.hpp.jinja", hw=HwContext.build(design, data.extent)),
        f"hls/src/{TOP_NAME}.cpp": render("hls/top.cpp.jinja", top=top),
        "hls/tb/csim_api.cpp": render("hls/csim_api.cpp.jinja", top=top),
        "hls/tb/tb_main.cpp": render("hls/tb_main.cpp.jinja", top=top, tb=bench),
    }
    files = {name: text.encode() for name, text in texts.items()}
    files |= kernel_headers("", ())
    files["hls/data/blob.bin"] = data.blob
    files["hls/data/images.bin"] = data.images
    files["hls/data/logits.bin"] = data.logits
    for unit, entries in data.lists.items():
        files[f"hls/data/list_{unit}.bin"] = entries
    return files


def kernel_headers(folder: str, common: tuple[str, ...]) -> Files:
    """The headers in ``folder`` of the kernels, and ``common`` ones of others that these use too."""
    root = data_dir("templates") / "include" / "vitforge"
    paths = [root / name for name in common] + sorted((root / folder).glob("*.hpp"))
    return {f"hls/include/vitforge/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}


def weight_files(blob: bytes) -> Files:
    """weights/: the blob the driver loads, and its manifest for people."""
    manifest = read_blob(blob).manifest
    return {BLOB: blob, "weights/manifest.json": _json(manifest)}


def host_files() -> Files:
    """host/: the driver package as it runs on the board."""
    import vitforge_host

    root = Path(vitforge_host.__file__).parent
    return {
        f"host/vitforge_host/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*.py"))
    }


def report_files(reports: Mapping[str, object]) -> Files:
    """report/*.json"""
    return {f"report/{name}.json": _json(content) for name, content in reports.items()}


def project_file(
    kernel: str, design_hash: bytes, design: Mapping[str, object], settings: Mapping[str, object]
) -> bytes:
    """project.json: what the project was made from, so that later commands need nothing else.

    design : its plain data
    """
    return _json(
        {
            "generator": "vitforge",
            "version": __version__,
            "kernel": kernel,
            "design_hash": design_hash.hex(),
            "design": design,
            "settings": settings,
        }
    )


def test_bench_files(design: Design, model: QuantModel, images: NDArray[np.uint8], logits: NDArray) -> Files:
    """hls/ and weights/ of a project; ``logits`` are what the golden model makes of ``images``."""
    blob = build_blob(design, model)
    data = TestBenchData.build(design, blob, images[:TEST_BENCH_IMAGES], logits[:TEST_BENCH_IMAGES])
    return hls_files(design, data) | weight_files(blob)


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
