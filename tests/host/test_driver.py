# SPDX-License-Identifier: Apache-2.0
"""The driver on the simulated board, with a fake accelerator whose results are computed independently."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pynq
import pytest

from vitforge.design.design import Design
from vitforge_host import (
    AcceleratorTimeout,
    ClosedError,
    DeviceMemoryError,
    HostError,
    InputError,
    ResultError,
    VitAccelerator,
)
from vitforge_host.clocks import legal_mhz, set_at_most
from vitforge_host.errors import KernelFault
from vitforge_host.sim import SimDevice

MakeOverlay = Callable[..., str]


@pytest.mark.parametrize("batch", [1, 3, 7, 64])
def test_logits_are_those_of_each_image_in_order(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, batch: int
) -> None:
    with opened(batch=batch) as accelerator:
        logits = accelerator.logits(images)
        assert logits.dtype == np.int32 and type(logits) is np.ndarray
        assert (logits == expected.logits(images)).all()
        again = images[::-1, :, ::-1][:5]  # fewer, and not contiguous
        assert (accelerator(again) == expected.logits(again)).all()
        assert (accelerator.logits(images) == expected.logits(images)).all()


def test_classify_gives_indices_and_labels_name_them(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, design: Design
) -> None:
    with opened() as accelerator:
        best = accelerator.classify(images)
        assert best.dtype == np.int64
        assert (best == expected.logits(images).argmax(axis=1)).all()
        assert len(accelerator.labels) == design.shape.num_classes
        assert accelerator.image_shape == (8, 12, 2)
        assert accelerator.logit_scale > 0


def test_all_modes_of_the_board_give_the_same(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any
) -> None:
    for options in ({"run_mode": "sync"}, {"strict": False}, {"register_rw": True}):
        device = SimDevice(ddr_bytes=1 << 24, **options)
        with opened(device=device, batch=2) as accelerator:
            assert (accelerator.logits(images) == expected.logits(images)).all()


def test_two_batches_are_in_flight(opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any) -> None:
    """While one batch runs, the next is packed: the packing of batch i+1 starts before batch i has ended."""
    with opened({"SLEEP_US": 100_000}, batch=3) as accelerator:
        running_while_packing = []
        for slot in accelerator._slots:
            original = slot.load

            def load(part: np.ndarray, original: Callable[..., None] = original) -> None:
                running_while_packing.append(not accelerator._idle())
                original(part)

            slot.load = load  # type: ignore[method-assign]
        assert (accelerator.logits(images) == expected.logits(images)).all()
        assert running_while_packing == [False, True, True]


def test_a_kernel_that_does_not_finish_gives_a_diagnosis(
    opened: Callable[..., VitAccelerator], images: np.ndarray, thread_device: Any
) -> None:
    accelerator = opened({"SLEEP_US": 1_000_000}, timeout_s=0.2)
    started = time.monotonic()
    with pytest.raises(AcceleratorTimeout) as caught:
        accelerator.logits(images)
    assert time.monotonic() - started < 0.9
    text = str(caught.value)
    for part in ("vitforge_vit_0 did not finish 7 images in 0.2", "CTRL 0x01 (running)", "n_images 7", "timeout_s"):
        assert part in text
    assert "clock 249.998 MHz" in text and isinstance(caught.value, TimeoutError)
    with pytest.raises(ClosedError, match="failed before"):
        accelerator.logits(images)
    live = thread_device.default_memory.live_allocations
    accelerator.close()  # it may still write to them
    assert live > 0 and thread_device.default_memory.live_allocations == live


def test_a_fault_of_the_simulated_kernel_comes_through(
    opened: Callable[..., VitAccelerator], images: np.ndarray, thread_device: Any
) -> None:
    with opened({"FAULT": 1}) as accelerator:
        with pytest.raises(KernelFault, match="read from an empty stream"):
            accelerator.logits(images)
        with pytest.raises(ClosedError, match="failed before"):
            accelerator.logits(images)
    assert thread_device.default_memory.live_allocations == 0


def test_no_image_is_lost_silently(opened: Callable[..., VitAccelerator], images: np.ndarray) -> None:
    with opened({"EXTRA_RESULTS": -1}) as accelerator, pytest.raises(ResultError, match="6 of 7 images .image 6 of"):
        accelerator.logits(images)
    with opened({"EXTRA_RESULTS": 1}) as accelerator, pytest.raises(ResultError, match="more than the 7 images"):
        accelerator.logits(images)


def test_an_interrupt_leaves_the_accelerator_usable(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened({"SLEEP_US": 50_000}, batch=2) as accelerator:
        wait = accelerator._wait

        def interrupted(slot: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(accelerator, "_wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            accelerator.logits(images)
        monkeypatch.setattr(accelerator, "_wait", wait)
        assert (accelerator.logits(images) == expected.logits(images)).all()


def test_threads_take_turns(opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any) -> None:
    with opened(batch=2) as accelerator:
        right = []

        def work(part: np.ndarray) -> None:
            right.extend((accelerator.logits(part) == expected.logits(part)).all() for _ in range(5))

        threads = [threading.Thread(target=work, args=(images[i:],)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert right == [True] * 15


def test_launches_larger_than_device_memory_are_split(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, caplog: pytest.LogCaptureFixture
) -> None:
    device = SimDevice(ddr_bytes=1 << 20)
    many = np.concatenate([images] * 30)
    with opened(device=device, batch=5000) as accelerator:
        assert 1 <= accelerator.batch < 5000
        assert f"device memory holds launches of {accelerator.batch}, not of 5000" in caplog.text
        assert (accelerator.logits(many) == expected.logits(many)).all()
        assert device.default_memory.live_allocations == 13  # blob, and twice 4 lists, images, logits
    assert device.default_memory.live_allocations == 0


def test_arrays_larger_than_the_memory_of_the_host_are_read_batch_by_batch(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    with opened(batch=2) as accelerator:
        assert (accelerator.logits(mapped) == expected.logits(images)).all()


def test_too_little_device_memory_is_said_and_given_back(opened: Callable[..., VitAccelerator]) -> None:
    device = SimDevice(ddr_bytes=1 << 14)
    with pytest.raises(DeviceMemoryError, match="no device memory for [0-9]+ bytes .*16384 bytes is full"):
        opened(device=device, batch=5000)
    assert device.default_memory.live_allocations == 0


def test_what_a_board_says_about_memory_is_passed_on(
    opened: Callable[..., VitAccelerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("Failed to allocate Memory!")

    monkeypatch.setattr(pynq, "allocate", full)
    with pytest.raises(
        HostError, match="no device memory for [0-9]+ bytes .Failed to allocate Memory!.; .* lower batch"
    ):
        opened()


def test_the_clock_never_exceeds_the_design(opened: Callable[..., VitAccelerator], thread_device: Any) -> None:
    with opened() as accelerator:
        assert accelerator.clock_mhz == pytest.approx(1499.985 / 6)
    with opened(clock_mhz=200) as accelerator:  # 200 MHz does not exist; pynq alone would take 214
        assert accelerator.clock_mhz == thread_device.pl_clock_mhz() == pytest.approx(1499.985 / 8)
    with pytest.raises(InputError, match="clock_mhz is 300; the design was built for at most 249.998 MHz"):
        opened(clock_mhz=300)


@pytest.mark.parametrize("limit", [500.0, 350.0, 299.997, 200.0, 99.0, 10.0, 0.5])
def test_clocks_are_floored_to_what_exists(opened: Callable[..., VitAccelerator], limit: float) -> None:
    with opened():
        products = [a * b for a in range(1, 64) for b in range(1, 64)]
        best = max(1499.985 / k for k in products if 1499.985 / k <= limit * 1.0005)
        assert legal_mhz(1499.985, limit) == pytest.approx(best)
        assert set_at_most(limit) == pytest.approx(best, rel=1e-6)
        for nonsense in (0.0, -5.0, float("nan"), 0.1):
            with pytest.raises(InputError, match="MHz"):
                set_at_most(nonsense)
