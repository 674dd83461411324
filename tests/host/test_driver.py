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
    BlobError,
    ClosedError,
    HostError,
    IdentityError,
    InputError,
    OverlayError,
    ResultError,
    VitAccelerator,
)
from vitforge_host.blob import read_blob
from vitforge_host.clocks import legal_mhz, set_at_most
from vitforge_host.errors import KernelFault
from vitforge_host.sim import SimDevice

MakeOverlay = Callable[..., str]


@pytest.fixture
def opened(make_overlay: MakeOverlay, blob_path: Path, thread_device: Any) -> Callable[..., VitAccelerator]:
    """Open the driver over some variant of the fake accelerator."""

    def open_it(defines: dict[str, object] | None = None, **options: Any) -> VitAccelerator:
        return VitAccelerator(make_overlay(**(defines or {})), blob_path, **({"device": thread_device} | options))

    return open_it


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


@pytest.mark.parametrize(
    ("shape", "dtype", "got"),
    [
        ((2, 8, 12, 3), np.uint8, r"\(2, 8, 12, 3\) uint8"),
        ((2, 12, 8, 2), np.uint8, r"\(2, 12, 8, 2\) uint8"),
        ((8, 12, 2), np.uint8, r"\(8, 12, 2\) uint8"),
        ((2, 8, 12, 2), np.float32, r"\(2, 8, 12, 2\) float32"),
        ((2, 8, 12, 2), np.int8, r"\(2, 8, 12, 2\) int8"),
        ((0, 8, 12, 2), np.uint8, r"\(0, 8, 12, 2\) uint8"),
    ],
)
def test_images_of_the_wrong_kind_are_refused_and_nothing_is_lost(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, shape: Any, dtype: Any, got: str
) -> None:
    with opened() as accelerator:
        with pytest.raises(InputError, match=rf"images are {got}.*expected \(n, 8, 12, 2\) uint8") as caught:
            accelerator.classify(np.zeros(shape, dtype))
        assert isinstance(caught.value, ValueError) and isinstance(caught.value, HostError)
        assert (accelerator.logits(images) == expected.logits(images)).all()


def test_a_list_is_no_array(opened: Callable[..., VitAccelerator]) -> None:
    with opened() as accelerator, pytest.raises(InputError, match="of type list; expected a numpy array"):
        accelerator.classify([[0]])  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"batch": 0}, {"batch": 2.5}, {"batch": True}, {"timeout_s": 0}])
