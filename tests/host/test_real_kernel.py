# SPDX-License-Identifier: Apache-2.0
"""The driver with the real accelerator: blob, chunk lists, registers and cache maintenance against the golden model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitforge.codegen.project import test_bench_files as project_files
from vitforge.csim.build import build_shared
from vitforge.csim.headers import own_headers
from vitforge.deploy.overlay import write_overlay
from vitforge.design.design import Design
from vitforge.golden.random_model import random_images, random_quant_model
from vitforge.golden.vit import forward
from vitforge.quantize.blob import build_blob
from vitforge_host import SimulationError, VitAccelerator, slots
from vitforge_host.sim import SimDevice


@pytest.fixture
def project(design: Design, tmp_path: Path) -> Any:
    """Overlay and blob of a random model, and the model."""
    model = random_quant_model(np.random.default_rng(11), design.shape)
    for name, content in project_files(design, model, random_images(np.random.default_rng(1), design.shape, 5)).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    hls = tmp_path / "hls"
    sources = [hls / "src" / "vitforge_vit.cpp", hls / "tb" / "csim_api.cpp"]
    library = build_shared(sources, headers=own_headers(), include_dirs=[hls / "include"], name=design.name)
    write_overlay(tmp_path / "overlay", design, library=library)
    blob = tmp_path / "vitforge.blob"
    blob.write_bytes(build_blob(design, model))
    return tmp_path / "overlay" / "vitforge.bit", blob, model


def test_logits_equal_golden_through_the_whole_chain(
    project: Any, design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitfile, blob, model = project
    images = random_images(np.random.default_rng(2), design.shape, 23)
    with VitAccelerator(bitfile, blob, device=SimDevice(ddr_bytes=1 << 26), batch=9) as accelerator:
        assert (accelerator.logits(images) == forward(model, images)).all()
        assert (accelerator.logits(images[:1]) == forward(model, images[:1])).all()

    complete = slots.chunk_lists

    def one_chunk_short(manifest: Any, count: int) -> Any:
        lists, steps = complete(manifest, count)
        entries = lists["nmp"].copy()
        entries[-2:] = 0  # the end of the last step is gone, so the accelerator waits for it
        return lists | {"nmp": entries}, steps

    monkeypatch.setattr(slots, "chunk_lists", one_chunk_short)
    incomplete = VitAccelerator(bitfile, blob, device=SimDevice(ddr_bytes=1 << 26))
    with incomplete, pytest.raises(SimulationError, match="stopped with a fault: .*empty"):
        incomplete.logits(images)
