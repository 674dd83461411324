# SPDX-License-Identifier: Apache-2.0
"""The simulated board under the real pynq package: overlay, registers, memory, cache maintenance, clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pynq import Clocks, Overlay, allocate

from vitforge.design.design import Design
from vitforge_host.errors import BusError, KernelFault, SimulationError, WatchdogError
from vitforge_host.identity import VIT
from vitforge_host.sim.device import SimDevice

MakeOverlay = Callable[..., str]
POINTERS = ("list_ln1", "list_nsa", "list_ln2", "list_nmp", "blob_ln1", "blob_nsa", "blob_ln2", "blob_nmp")


def prepare(bitfile: str, device: SimDevice, design: Design, images: np.ndarray, rows: np.ndarray) -> Any:
    """Load the overlay and set it up for ``images`` with pynq alone, everything flushed; nothing is started."""
    overlay = Overlay(bitfile, device=device)
    ip = overlay.vitforge_vit_0
    source = allocate(rows.shape, np.uint8, target=device)
    source[:] = rows
    source.flush()
    out = allocate((len(images), design.result_words), np.int32, target=device)
    out[:] = 0
    out.flush()
    blob = allocate((64,), np.uint8, target=device)
    blob[:8] = np.frombuffer(b"VITFORGE", np.uint8)
    blob.flush()
    chunks = allocate((1, 4), np.uint32, target=device)
    chunks[:] = 0
    chunks.flush()
    for name in POINTERS:
        set_pointer(ip, name, (chunks if name.startswith("list") else blob).device_address)
    set_pointer(ip, "images", source.device_address)
    set_pointer(ip, "logits", out.device_address)
    ip.register_map.n_steps = 3
    ip.register_map.n_images = len(images)
    return SimpleNamespace(overlay=overlay, ip=ip, images=source, logits=out, blob=blob, chunks=chunks)


def set_pointer(ip: Any, name: str, address: int) -> None:
    registers = ip.register_map
    setattr(registers, f"{name}_1", address & 0xFFFFFFFF)
    setattr(registers, f"{name}_2", address >> 32)


def run(ip: Any) -> None:
    ip.write(0, 1)
    while not ip.read(0) & 2:
        time.sleep(0.001)


@pytest.fixture
def board(make_overlay: MakeOverlay, design: Design, images: np.ndarray, expected: Any) -> Callable[..., Any]:
    """Prepare an overlay with some variant of the fake accelerator on a device."""

    def prepared(device: SimDevice, **defines: object) -> Any:
        return prepare(make_overlay(**defines), device, design, images, expected.packed(images))

    return prepared


def results(setup: Any, expected: Any) -> np.ndarray:
    """(n, classes): what the host sees, image by image."""
    return expected.by_image(np.asarray(setup.logits))


@pytest.mark.parametrize("register_rw", [False, True])
def test_logits_through_overlay_allocate_and_register_map(
    board: Callable[..., Any], design: Design, images: np.ndarray, expected: Any, register_rw: bool
) -> None:
    device = SimDevice(ddr_bytes=1 << 24, register_rw=register_rw)
    setup = board(device)
    assert setup.images.device_address >= 0x8_0000_0000  # both halves of a pointer matter
    run(setup.ip)
    setup.logits.invalidate()
    assert (results(setup, expected) == expected.logits(images)).all()
    assert int(setup.ip.register_map.magic) == 0x56495446
    assert device.cycles == 1000 * len(images)


def test_a_forgotten_flush_is_seen(
    board: Callable[..., Any], sync_device: SimDevice, design: Design, images: np.ndarray, expected: Any
) -> None:
    setup = board(sync_device)
    setup.images[0] = 255 - setup.images[0]
    run(setup.ip)
    setup.logits.invalidate()
    assert (results(setup, expected) == expected.logits(images)).all()  # still of the former image 0
    setup.images.flush()
    run(setup.ip)
    setup.logits.invalidate()
    changed = results(setup, expected) != expected.logits(images)
    assert changed[0].all() and not changed[1:].any()


def test_a_buffer_that_was_never_flushed_holds_poison(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    chunks = allocate((1, 4), np.uint32, target=sync_device)
    chunks[:] = 0
    set_pointer(setup.ip, "list_nmp", chunks.device_address)
    setup.ip.write(0, 1)
    with pytest.raises(KernelFault, match="no chunk list in DDR"):
        setup.ip.read(0)


def test_a_forgotten_invalidate_is_seen(
    board: Callable[..., Any], sync_device: SimDevice, design: Design, images: np.ndarray, expected: Any
) -> None:
    setup = board(sync_device)
    run(setup.ip)
    assert (results(setup, expected) == 0).all()
    setup.logits[2:4].invalidate()  # as on pynq 3.0.1, a view moves only its own bytes
    moved = np.zeros(setup.logits.shape, bool)
    moved[2:4] = True
    seen = results(setup, expected) == expected.logits(images)
    assert (seen == expected.by_image(moved)).all() and seen.any()


def test_without_strict_mode_caches_are_coherent(
    board: Callable[..., Any], design: Design, images: np.ndarray, expected: Any
) -> None:
    setup = board(SimDevice(strict=False, run_mode="sync", ddr_bytes=1 << 24))
    run(setup.ip)
    assert (results(setup, expected) == expected.logits(images)).all()


def test_uncached_buffers_need_no_maintenance(make_overlay: MakeOverlay, sync_device: SimDevice) -> None:
    Overlay(make_overlay(), device=sync_device)
    buffer = sync_device.allocate((4,), np.uint8, cacheable=False)
    buffer[:] = 5
    assert buffer.bo.ddr.tolist() == [5, 5, 5, 5]


def test_bad_pointers_raise_at_the_next_status_read(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    freed = allocate((4096,), np.uint8, target=sync_device)
    freed.freebuffer()
    bad = {
        "null": 0,
        "freed": freed.device_address,
        "derived by arithmetic": (setup.images + 1).device_address,
        "derived by copy": setup.images.copy().device_address,
        "too short for all images": setup.images[1:].device_address,
    }
    for why, address in bad.items():
        set_pointer(setup.ip, "images", address)
        setup.ip.write(0, 1)
        with pytest.raises(BusError, match="argument images of vitforge_vit_0 points to"):
            setup.ip.read(0)
            pytest.fail(why)
    set_pointer(setup.ip, "images", setup.images.device_address)
    run(setup.ip)  # the next good start clears the failure


def test_a_buffer_freed_after_a_good_run_is_a_bad_pointer(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    images = allocate(setup.images.shape, np.uint8, target=sync_device)
    images[:] = setup.images
    images.flush()
    set_pointer(setup.ip, "images", images.device_address)
    run(setup.ip)
    images.freebuffer()
    setup.ip.write(0, 1)
    with pytest.raises(BusError, match="argument images of vitforge_vit_0 points to .* in no live buffer"):
        setup.ip.read(0)


def test_cache_maintenance_on_a_derived_array_raises(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    for derived in (setup.images + 1, setup.images.copy(), setup.images.astype(np.int32)):
        assert derived.device_address == 0
        with pytest.raises(BusError, match="no part of an allocated buffer"):
            derived.flush()


def test_status_bits_clear_on_read(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    assert setup.ip.read(0) == 0b0100
    setup.ip.write(0, 1)
    assert setup.ip.read(0) == 0b1110
    assert setup.ip.read(0) == 0b0100


def test_outputs_are_valid_once(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    registers = setup.ip.register_map
    assert int(registers.version_ctrl) == 0
    run(setup.ip)
    setup.ip.write(setup.overlay.ip_dict["vitforge_vit_0"]["registers"]["version"]["address_offset"], 99)
    assert [int(registers.version_ctrl), int(registers.version), int(registers.version_ctrl)] == [1, VIT.version, 0]


def test_interrupt_status_follows_its_enables(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    run(setup.ip)
    assert setup.ip.read(0x0C) == 0
    setup.ip.write(0x08, 1)
    run(setup.ip)
    assert setup.ip.read(0x0C) == 1
    setup.ip.write(0x0C, 1)
    assert setup.ip.read(0x0C) == 0


def test_the_host_goes_on_while_the_accelerator_runs(
    board: Callable[..., Any], thread_device: SimDevice, design: Design, images: np.ndarray, expected: Any
) -> None:
    setup = board(thread_device, SLEEP_US=300_000)
    setup.ip.write(0, 1)
    assert setup.ip.read(0) == 1
    setup.ip.write(0, 1)  # a start while it runs is not taken
    while not setup.ip.read(0) & 2:
        time.sleep(0.01)
    assert setup.ip.read(0) == 0b0100
    setup.logits.invalidate()
    assert (results(setup, expected) == expected.logits(images)).all()
    assert thread_device.cycles == 1000 * len(images)


def test_a_kernel_may_hold_large_memories_on_its_stack(board: Callable[..., Any], thread_device: SimDevice) -> None:
    setup = board(thread_device, STACK_BYTES=64 << 20)
    run(setup.ip)
    assert thread_device.cycles > 0


def test_polling_a_block_that_does_not_end_ends(board: Callable[..., Any]) -> None:
    setup = board(SimDevice(ddr_bytes=1 << 24, run_limit_s=0.1), SLEEP_US=700_000)
    with pytest.raises(WatchdogError, match="running for 0.1 s"):
        run(setup.ip)


def test_a_kernel_fault_carries_its_own_words(board: Callable[..., Any], thread_device: SimDevice) -> None:
    setup = board(thread_device, FAULT=1)
    with pytest.raises(KernelFault, match="vitforge_vit_0 stopped with a fault: read from an empty stream"):
        run(setup.ip)


def test_auto_restart_is_refused(board: Callable[..., Any], sync_device: SimDevice) -> None:
    with pytest.raises(SimulationError, match="AUTO_RESTART is not simulated"):
        board(sync_device).ip.write(0, 0x81)


def test_modelled_time_follows_the_clock(board: Callable[..., Any], sync_device: SimDevice) -> None:
    setup = board(sync_device)
    assert Clocks.fclk0_mhz == pytest.approx(1499.985 / 6)  # as the design asks: 250 MHz
    Clocks.fclk0_mhz = 100
    run(setup.ip)
    slow = sync_device.busy_s
    Clocks.fclk0_mhz = 300
    run(setup.ip)
    assert slow == pytest.approx(7000 / 99.999e6)
    assert (sync_device.busy_s - slow) * 3 == pytest.approx(slow)


def test_reload_starts_afresh(make_overlay: MakeOverlay, sync_device: SimDevice, board: Callable[..., Any]) -> None:
    setup = board(sync_device)
    run(setup.ip)
    second = Overlay(make_overlay(), device=sync_device)
    assert not setup.overlay.is_loaded() and second.is_loaded()
    with pytest.raises(RuntimeError, match="not currently loaded"):
        _ = setup.overlay.vitforge_vit_0
    assert second.vitforge_vit_0.read(0x88) == 0 and sync_device.cycles == 0
    for name in (*POINTERS, "images", "logits"):  # buffers outlive the overlay, as on a board
        set_pointer(second.vitforge_vit_0, name, setup.images.device_address)
    run(second.vitforge_vit_0)  # of no steps: the library would complain about static data of the former run


def test_memory_lives_as_on_a_board(make_overlay: MakeOverlay, sync_device: SimDevice) -> None:
    with pytest.raises(RuntimeError, match="not downloaded"):
        allocate((4,), np.uint8, target=sync_device)
    Overlay(make_overlay(), device=sync_device)
    memory = sync_device.default_memory
    with allocate((4,), np.uint8, target=sync_device) as buffer:
        address = buffer.device_address
        assert memory.live_allocations == 1
    assert memory.live_allocations == 0
    buffer.freebuffer()
    again = allocate((4,), np.uint8, target=sync_device)
    assert again.device_address == address
    view = again[1:]
    del again
    assert memory.live_allocations == 1 and view.device_address == address + 1
    del view
    assert memory.live_allocations == 0
