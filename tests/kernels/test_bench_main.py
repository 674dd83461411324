# SPDX-License-Identifier: Apache-2.0
"""The Vitis test bench: passes on the generated data, and fails on one flipped bit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kernels.designs import DESIGNS
from kernels.support import quant_model, write_sources
from vitforge.csim.build import build_executable
from vitforge.csim.headers import HEADER_SETS


def run_bench(executable: Path, data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(executable), str(data)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(params=[*(("ragged", headers) for headers in sorted(HEADER_SETS)), ("backbone", "vitforge")])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """(executable, data directory) of a design with logits, and of one with features."""
    name, headers = request.param
    design = DESIGNS[name]
    hls = write_sources(design, quant_model(design, "random"), tmp_path)
    executable = build_executable(
        [hls / "src" / "vitforge_vit.cpp", hls / "tb" / "tb_main.cpp"],
        headers=HEADER_SETS[headers](),
        include_dirs=[hls / "include"],
        name=f"{name}_tb",
    )
    return executable, hls / "data"


def test_passes_on_generated_data(bench: tuple[Path, Path]) -> None:
    done = run_bench(*bench)
    assert done.returncode == 0, done.stdout
    assert "PASS" in done.stdout


@pytest.mark.parametrize("name", ["logits.bin", "images.bin"])
def test_fails_on_one_flipped_bit(bench: tuple[Path, Path], name: str) -> None:
    executable, data = bench
    content = bytearray((data / name).read_bytes())
    # The middle of the images is a pixel of a patch; its top bit moves it by half the range.
    content[len(content) // 2 if name == "images.bin" else 0] ^= 0x80
    (data / name).write_bytes(content)
    done = run_bench(executable, data)
    assert done.returncode == 1
    assert "FAIL" in done.stdout


def test_missing_data_is_named(bench: tuple[Path, Path], tmp_path: Path) -> None:
    executable, _ = bench
    done = run_bench(executable, tmp_path / "nowhere")
    assert done.returncode == 2
    assert "list_ln1.bin" in done.stdout
