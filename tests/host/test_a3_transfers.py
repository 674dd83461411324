# SPDX-License-Identifier: Apache-2.0
"""Transfers and kernels that go wrong under the A3 driver: an error each time, and the next query is right."""

from __future__ import annotations

import time
from typing import Any

import pytest

from host.small_key import QUERIES, OpenA3, is_right, load
from vitforge_host import AcceleratorTimeout, ClosedError, InputError, TransferError, packet_runner
from vitforge_host.errors import KernelFault
from vitforge_host.sim import SimDevice


# --- transfers that go wrong -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("run_mode", ["sync", "thread"])
def test_a_packet_cut_short_is_an_error_and_the_next_is_right(
    open_a3: OpenA3, monkeypatch: pytest.MonkeyPatch, run_mode: str
) -> None:
    with load(open_a3(device=SimDevice(run_mode=run_mode, ddr_bytes=1 << 24), batch=4)) as a3:
        channel = a3._dma._dma.sendchannel
        whole = channel.transfer

        def cut(buffer: Any, start: int = 0, nbytes: int = 0) -> None:
            whole(buffer, start, nbytes - 16)

        with monkeypatch.context() as patch, pytest.raises(TransferError, match="packet of 4 queries .* too short"):
            patch.setattr(channel, "transfer", cut)
            a3.codes(QUERIES)
        assert a3.statistics.queries == 0 and is_right(a3)
        with (
            monkeypatch.context() as patch,
            pytest.raises(TransferError, match="packet of keys and values .* too short"),
        ):
            patch.setattr(channel, "transfer", cut)
            load(a3)
        with pytest.raises(InputError, match="call load"):
            a3.codes(QUERIES)
        assert is_right(load(a3))


def test_a_packet_too_long_is_an_error_and_the_next_is_right(open_a3: OpenA3, monkeypatch: pytest.MonkeyPatch) -> None:
    with load(open_a3()) as a3:
        channel = a3._dma._dma.sendchannel
        whole = channel.transfer
        with monkeypatch.context() as patch, pytest.raises(TransferError, match="too long"):
            patch.setattr(channel, "transfer", lambda buffer, nbytes: whole(buffer, 0, nbytes + 16))
            a3.codes(QUERIES)
        assert is_right(a3)


@pytest.mark.parametrize("run_mode", ["sync", "thread"])
def test_results_longer_than_their_buffer_are_an_error(
    open_a3: OpenA3, monkeypatch: pytest.MonkeyPatch, run_mode: str
) -> None:
    """The kernel still has beats to send when the DMA stops: they must not show up in the next results."""
    with load(open_a3(device=SimDevice(run_mode=run_mode, ddr_bytes=1 << 24))) as a3:
        channel = a3._dma._dma.recvchannel
        whole = channel.transfer
        short = iter([32, 16])

        def too_little(buffer: Any, start: int = 0, nbytes: int = 0) -> None:
            whole(buffer, start, next(short, nbytes))

        with monkeypatch.context() as patch, pytest.raises(TransferError, match="could not receive a packet: internal"):
            patch.setattr(channel, "transfer", too_little)
            a3.codes(QUERIES)
        assert is_right(a3)


@pytest.mark.parametrize("run_mode", ["sync", "thread"])
def test_a_packet_that_cannot_be_read_is_an_error(open_a3: OpenA3, run_mode: str) -> None:
    """The kernel has been started for a packet that never comes."""
    with load(open_a3(device=SimDevice(run_mode=run_mode, ddr_bytes=1 << 24))) as a3:
        channel = a3._dma._dma.sendchannel
        whole = channel.transfer

        def from_nowhere(buffer: Any, nbytes: int) -> None:
            channel.transfer = whole  # only once: this is also how the kernel is brought to rest
            for register, value in ((0x18, 0), (0x1C, 0), (0x28, nbytes)):
                channel._mmio.write(register, value)

        channel.transfer = from_nowhere
        with pytest.raises(TransferError, match="could not send a packet: decode error"):
            a3.codes(QUERIES)
        assert is_right(a3)


