# SPDX-License-Identifier: Apache-2.0
"""The count of what a process holds: what a cycle leaves is found, what others leave or finish is not counted."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host.held import CYCLES, WARM_UP, check_cycles, simulations, wait_until
from vitforge_host import AcceleratorTimeout, VitAccelerator
from vitforge_host.sim import SimDevice


@pytest.fixture
def device(make_overlay: Callable[..., str], thread_device: SimDevice, blob_path: Path) -> SimDevice:
    """A simulated board with an overlay."""
    VitAccelerator(make_overlay(), blob_path, thread_device).close()
    return thread_device


@pytest.fixture
def end() -> Iterator[threading.Event]:
    """Set at the end, for threads that wait for it."""
    event = threading.Event()
    yield event
    event.set()


def last_of(cycles: int, act: Callable[[], object]) -> Callable[[], None]:
    """A cycle that does nothing but the last time, when it acts."""
    count = itertools.count(1)

    def cycle() -> None:
        if next(count) == cycles:
            act()

    return cycle


def test_a_file_left_open_is_found(device: SimDevice, tmp_path: Path) -> None:
    held: list[Any] = []
    with pytest.raises(AssertionError, match=r"^files before \[\], after .*/left'"):
        check_cycles(device, last_of(WARM_UP + CYCLES, lambda: held.append(open(tmp_path / "left", "w"))))  # noqa: SIM115
    held[0].close()


def test_a_thread_left_running_is_found(device: SimDevice, end: threading.Event) -> None:
    with pytest.raises(AssertionError, match="^threads before"):
        check_cycles(device, last_of(WARM_UP + CYCLES, threading.Thread(target=end.wait, daemon=True).start))


def test_objects_left_by_each_cycle_are_found(device: SimDevice) -> None:
    held: list[object] = []
    with pytest.raises(AssertionError, match="objects more after 100 cycles"):
        check_cycles(device, lambda: held.append([held]))


def test_a_run_given_up_before_may_end_in_between(
    device: SimDevice, make_overlay: Callable[..., str], blob_path: Path, images: Any
) -> None:
    others = SimDevice("others", ddr_bytes=1 << 24)
    before = simulations()
    with VitAccelerator(make_overlay("others", SLEEP_US=300_000), blob_path, others, timeout_s=0.05) as accelerator:
        with pytest.raises(AcceleratorTimeout):
            accelerator.logits(images)
        (run,) = simulations() - before
    others.close()  # the thread is to end with its run
    del others, accelerator
    check_cycles(device, last_of(WARM_UP + CYCLES, lambda: wait_until(lambda: run not in simulations())))