def test_bad_options_are_refused(opened: Callable[..., VitAccelerator], options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        opened(**options)


@pytest.mark.parametrize("where", ["magic", "header", "manifest", "weights", "tail"])
def test_a_damaged_blob_is_refused(
    make_overlay: MakeOverlay, blob_path: Path, thread_device: Any, tmp_path: Path, where: str
) -> None:
    content = bytearray(blob_path.read_bytes())
    manifest = read_blob(bytes(content)).manifest
    weights = manifest["sections"]["nmp.1"]["offset_beats"] * manifest["beat_bytes"] + 100
    if where == "tail":
        del content[-1:]
    else:
        content[{"magic": 3, "header": 40, "manifest": 70, "weights": weights}[where]] ^= 0x10
    damaged = tmp_path / "damaged.blob"
    damaged.write_bytes(content)
    with pytest.raises(BlobError, match="damaged.blob: the weight blob ") as caught:
        VitAccelerator(make_overlay(), damaged, device=thread_device)
    assert isinstance(caught.value, HostError)


def test_a_missing_blob_is_named(make_overlay: MakeOverlay, thread_device: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent.blob cannot be read: No such file"):
        VitAccelerator(make_overlay(), tmp_path / "absent.blob", device=thread_device)


@pytest.mark.parametrize("word", ["HASH_LO", "HASH_HI"])
def test_overlay_and_blob_of_different_designs_are_refused(
    opened: Callable[..., VitAccelerator], thread_device: Any, word: str
) -> None:
    different = "overlay was built for design .* the weight blob for design .* same generated project"
    with pytest.raises(IdentityError, match=different) as caught:
        opened({word: "0x12345678u"})
    assert caught.traceback  # keeps the half-open driver alive: it must have given its memory back by itself
    assert thread_device.default_memory.live_allocations == 0


@pytest.mark.parametrize(("define", "text"), [("MAGIC", "magic 0x0000002a"), ("VERSION", "format version 42")])
def test_another_accelerator_is_refused(opened: Callable[..., VitAccelerator], define: str, text: str) -> None:
    with pytest.raises(IdentityError, match=text):
        opened({define: "42u"})


def test_use_after_close_is_refused(opened: Callable[..., VitAccelerator], images: np.ndarray) -> None:
    accelerator = opened()
    accelerator.close()
    accelerator.close()
    for use in (lambda: accelerator.logits(images), accelerator.__enter__):
        with pytest.raises(ClosedError, match=r"is closed; open it again with VitAccelerator"):
            use()


def test_use_after_another_overlay_is_refused(opened: Callable[..., VitAccelerator], images: np.ndarray) -> None:
    with opened() as first, opened() as second:
        second.logits(images)
        with pytest.raises(ClosedError, match="another overlay was loaded"):
            first.logits(images)


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


def test_opening_and_closing_leaks_nothing(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, thread_device: Any
) -> None:
    for _ in range(20):
        with opened(batch=4) as accelerator:
            assert (accelerator.logits(images) == expected.logits(images)).all()
            assert thread_device.default_memory.live_allocations == 13  # blob, and twice 4 lists, images, logits
        assert thread_device.default_memory.live_allocations == 0


def test_too_little_device_memory_is_said_and_given_back(opened: Callable[..., VitAccelerator]) -> None:
    device = SimDevice(ddr_bytes=1 << 20)
    with pytest.raises(HostError, match="simulated memory of 1048576 bytes is full"):
        opened(device=device, batch=5000)
    assert device.default_memory.live_allocations == 0


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


def test_overlays_that_are_not_ours_are_refused(
    make_overlay: MakeOverlay, blob_path: Path, thread_device: Any, tmp_path: Path
) -> None:
    with pytest.raises(OverlayError, match="absent.bit cannot be loaded"):
        VitAccelerator(tmp_path / "absent.bit", blob_path, device=thread_device)
    bitfile = Path(make_overlay())
    handoff = bitfile.with_suffix(".hwh")
    text = handoff.read_text()
    bitfile.write_bytes(b"as if it were a real bitstream")
    handoff.write_text(text.replace("vitforge:hls:vitforge_vit", "xilinx.com:hls:resize"))
    with pytest.raises(OverlayError, match="has 0 .found: xilinx.com:hls:resize:1.0, xilinx.com:ip:zynq_ultra"):
        VitAccelerator(bitfile, blob_path, device=thread_device)
    handoff.write_text(text.replace('NAME="n_images"', 'NAME="n_pictures"'))
    with pytest.raises(OverlayError, match="vitforge_vit_0 has no register n_images"):
        VitAccelerator(bitfile, blob_path, device=thread_device)


def test_a_stub_is_not_put_on_a_real_board(make_overlay: MakeOverlay, blob_path: Path) -> None:
    class Board:
        name = "ZCU104"

    with pytest.raises(OverlayError, match="stub for simulation; build the bitstream"):
        VitAccelerator(make_overlay(), blob_path, device=Board())


def test_without_a_device_it_says_what_to_do(
    make_overlay: MakeOverlay, blob_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VITFORGE_SIM", raising=False)
    monkeypatch.setattr(pynq.Device, "_devices", [], raising=False)
    with pytest.raises(OverlayError, match="finds no device.*VITFORGE_SIM=1"):
        VitAccelerator(make_overlay(), blob_path)
