# SPDX-License-Identifier: Apache-2.0
"""The thread in which a simulated block runs: one for all its launches, and none once nobody can start it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pynq import allocate

from host.held import simulations, wait_until
from host.test_sim_device import prepare, run, set_pointer
from vitforge.design.design import Design
from vitforge_host.errors import KernelFault
from vitforge_host.sim import SimDevice

New = Callable[[], frozenset[tuple[str, str]]]


@pytest.fixture
def new_threads() -> Iterator[New]:
    """Those of simulated blocks that were not there before."""
    before = simulations()
    yield lambda: simulations() - before


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
    assert not new_threads()
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
    assert not new_threads()
    run(setup.ip)
    assert len(new_threads()) == 1 and thread_device.cycles > 0


def test_the_thread_ends_when_another_overlay_is_loaded(board: Callable[..., Any], new_threads: New) -> None:
    first = board()
    run(first.ip)
    second = board()
    assert not new_threads()
    run(second.ip)
    assert len(new_threads()) == 1


def test_the_thread_ends_with_the_last_reference_to_the_board(board: Callable[..., Any], new_threads: New) -> None:
    device = SimDevice("short-lived", ddr_bytes=1 << 24)
    setup = board(device)
    run(setup.ip)
    assert len(new_threads()) == 1
    del device, setup
    board(SimDevice("next", ddr_bytes=1 << 24))  # pynq itself refers to the board it has worked with last
    gc.collect()
    wait_until(lambda: not new_threads())


def test_a_run_that_goes_on_is_left_to_itself(
    board: Callable[..., Any], thread_device: SimDevice, new_threads: New
) -> None:
    setup = board(SLEEP_US=500_000)
    setup.ip.write(0, 1)
    started = time.monotonic()
    thread_device.close()
    assert time.monotonic() - started < 0.4 and len(new_threads()) == 1
    wait_until(lambda: not new_threads())
    assert setup.ip.read(0) & 2


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


def test_what_still_runs_when_python_ends_does_no_harm(
    make_overlay: Callable[..., str], blob_path: Any, images: np.ndarray
) -> None:
    """As after Ctrl-C: the process ends at once and in order, whatever the accelerator does."""
    code = """if True:
        import sys
        import numpy as np
        from vitforge_host import AcceleratorTimeout, VitAccelerator
        from vitforge_host.sim import SimDevice
        accelerator = VitAccelerator(sys.argv[1], sys.argv[2], SimDevice(ddr_bytes=1 << 24), timeout_s=0.05)
        try:
            accelerator.logits(np.zeros((1, *accelerator.image_shape), np.uint8))
        except AcceleratorTimeout:
            print("left")
        """
    command = [sys.executable, "-c", code, make_overlay(SLEEP_US=100_000_000), str(blob_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr


def test_a_thread_for_which_there_is_no_memory_is_an_error(make_overlay: Callable[..., str], blob_path: Any) -> None:
    code = """if True:
        import resource
        import sys
        from pathlib import Path
        import numpy as np
        from vitforge_host import VitAccelerator
        from vitforge_host.errors import SimulationError
        from vitforge_host.sim import SimDevice
        device = SimDevice(ddr_bytes=1 << 24)
        def set_limit(limit):
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        def use(limit):
            with VitAccelerator(sys.argv[1], sys.argv[2], device) as accelerator:
                device.close()
                set_limit(limit)
                print(accelerator.logits(np.zeros((1, *accelerator.image_shape), np.uint8)).shape)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        try:
            use(used + (64 << 20))
        except SimulationError as error:
            print(error)
        set_limit(resource.RLIM_INFINITY)
        use(resource.RLIM_INFINITY)
        """
    command = [sys.executable, "-c", code, make_overlay(), str(blob_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    says = "there is no memory for the thread of vitforge_vit_0; close other simulated boards"
    assert done.stdout.splitlines() == [says, "(1, 5)"], done.stderr


def test_threads_of_the_host_may_look_at_once(board: Callable[..., Any], thread_device: SimDevice) -> None:
    """Each end is taken over once, whoever sees it."""
    setup = board(SLEEP_US=200)
    stop = threading.Event()
    failures = []

    def look() -> None:
        try:
            while not stop.is_set():
                setup.ip.read(4)
        except Exception as error:
            failures.append(error)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    run(setup.ip)
    each = thread_device.cycles
    for _ in range(100):
        run(setup.ip)
    stop.set()
    for looker in lookers:
        looker.join()
    assert not failures and each > 0 and thread_device.cycles == 101 * each


def test_a_board_may_be_closed_while_another_thread_starts_runs(
    board: Callable[..., Any], thread_device: SimDevice, new_threads: New
) -> None:
    setup = board()
    stop = threading.Event()

    def close() -> None:
        while not stop.is_set():
            thread_device.close()

    closer = threading.Thread(target=close)
    closer.start()
    for _ in range(200):
        run(setup.ip)
    stop.set()
    closer.join()
    thread_device.close()
    assert thread_device.cycles == 200 * 7000 and not new_threads()