def test_an_accelerator_that_stays_stuck_is_not_used_again(
    open_a3: OpenA3, monkeypatch: pytest.MonkeyPatch, thread_device: SimDevice
) -> None:
    monkeypatch.setattr(packet_runner, "_REST_S", 0.1)
    a3 = load(open_a3())
    channel = a3._dma._dma.sendchannel
    channel.transfer = lambda buffer, nbytes: channel._mmio.write(0x28, 0)  # a length that the DMA refuses
    with pytest.raises(TransferError, match="could not send a packet: internal error"):
        a3.codes(QUERIES)
    with pytest.raises(ClosedError, match="did not come to rest after a transfer failed; open it again"):
        a3.codes(QUERIES)
    a3.close()
    assert thread_device.default_memory.live_allocations == 4
    assert is_right(load(open_a3()))  # which reloads the overlay


def test_a_channel_that_is_not_ready_is_an_error(open_a3: OpenA3) -> None:
    with load(open_a3()) as a3:
        for channel, text in ((a3._dma._dma.sendchannel, "cannot send"), (a3._dma._dma.recvchannel, "cannot receive")):
            channel.stop()
            with pytest.raises(TransferError, match=f"axi_dma_0 {text} a packet: DMA channel not started"):
                a3.codes(QUERIES)
            assert is_right(a3)


@pytest.mark.parametrize(
    ("extra", "text"),
    [(-16, "gave 160 bytes for 11 queries instead of 176"), (-176, "did not receive its packet to the end")],
)
def test_no_result_is_lost_silently(open_a3: OpenA3, monkeypatch: pytest.MonkeyPatch, extra: int, text: str) -> None:
    monkeypatch.setattr(packet_runner, "_REST_S", 0.1)
    with load(open_a3({"EXTRA_BYTES": extra})) as a3:
        for _ in range(2):
            with pytest.raises(TransferError, match=text):
                a3.codes(QUERIES)


def test_more_results_than_asked_for_are_an_error(open_a3: OpenA3) -> None:
    with load(open_a3({"EXTRA_BYTES": 4096})) as a3:
        for _ in range(2):
            with pytest.raises(TransferError, match="could not receive a packet: internal error"):
                a3.codes(QUERIES)


# --- a kernel that goes wrong ----------------------------------------------------------------------------------------
def test_a_kernel_that_does_not_finish_gives_a_diagnosis(open_a3: OpenA3, thread_device: SimDevice) -> None:
    a3 = open_a3({"SLEEP_US": 900_000}, timeout_s=0.2)
    started = time.monotonic()
    with pytest.raises(AcceleratorTimeout) as caught:
        load(a3)
    assert time.monotonic() - started < 0.8
    text = str(caught.value)
    for part in (
        "vitforge_a3_0 did not finish keys and values in 0.2",
        "CTRL 0x01 (running)",
        "n 10, d 8",
        "timeout_s",
    ):
        assert part in text
    assert "DMASR 0x1002 sending, 0x0 receiving, clock 249.998 MHz" in text
    with pytest.raises(ClosedError, match=r"failed before .*; open it again with A3\("):
        a3.codes(QUERIES)
    live = thread_device.default_memory.live_allocations
    a3.close()
    assert live > 0 and thread_device.default_memory.live_allocations == live


def test_a_fault_of_the_simulated_kernel_comes_through(open_a3: OpenA3, thread_device: SimDevice) -> None:
    with open_a3({"FAULT": 1}) as a3:
        with pytest.raises(KernelFault, match="vitforge_a3_0 stopped with a fault: read from an empty stream"):
            load(a3)
        with pytest.raises(ClosedError, match="failed before"):
            a3.codes(QUERIES)
    assert thread_device.default_memory.live_allocations == 0
