# SPDX-License-Identifier: Apache-2.0
"""Waiting for the interrupt: pynq's own classes on the simulated controller, and what happens when none comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitforge_host import A3, AcceleratorTimeout, InputError, OverlayError, VitAccelerator
from vitforge_host.sim import SimDevice
from vitforge_host.stub import stub_bitfile

MakeOverlay = Callable[..., str]


@pytest.fixture
def wired(make_overlay: MakeOverlay, blob_path: Path, thread_device: SimDevice) -> Callable[..., VitAccelerator]:
    """Open the driver on some variant of the overlay."""

    def open_it(defines: dict[str, object] | None = None, **options: Any) -> VitAccelerator:
        return VitAccelerator(make_overlay(**(defines or {})), blob_path, **({"device": thread_device} | options))

    return open_it


@pytest.mark.parametrize("mode", ["thread", "sync"])
@pytest.mark.parametrize("wait", ["auto", "interrupt", "poll"])
def test_results_are_the_same_however_it_waits(
    wired: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, wait: str, mode: str
) -> None:
    device = SimDevice(run_mode=mode, ddr_bytes=1 << 24)
    with wired({"SLEEP_US": 2000}, wait=wait, device=device, batch=2) as accelerator:
        assert accelerator.waits_by == ("poll" if wait == "poll" else "interrupt")
        for _ in range(5):
            assert (accelerator.logits(images) == expected.logits(images)).all()


def test_the_processor_sleeps_until_the_interrupt(wired: Callable[..., VitAccelerator], images: np.ndarray) -> None:
    """A run of 40 ms takes little of the processor, and its end is seen at once."""
    with wired({"SLEEP_US": 40_000}) as accelerator:
        accelerator.logits(images[:1])
        best, busy = 1.0, 1.0
        for _ in range(5):
            started, used = time.perf_counter(), time.process_time()
            accelerator.logits(images[:1])
            best = min(best, time.perf_counter() - started)
            busy = min(busy, time.process_time() - used)
        assert 0.040 <= best < 0.048
        assert busy < 0.008  # of all threads


@pytest.mark.parametrize("register", ["IP_ISR", "GIER"])
def test_an_end_while_it_falls_asleep_is_seen(
    wired: Callable[..., VitAccelerator], images: np.ndarray, monkeypatch: pytest.MonkeyPatch, register: str
) -> None:
    """One that is missed costs the longest sleep, which is made long here; until then none has had to sleep."""
    monkeypatch.setattr("vitforge_host.interrupts._LONGEST_S", 4.0)
    monkeypatch.setattr("vitforge_host.interrupts._SPIN_S", 60.0)

    def slow(access: Callable[..., Any]) -> Callable[..., Any]:
        def then_wait(name: str, *value: int) -> Any:
            result = access(name, *value)
            if name == register:
                time.sleep(0.01)
            return result

        return then_wait

    with wired({"SLEEP_US": 2000}) as accelerator:
        for access in ("read", "write"):
            monkeypatch.setattr(accelerator._ip, access, slow(getattr(accelerator._ip, access)))
        monkeypatch.setattr("vitforge_host.interrupts._SPIN_S", 1e-4)
        for _ in range(3):
            started = time.perf_counter()
            accelerator.logits(images[:1])
            assert 0.01 < time.perf_counter() - started < 2.0


def test_it_works_inside_a_running_event_loop(
    wired: Callable[..., VitAccelerator], images: np.ndarray, expected: Any
) -> None:
    """As in a notebook, whose cells run inside the loop of the kernel."""

    async def cell() -> np.ndarray:
        with wired({"SLEEP_US": 1000}, wait="interrupt", batch=3) as accelerator:
            return accelerator.logits(images)

    assert (asyncio.run(cell()) == expected.logits(images)).all()


def test_users_can_await_pynqs_own_interrupt(
    wired: Callable[..., VitAccelerator], images: np.ndarray, thread_device: SimDevice
) -> None:
    """`ip.interrupt` of the stock driver fires on the simulated board."""
    with wired({"SLEEP_US": 1000}, wait="poll") as accelerator:
        block = accelerator._overlay.vitforge_vit_0
        block.write(0x08, 1)
        block.write(0x04, 1)

        async def run() -> None:
            waiting = asyncio.ensure_future(block.interrupt.wait())
            await asyncio.sleep(0)
            accelerator._slots[0].load(images)
            accelerator._launch(accelerator._slots[0])
            await asyncio.wait_for(waiting, 5)

        asyncio.run(run())
        accelerator._wait(accelerator._slots[0])


def test_an_interrupt_that_never_comes_costs_time_but_no_results(
    wired: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with wired({"SLEEP_US": 2000}) as accelerator:
        accelerator._ip.write("IP_IER", 0)  # as if the wire were cut
        with caplog.at_level(logging.WARNING):
            for _ in range(5):
                assert (accelerator.logits(images) == expected.logits(images)).all()
        assert "raises no interrupts, so it is polled from now on" in caplog.text
        started = time.perf_counter()
        accelerator.logits(images)
        assert time.perf_counter() - started < 0.045


def test_timeouts_come_as_with_polling(wired: Callable[..., VitAccelerator], images: np.ndarray) -> None:
    accelerator = wired({"SLEEP_US": 1_000_000}, timeout_s=0.2)
    with pytest.raises(AcceleratorTimeout, match="did not finish 7 images in 0.2"):
        accelerator.logits(images)
    accelerator.close()


def test_an_overlay_without_a_controller_is_polled(
    make_overlay: MakeOverlay, blob_path: Path, thread_device: SimDevice
) -> None:
    bitfile = make_overlay()
    handoff = Path(bitfile).with_suffix(".hwh")
    handoff.write_text(handoff.read_text().replace(":axi_intc:", ":another:"))
    Path(bitfile).write_bytes(stub_bitfile(handoff.read_bytes()))
    with VitAccelerator(bitfile, blob_path, thread_device) as accelerator:
        assert accelerator.waits_by == "poll"
    with pytest.raises(OverlayError, match="vitforge_vit_0 has no interrupt behind an axi_intc.*wait='poll'"):
        VitAccelerator(bitfile, blob_path, thread_device, wait="interrupt")
    assert thread_device.default_memory.live_allocations == 0


def test_other_ways_to_wait_are_refused(wired: Callable[..., VitAccelerator]) -> None:
    with pytest.raises(InputError, match="wait is 'irq'; it must be one of auto, interrupt, poll"):
        wired(wait="irq")


def test_closing_the_first_leaves_the_interrupt_of_the_second(
    wired: Callable[..., VitAccelerator], images: np.ndarray, expected: Any
) -> None:
    first = wired()
    with wired({"SLEEP_US": 1000}) as second:
        first.close()
        assert (second.logits(images) == expected.logits(images)).all()
        assert second._ip.read("GIER") == 1


def test_a3_waits_for_its_interrupt_too(make_a3: Callable[..., Any], thread_device: SimDevice) -> None:
    bitfile, _ = make_a3()
    rng = np.random.default_rng(0)
    keys, values, queries = rng.normal(size=(9, 8)), rng.normal(size=(9, 8)), rng.normal(size=(30, 8))
    results = []
    for wait in ("interrupt", "poll"):
        with A3(bitfile, thread_device, batch=8, wait=wait) as a3:
            assert a3.waits_by == wait
            a3.load(keys, values)
            results.append(a3.queries(queries))
    assert (results[0] == results[1]).all()
