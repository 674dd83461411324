# SPDX-License-Identifier: Apache-2.0
"""The thread in which a simulated block runs: one for all its launches, and none once nobody can start it."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pynq import allocate

from host.test_sim_device import prepare, run, set_pointer
from vitforge.design.design import Design
from vitforge_host.errors import KernelFault
from vitforge_host.sim import SimDevice

SOON_S = 5.0  # for what takes less than a millisecond
New = Callable[[], list[threading.Thread]]


@pytest.fixture
def new_threads() -> Iterator[New]:
    """Those of simulated blocks that were not there before."""
    before = set(threading.enumerate())
    yield lambda: [new for new in threading.enumerate() if new not in before and new.name.startswith("sim-")]


@pytest.fixture
def board(
    make_overlay: Callable[..., str], thread_device: SimDevice, design: Design, images: np.ndarray, expected: Any
) -> Callable[..., Any]:
    """An overlay prepared with some variant of the fake accelerator; nothing is started."""

    def prepared(device: SimDevice = thread_device, **defines: object) -> Any:
        return prepare(make_overlay(**defines), device, design, images, expected.packed(images))

    return prepared


def test_many_launches_take_one_thread(board: Callable[..., Any], new_threads: New) -> None:
    setup = board()
    assert new_threads() == []
    run(setup.ip)
    first = new_threads()
    for _ in range(5):
        run(setup.ip)
    assert len(first) == 1 and new_threads() == first


def test_the_thread_ends_with_close_and_the_next_launch_has_another(
    board: Callable[..., Any], thread_device: SimDevice, new_threads: New
) -> None:
    setup = board()
    run(setup.ip)
    thread_device.close()
    assert new_threads() == []
    run(setup.ip)
    assert len(new_threads()) == 1 and thread_device.cycles > 0


def test_the_thread_ends_when_another_overlay_is_loaded(board: Callable[..., Any], new_threads: New) -> None:
    first = board()
    run(first.ip)
    second = board()
    assert new_threads() == []
    run(second.ip)
    assert len(new_threads()) == 1


def test_the_thread_ends_with_the_last_reference_to_the_board(board: Callable[..., Any], new_threads: New) -> None:
    device = SimDevice("short-lived", ddr_bytes=1 << 24)
    setup = board(device)
    run(setup.ip)
    (thread,) = new_threads()
    del device, setup
    board(SimDevice("next", ddr_bytes=1 << 24))  # pynq itself refers to the board it has worked with last
    gc.collect()
    thread.join(SOON_S)
    assert not thread.is_alive()


def test_a_run_that_goes_on_is_left_to_itself(
    board: Callable[..., Any], thread_device: SimDevice, new_threads: New
) -> None:
    setup = board(SLEEP_US=500_000)
    setup.ip.write(0, 1)
    (thread,) = new_threads()
    started = time.monotonic()
    thread_device.close()
    assert time.monotonic() - started < 0.4 and thread.is_alive()
    thread.join(SOON_S)
    assert not thread.is_alive() and setup.ip.read(0) & 2


def test_a_fault_belongs_to_the_run_that_had_it(board: Callable[..., Any], thread_device: SimDevice) -> None:
    setup = board()
    run(setup.ip)
    never_flushed = allocate((1, 4), np.uint32, target=thread_device)
    set_pointer(setup.ip, "list_nmp", never_flushed.device_address)
    with pytest.raises(KernelFault, match="no chunk list in DDR"):
        run(setup.ip)
    set_pointer(setup.ip, "list_nmp", setup.chunks.device_address)
    cycles = thread_device.cycles
    run(setup.ip)
    assert thread_device.cycles > cycles
