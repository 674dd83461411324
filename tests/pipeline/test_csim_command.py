# SPDX-License-Identifier: Apache-2.0
"""`vitforge csim` on the model that ships: bit-exact on both header sets, and honest when it is not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.cli import main
from vitforge.csim.overlay import csim_overlay
from vitforge.csim.project import load_project
from vitforge.csim.run import MOST_IMAGES, csim, default_images
from vitforge.generate import GenerateResult, generate
from vitforge.model.deit import deit_shape
from vitforge.timing.estimate import macs_per_image

KERNELS = {
    "dsp_pack",
    "mac_array",
    "requantize",
    "layer_norm",
    "gelu",
    "softmax",
    "keep_mask",
    "nsa_engine",
    "nmp_engine",
    "patch_embedding",
    "class_head",
    "model",
}


def test_shipped_model_is_bit_exact_on_64_images(generated: GenerateResult) -> None:
    done = CliRunner().invoke(main, ["csim", str(generated.directory), "--images", "64", "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["mismatches"] == 0
    assert facts["headers"] == ["vitforge", "amd"]
    assert facts["images"] == 64
    assert facts["images_chosen"] is False
    assert 0 < 64 * facts["seconds_per_image"] < facts["seconds"]
    macs = macs_per_image(load_project(generated.directory).design)
    assert facts["macs_per_second"] == pytest.approx(macs / facts["seconds_per_image"])
    names = [kernel["name"] for kernel in facts["kernels"]]
    assert set(names) >= KERNELS
    assert all(kernel["elements"] > 0 and kernel["mismatches"] == 0 for kernel in facts["kernels"])


def entered(project: Path) -> list[bool]:
    """Whether the overlay of ``project`` names a library that exists, for each of its IPs."""
    overlay = project / "overlay"
    entries = json.loads((overlay / "vitforge.sim.json").read_text())["ip"].values()
    return [entry["lib"] is not None and (overlay / entry["lib"]).is_file() for entry in entries]


def test_afterwards_the_driver_finds_the_library(tmp_path: Path) -> None:
    vit, a3 = tmp_path / "vit", tmp_path / "a3"
    generate(board=load_board("zcu104"), output=vit)
    generate_a3(board=load_board("zcu104"), output=a3)
    assert entered(vit) == entered(a3) == [False]
    csim(vit, headers=("vitforge",), images=1)
    csim_overlay(a3, headers=("vitforge",))
    assert entered(vit) == entered(a3) == [True]


def test_a_changed_kernel_is_caught_and_named(generated: GenerateResult, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(generated.directory, project)
    source = project / "hls" / "include" / "vitforge" / "requantize.hpp"
    text = source.read_text()
    before = json.loads((project / "overlay" / "vitforge.sim.json").read_text())
    assert "(shift - 1)" in text
    source.write_text(text.replace("(shift - 1)", "(shift - 2)"))  # rounds at a quarter instead of a half
    done = CliRunner().invoke(main, ["csim", str(project), "--images", "1", "--headers", "vitforge"])
    assert done.exit_code == 1
    assert "requantize" in done.stderr
    assert "expected" in done.stderr
    assert json.loads((project / "overlay" / "vitforge.sim.json").read_text()) == before


def test_a_damaged_blob_is_refused(generated: GenerateResult, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(generated.directory, project)
    blob = np.fromfile(project / "weights" / "vitforge.blob", np.uint8)
    blob[len(blob) // 2] ^= 1
    blob.tofile(project / "weights" / "vitforge.blob")
    done = CliRunner().invoke(main, ["csim", str(project), "--images", "1", "--headers", "vitforge"])
    assert done.exit_code == 2
    assert "CRC" in done.stderr


@pytest.mark.parametrize("images", ["0", "-1"])
def test_bad_image_count(generated: GenerateResult, images: str) -> None:
    done = CliRunner().invoke(main, ["csim", str(generated.directory), "--images", images])
    assert done.exit_code == 2


def test_a_directory_that_is_no_project(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["csim", str(tmp_path)])
    assert done.exit_code == 2
    assert "project.json" in done.stderr


def test_python_call_of_the_same_name(generated: GenerateResult) -> None:
    result = csim(generated.directory, images=1, headers=("vitforge",))
    assert result.mismatches == 0
    assert result.to_json()["headers"] == ["vitforge"]


def test_speed_is_that_of_our_headers_or_unknown(generated: GenerateResult) -> None:
    facts = csim(generated.directory, images=1, headers=("amd",)).to_json()
    assert facts["seconds_per_image"] is None
    assert facts["macs_per_second"] is None


@pytest.mark.parametrize(("name", "images"), [(None, MOST_IMAGES), ("deit_tiny", 19), ("deit_base", 1)])
def test_large_models_run_on_fewer_images_by_default(generated: GenerateResult, name: str | None, images: int) -> None:
    design = load_project(generated.directory).design
    assert default_images(replace(design, shape=deit_shape(name)) if name else design) == images


def test_output_says_that_the_number_of_images_was_chosen(
    generated: GenerateResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    macs = macs_per_image(load_project(generated.directory).design)
    monkeypatch.setattr("vitforge.csim.run.MACS_BUDGET", 2.5 * macs)
    done = CliRunner().invoke(main, ["csim", str(generated.directory), "--headers", "vitforge"])
    assert done.exit_code == 0, done.output
    assert "2 images, chosen for the size of the model" in done.stdout
    assert "s an image with vitforge headers on one core" in done.stdout
