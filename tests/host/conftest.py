# SPDX-License-Identifier: Apache-2.0
"""A tiny design, a fake accelerator compiled for it, and simulated boards apart from pynq's process-wide state."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pynq.ps
import pytest
from pynq import Device

from vitforge.boards import load_board
from vitforge.csim.headers import capi_include
from vitforge.deploy.a3_overlay import write_a3_overlay
from vitforge.deploy.overlay import write_overlay
from vitforge.design.a3 import A3Design
from vitforge.design.design import Design, Folding
from vitforge.design.identity import design_hash
from vitforge.golden.random_model import random_quant_model
from vitforge.model.vit import ViTShape
from vitforge.quantize.blob import build_blob
from vitforge_host import A3, VitAccelerator
from vitforge_host.sim.device import SimDevice

SOURCE = Path(__file__).with_name("fake_accelerator.cpp")
A3_SOURCE = Path(__file__).with_name("fake_a3.cpp")


def tiny_design(board: str = "zcu104", clock_mhz: float = 250.0) -> Design:
    shape = ViTShape(
        image_size=(8, 12),
        channels=2,
        patch_size=4,
        embed_dim=16,
        depth=2,
        num_heads=2,
        hidden_dim=32,
        num_classes=5,
    )
    stores = {"resident_nsa": 4096, "resident_nmp": 60} if board == "zcu104" else {}  # the second holds some sections
    folding = Folding(tt_nsa=4, tt_nmp=4, tc=4, tk=8, td_nsa=2, td_nmp=2, **stores)
    return Design(name="tiny", board=load_board(board), shape=shape, folding=folding, clock_mhz=clock_mhz)


@pytest.fixture(scope="session")
def design() -> Design:
    return tiny_design()


@pytest.fixture(scope="session")
def zynq_7000_design() -> Design:
    return tiny_design("pynq-z2", 120.0)


@pytest.fixture(scope="session")
def blob_path(design: Design, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weight blob of a random model on the tiny design."""
    model = random_quant_model(np.random.default_rng(5), design.shape)
    path = tmp_path_factory.mktemp("weights") / "vitforge.blob"
    path.write_bytes(build_blob(design, model))
    return path


Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compile_fake(tmp_path_factory: pytest.TempPathFactory, design: Design) -> Compile:
    """Compile the fake accelerator with some of SLEEP_US, FAULT, EXTRA_RESULTS, HASH_LO set; results are kept."""
    directory = tmp_path_factory.mktemp("fake")
    digest = design_hash(design)
    geometry = {
        "ROWS": design.shape.seq_len,
        "ROW_BYTES": design.image_row_beats * design.beat_bytes,
        "WORDS": design.result_words,
        "LANES": design.folding.tc,
        "GROUP": design.head_images,
        "HASH_LO": f"{int.from_bytes(digest[:4], 'little')}u",
        "HASH_HI": f"{int.from_bytes(digest[4:8], 'little')}u",
    }

    def compiled(**defines: object) -> Path:
        flags = [f"-D{name}={value}" for name, value in (geometry | defines).items()]
        library = directory / ("fake" + "".join(f"-{k}{v}" for k, v in sorted(defines.items())) + ".so")
        return compile_once(SOURCE, flags, library)

    return compiled


def compile_once(source: Path, flags: list[str], library: Path) -> Path:
    if not library.exists():
        include = f"-I{capi_include()}"
        command = ["g++", "-shared", "-fPIC", "-pthread", "-O1", include, *flags, str(source), "-o", str(library)]
        subprocess.run(command, check=True, capture_output=True, text=True)
    return library


@pytest.fixture
def make_overlay(tmp_path: Path, design: Design, compile_fake: Compile) -> Callable[..., str]:
    """An overlay around the fake accelerator; returns the path of its bitfile."""

    def make(folder: str = "overlay", **defines: object) -> str:
        write_overlay(tmp_path / folder, design, library=compile_fake(**defines))
        return str(tmp_path / folder / "vitforge.bit")

    return make


@pytest.fixture(autouse=True)
def fresh_pynq() -> Iterator[None]:
    """pynq keeps its device list, active device and clock backend for the life of the process."""
    names = ("_devices", "_active_device")
    saved = {name: getattr(Device, name) for name in names if hasattr(Device, name)}
    yield
    for name in names:
        if name in saved:
            setattr(Device, name, saved[name])
        elif hasattr(Device, name):
            delattr(Device, name)
    if hasattr(pynq.ps.Clocks, "_real_instance"):
        del pynq.ps.Clocks._real_instance
    pynq.ps.Clocks.device = None


@pytest.fixture
def sync_device() -> SimDevice:
    """A strict simulated board on which a run ends inside the write that starts it."""
    return SimDevice(run_mode="sync", ddr_bytes=1 << 24)


@pytest.fixture
def thread_device() -> SimDevice:
    """A strict simulated board on which the accelerator runs beside the host."""
    return SimDevice(run_mode="thread", ddr_bytes=1 << 24)


