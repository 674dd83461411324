# SPDX-License-Identifier: Apache-2.0
"""A hundred times open, use and close: buffers, files, threads, mapped libraries and memory are as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.held import CYCLES, check_cycles
from vitforge_host import A3, InputError, VitAccelerator
from vitforge_host.sim import SimDevice


@pytest.mark.parametrize("wait", ["poll", "interrupt"])
def test_vit(
    make_overlay: Callable[..., str], blob_path: Path, thread_device: SimDevice, images: np.ndarray, wait: str
) -> None:
    bitfile = make_overlay()

    def cycle() -> None:
        with VitAccelerator(bitfile, blob_path, thread_device, batch=4, wait=wait) as accelerator:
            accelerator.logits(images)

    check_cycles(thread_device, cycle)


def test_vit_that_fails_to_open(opened: Callable[..., VitAccelerator], thread_device: SimDevice) -> None:
    def cycle() -> None:
        with pytest.raises(InputError, match="at most 249.998 MHz"):
            opened(clock_mhz=300)

    check_cycles(thread_device, cycle)


def test_new_weights(opened: Callable[..., VitAccelerator], blob_path: Path, thread_device: SimDevice) -> None:
    with opened() as accelerator:
        live = thread_device.default_memory.live_allocations
        for _ in range(CYCLES):
            accelerator.load(blob_path)
            assert thread_device.default_memory.live_allocations == live


def test_a3(make_a3: Callable[..., Any], thread_device: SimDevice) -> None:
    bitfile, _ = make_a3()
    numbers = np.random.default_rng(0).normal(size=(9, 8))

    def cycle() -> None:
        with A3(bitfile, thread_device, batch=4) as a3:
            a3.load(numbers, numbers)
            a3.queries(numbers)

    check_cycles(thread_device, cycle)
