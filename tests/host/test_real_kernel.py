# SPDX-License-Identifier: Apache-2.0
"""The driver with the real accelerator: blob, chunk lists, registers and cache maintenance against the golden model."""

from __future__ import annotations

from dataclasses import replace
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
from vitforge.quantize.model import QuantModel
from vitforge.quantize.prune import prune_quantized, prune_two_of_four, random_keep
from vitforge_host import InputError, SimulationError, VitAccelerator, slots
from vitforge_host.blob import read_blob
from vitforge_host.sim import SimDevice


@pytest.fixture
def sparse_design(design: Design) -> Design:
    """One that takes 2:4 weights too."""
    return replace(design, folding=replace(design.folding, sparse=1, lane_banks=1, tr=2))


def version(model: QuantModel, name: str) -> QuantModel:
    """Of a model: random masks, 2:4, both, or nothing left of any block."""
    rng = np.random.default_rng(3)
    share = {"pruned": 0.5, "pruned 2:4": 0.7, "emptied": 0.0}.get(name, 1.0)
    keep = [random_keep(rng, model.shape, share) for _ in range(model.shape.depth)]
    found = prune_quantized(model, keep) if share < 1 else model
    return prune_two_of_four(found) if "2:4" in name else found


def test_one_session_runs_every_version_of_a_model(sparse_design: Design, tmp_path: Path) -> None:
    bitfile, blob, model = write_all(sparse_design, tmp_path)
    images = random_images(np.random.default_rng(2), sparse_design.shape, 11)
    device = SimDevice(ddr_bytes=1 << 26)
    with VitAccelerator(bitfile, blob, device=device, batch=5) as accelerator:
        assert (accelerator.logits(images) == forward(model, images)).all()
        for name in ("pruned", "2:4", "pruned 2:4", "emptied", "dense"):
            other = version(model, name)
            path = tmp_path / f"{name}.blob"
            path.write_bytes(build_blob(sparse_design, other))
            accelerator.load(path)
            assert (accelerator.logits(images) == forward(other, images)).all()


def test_a_blob_that_cannot_be_loaded_leaves_the_weights(design: Design, project: Any, tmp_path: Path) -> None:
    bitfile, blob, model = project
    images = random_images(np.random.default_rng(2), design.shape, 3)
    content = build_blob(design, version(model, "pruned"))
    sections = read_blob(content).manifest["sections"]
    entry = sections["ln1.0"]  # its records hold the keep mask of the first norm
    middle = (entry["offset_beats"] + entry["beats"] // 2) * design.beat_bytes
    refused = {
        "instead of": content[:middle],  # cut off in the middle of a mask
        "section ln1.0": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "another overlay": build_blob(replace(design, folding=replace(design.folding, tt_nsa=8)), model),
    }
    with VitAccelerator(bitfile, blob, device=SimDevice(ddr_bytes=1 << 26), batch=5) as accelerator:
        for sentence, damaged in refused.items():
            path = tmp_path / "damaged.blob"
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=sentence):
                accelerator.load(path)
            assert (accelerator.logits(images) == forward(model, images)).all()


@pytest.fixture
def project(design: Design, tmp_path: Path) -> Any:
    """Overlay and blob of a random model, and the model."""
    return write_all(design, tmp_path)


def write_all(design: Design, tmp_path: Path) -> tuple[Path, Path, QuantModel]:
    """Overlay and blob of a random model on ``design``, and the model."""
    model = random_quant_model(np.random.default_rng(11), design.shape)
    images = random_images(np.random.default_rng(1), design.shape, 5)
    for name, content in project_files(design, model, images, forward(model, images)).items():
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