@dataclass(frozen=True)
class Expected:
    """What the fake accelerator computes, from the pixels and independently of how they are packed."""

    design: Design

    def packed(self, images: np.ndarray) -> np.ndarray:
        """(n, H, W, C) uint8 -> (n, rows, row bytes) int64 as the accelerator's input format defines it."""
        shape, design = self.design.shape, self.design
        rows = np.full((len(images), shape.seq_len, design.image_row_beats * design.beat_bytes), 0x80, np.int64)
        edge, across = shape.patch_size, shape.image_size[1] // shape.patch_size
        for patch in range(shape.num_patches):
            top, left = patch // across * edge, patch % across * edge
            pixels = images[:, top : top + edge, left : left + edge, :].transpose(0, 3, 1, 2)
            rows[:, 1 + patch, : shape.patch_len] = pixels.reshape(len(images), -1)
        return rows

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(n, classes) int64."""
        sums = self.packed(images).sum(axis=2)
        row = np.arange(self.design.shape.seq_len)
        return np.stack([(sums * (row + c + 1)).sum(axis=1) for c in range(self.design.shape.num_classes)], axis=1)

    def by_image(self, words: np.ndarray) -> np.ndarray:
        """(n, result words) as they lie in DDR -> (n, classes).

        Class heads of a group of images are one job: tc logits of each of them, then the next tc of each.
        """
        tc, group, (count, width) = self.design.folding.tc, self.design.head_images, words.shape
        places = []
        for image in range(count):
            first = image // group * group
            size = min(group, count - first)
            places.append([first * width + (c // tc * size + image - first) * tc + c % tc for c in range(width)])
        return words.reshape(-1)[np.array(places)][:, : self.design.shape.num_classes]


@pytest.fixture
def expected(design: Design) -> Expected:
    return Expected(design)


@pytest.fixture
def images(design: Design) -> np.ndarray:
    """Seven random images."""
    height, width = design.shape.image_size
    return np.random.default_rng(7).integers(0, 256, (7, height, width, design.shape.channels), dtype=np.uint8)


@pytest.fixture
def opened(make_overlay: Callable[..., str], blob_path: Path, thread_device: Any) -> Callable[..., VitAccelerator]:
    """Open the driver over some variant of the fake accelerator."""

    def open_it(defines: dict[str, object] | None = None, **options: Any) -> VitAccelerator:
        return VitAccelerator(make_overlay(**(defines or {})), blob_path, **({"device": thread_device} | options))

    return open_it


@pytest.fixture(scope="session")
def a3_design() -> A3Design:
    """Two units, 9-bit elements in two bytes, results in 16 bits."""
    return A3Design(name="tiny", board=load_board("zcu104"), clock_mhz=250.0, n_max=24, d_max=20, width=16, units=2)


@pytest.fixture(scope="session")
def compile_fake_a3(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile the fake A3 kernel for a design, with some of its settings; results are kept."""
    directory = tmp_path_factory.mktemp("fake-a3")

    def compiled(design: A3Design, **defines: object) -> Path:
        facts = {
            "UNITS": design.units,
            "ELEMENT_BYTES": design.element_bytes,
            "BEAT_BYTES": design.beat_bytes,
            "RESULT_BYTES": design.numbers.result_bytes,
            "APPROXIMATE": int(design.approximate),
            "HASH_LO": f"{int.from_bytes(design.hash[:4], 'little')}u",
            "HASH_HI": f"{int.from_bytes(design.hash[4:8], 'little')}u",
        } | defines
        flags = [f"-D{name}={value}" for name, value in facts.items()]
        return compile_once(A3_SOURCE, flags, directory / ("".join(f"{k[0]}{v}-" for k, v in facts.items()) + "a3.so"))

    return compiled


@pytest.fixture
def make_a3(
    tmp_path: Path, a3_design: A3Design, compile_fake_a3: Callable[..., Path]
) -> Callable[..., tuple[str, A3Design]]:
    """An overlay around the fake A3 kernel: its bitfile and its design, changed as asked for."""

    def make(defines: dict[str, object] | None = None, **changes: Any) -> tuple[str, A3Design]:
        design = replace(a3_design, **changes)
        write_a3_overlay(tmp_path / "a3", design, library=compile_fake_a3(design, **(defines or {})))
        return str(tmp_path / "a3" / "vitforge.bit"), design

    return make


@pytest.fixture
def open_a3(make_a3: Callable[..., tuple[str, A3Design]], thread_device: Any) -> Callable[..., A3]:
    """Open the A3 driver over some variant of the fake kernel, of the design with some changes."""

    def open_it(defines: dict[str, object] | None = None, changes: dict[str, Any] | None = None, **options: Any) -> A3:
        return A3(make_a3(defines, **(changes or {}))[0], **({"device": thread_device} | options))

    return open_it
