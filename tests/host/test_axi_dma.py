# SPDX-License-Identifier: Apache-2.0
"""The model of AXI DMA, sending to itself, under pynq's own DMA driver."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynq import MMIO, Overlay, allocate
from pynq.lib.dma import DMA

from vitforge_host.errors import BusError, OverlayError, SimulationError, WatchdogError
from vitforge_host.sim import SimDevice

Board = Callable[..., Any]
DMASR, LENGTH, RECEIVER = 0x04, 0x28, 0x30
PENDING, ACKNOWLEDGE = 0x00, 0x0C  # of the axi_intc


@pytest.fixture
def loopback(make_a3: Callable[..., Any], sync_device: SimDevice) -> Board:
    """An overlay whose DMA sends to itself, and its DMA."""

    def made(device: SimDevice = sync_device, **parameters: int) -> DMA:
        bitfile = Path(make_a3()[0])
        bitfile.with_suffix(".sim.json").write_text(
            json.dumps({"format": 1, "ip": {}, "streams": [["axi_dma_0", "axi_dma_0"]]})
        )
        handoff = bitfile.with_suffix(".hwh")
        text = handoff.read_text()
        for name, value in parameters.items():
            before = text[text.index(f'NAME="{name}"') :].partition("/>")[0]
            text = text.replace(before, f'NAME="{name}" VALUE="{value}"')
        handoff.write_text(text)
        bitfile.write_bytes(b"not a stub, so the changed .hwh is taken")
        return Overlay(str(bitfile), device=device).axi_dma_0

    return made


def filled(device: SimDevice, count: int, first: int = 0) -> Any:
    buffer = allocate((count,), np.uint8, target=device)
    buffer[:] = np.arange(first, first + count)
    buffer.flush()
    return buffer


@pytest.mark.parametrize("receive_first", [True, False])
@pytest.mark.parametrize("register_rw", [True, False])
def test_packets_go_through_the_stock_driver(loopback: Board, receive_first: bool, register_rw: bool) -> None:
    device = SimDevice(ddr_bytes=1 << 24, register_rw=register_rw)
    dma = loopback(device)
    assert type(dma) is DMA and dma.buffer_max_size == (1 << 26) - 1
    source, target = filled(device, 96), filled(device, 128, first=100)
    for start, size in ((0, 0), (16, 32), (64, 5)):
        calls = [lambda start=start, size=size: dma.sendchannel.transfer(source, start, size)]
        calls.insert(0 if receive_first else 1, lambda: dma.recvchannel.transfer(target, 16, 112))
        for call in calls:
            call()
        dma.sendchannel.wait()
        dma.recvchannel.wait()
        size = size or 96
        assert (dma.sendchannel.transferred, dma.recvchannel.transferred) == (size, size)
        assert (np.array(target[16 : 16 + size]) == np.array(source[start : start + size])).all()
        assert (np.array(target[:16]) == np.arange(100, 116)).all()


def test_slices_of_buffers_are_sent_and_received(loopback: Board, sync_device: SimDevice) -> None:
    dma, source, target = loopback(), filled(sync_device, 96), filled(sync_device, 96, first=100)
    dma.recvchannel.transfer(target[32:64])
    dma.sendchannel.transfer(source[16:48])
    dma.recvchannel.wait()
    target.invalidate()
    assert np.array(target).tolist() == [*range(100, 132), *range(16, 48), *range(164, 196)]


def test_a_forgotten_flush_or_invalidate_is_seen(loopback: Board, sync_device: SimDevice) -> None:
    dma, source, target = loopback(), filled(sync_device, 16), filled(sync_device, 16, first=100)
    source[:] = 7  # not flushed
    for channel, buffer in ((dma.recvchannel, target), (dma.sendchannel, source)):  # what transfer() does, less flush
        for register, value in ((0x18, buffer.device_address & 0xFFFFFFFF), (0x1C, buffer.device_address >> 32)):
            channel._mmio.write(channel._offset + register, value)
        channel._mmio.write(channel._offset + LENGTH, 16)
    assert dma.recvchannel.idle and np.array(target).tolist() == list(range(100, 116))  # not invalidated
    target.invalidate()
    assert np.array(target).tolist() == list(range(16))


def test_a_sent_packet_stays_until_it_is_taken(loopback: Board, sync_device: SimDevice) -> None:
    """Back-pressure: what is written to the buffer meanwhile, and flushed, is what arrives."""
    dma, source, target = loopback(), filled(sync_device, 16), filled(sync_device, 16)
    dma.sendchannel.transfer(source)
    assert not dma.sendchannel.idle
    with pytest.raises(SimulationError, match="axi_dma_0 MM2S was given a transfer while one is under way"):
        dma.write(LENGTH, 16)
    source[:] = 9
    source.flush()
    dma.recvchannel.transfer(target)
    assert dma.sendchannel.idle
    dma.recvchannel.wait()
    assert (np.array(target) == 9).all()


def test_a_packet_longer_than_its_buffer_is_an_internal_error(loopback: Board, sync_device: SimDevice) -> None:
    dma, source, target = loopback(), filled(sync_device, 96), filled(sync_device, 96, first=100)
    dma.recvchannel.transfer(target, nbytes=32)
    dma.sendchannel.transfer(source)
    assert dma.recvchannel.error and not dma.recvchannel.running and not dma.sendchannel.idle
    with pytest.raises(RuntimeError, match="not started"):
        dma.recvchannel.wait()
    assert dma.read(RECEIVER + DMASR) == 0x4011 and dma.read(RECEIVER + LENGTH) == 32
    dma.write(RECEIVER, 1)  # a start alone does not help
    assert not dma.recvchannel.running
    target.invalidate()
    assert np.array(target).tolist() == [*range(32), *range(132, 196)]
    dma.write(0, 4)  # a reset of either channel resets both
    assert [dma.read(offset) for offset in (0, RECEIVER, DMASR, RECEIVER + DMASR)] == [0x10002, 0x10002, 1, 1]
    dma.sendchannel.start()
    dma.recvchannel.start()
    dma.recvchannel.transfer(target)
    dma.sendchannel.transfer(source[64:])
    dma.recvchannel.wait()
    assert dma.recvchannel.transferred == 32 and np.array(target[:32]).tolist() == list(range(64, 96))


def test_bad_addresses_and_lengths_set_their_bits(loopback: Board, sync_device: SimDevice) -> None:
    dma, source = loopback(), filled(sync_device, 64)
    freed = filled(sync_device, 64)
    freed.freebuffer()

    def restart() -> None:
        dma.write(0, 4)
        dma.sendchannel.start()
        dma.recvchannel.start()

    for channel in (dma.sendchannel, dma.recvchannel):
        for address in (0, freed.device_address, source.device_address + 4096, source.device_address + 56 & ~15):
            dma.write(channel._offset + 0x18, address & 0xFFFFFFFF)
            dma.write(channel._offset + 0x1C, address >> 32)
            dma.write(channel._offset + LENGTH, 32)
            assert dma.read(channel._offset + DMASR) == 0x4041
            restart()
        dma.write(channel._offset + LENGTH, 0)
        assert dma.read(channel._offset + DMASR) == 0x4011
        restart()
    with pytest.raises(BusError, match="no part of an allocated buffer"):
        dma.sendchannel.transfer(source + 1)


def test_a_buffer_freed_while_it_is_sent_is_a_bad_address(loopback: Board, sync_device: SimDevice) -> None:
    dma, source, target = loopback(), filled(sync_device, 64), filled(sync_device, 64)
    dma.sendchannel.transfer(source)
    source.freebuffer()
    dma.recvchannel.transfer(target)
    with pytest.raises(RuntimeError, match="not started"):
        dma.sendchannel.wait()
    assert dma.read(DMASR) == 0x4041 and not dma.recvchannel.idle


def test_unaligned_starts_are_refused(loopback: Board, sync_device: SimDevice) -> None:
    dma, source = loopback(), filled(sync_device, 64)
    with pytest.raises(RuntimeError, match="aligned to 16 bytes"):
        dma.sendchannel.transfer(source, 8)
    dma.write(0x18, source.device_address + 8 & 0xFFFFFFFF)
    with pytest.raises(SimulationError, match="no data realignment, so 0x.*8 must be a multiple of 16"):
        dma.write(LENGTH, 16)


def test_with_realignment_any_start_goes(loopback: Board, sync_device: SimDevice) -> None:
    dma = loopback(c_include_mm2s_dre=1)
    source, target = filled(sync_device, 64), filled(sync_device, 64)
    dma.sendchannel.transfer(source, 3, 10)
    dma.recvchannel.transfer(target)
    dma.recvchannel.wait()
    assert np.array(target[:10]).tolist() == list(range(3, 13))


def test_length_is_as_wide_as_the_parameter_says(loopback: Board, sync_device: SimDevice) -> None:
    dma = loopback(c_sg_length_width=8)
    with pytest.raises(ValueError, match="exceeds the maximum DMA buffer size 255"):
        dma.sendchannel.transfer(filled(sync_device, 200), nbytes=256)
    dma.write(LENGTH, 256)
    assert dma.sendchannel.error  # a length of 0


def test_a_halted_channel_takes_no_transfer(loopback: Board, sync_device: SimDevice) -> None:
    dma, source, target = loopback(), filled(sync_device, 64), filled(sync_device, 64)
    dma.sendchannel.stop()
    with pytest.raises(RuntimeError, match="DMA channel not started"):
        dma.sendchannel.transfer(source)
    dma.write(LENGTH, 64)
    assert dma.read(LENGTH) == 0 and not dma.sendchannel.running
    dma.sendchannel.start()
    dma.sendchannel.transfer(source)
    dma.write(0, 0)  # halts after the transfer under way
    assert dma.sendchannel.running
    dma.recvchannel.transfer(target)
    assert not dma.sendchannel.running and dma.recvchannel.idle


def test_interrupt_status_is_cleared_by_writing_ones(loopback: Board, sync_device: SimDevice) -> None:
    dma, source, target = loopback(), filled(sync_device, 64), filled(sync_device, 64)
    controller = MMIO(dma.mmio.base_addr + 0x10000, 0x20, device=sync_device)

    def lines() -> tuple[bool, bool]:
        """Interrupts of both channels, as the axi_intc sees them now."""
        controller.write(ACKNOWLEDGE, 0b110)
        return bool(controller.read(PENDING) & 0b010), bool(controller.read(PENDING) & 0b100)

    for channel in (0, RECEIVER):
        dma.write(channel, 0x0001)
    dma.recvchannel.transfer(target)
    dma.sendchannel.transfer(source)
    assert dma.read(DMASR) == dma.read(RECEIVER + DMASR) == 0x1002
    assert lines() == (False, False)
    dma.write(0, 0x1001)
    assert lines() == (True, False)
    dma.write(DMASR, 0x1000)
    assert dma.read(DMASR) == 0x0002
    assert lines() == (False, False)
    dma.write(RECEIVER, 0x4001)
    dma.write(RECEIVER + LENGTH, 0)
    assert lines() == (False, True)


def test_waiting_for_what_never_comes_ends(loopback: Board) -> None:
    device = SimDevice(ddr_bytes=1 << 24, idle_polls=1000)
    dma = loopback(device)
    dma.recvchannel.transfer(filled(device, 64))
    with pytest.raises(
        WatchdogError, match="DMASR of axi_dma_0 S2MM was read .* nothing runs: it has no packet to rec"
    ):
        dma.recvchannel.wait()
    dma = loopback(device)
    dma.sendchannel.transfer(filled(device, 64))
    with pytest.raises(WatchdogError, match="MM2S was read .* it has 64 bytes that no one takes; start the block"):
        dma.sendchannel.wait()
    dma = loopback(device)
    dma.write(LENGTH, 0)
    with pytest.raises(WatchdogError, match="no transfer under way; reset it after an error"):
        dma.sendchannel.start()


@pytest.mark.parametrize("mode", ["c_include_sg", "c_micro_dma"])
def test_modes_that_are_not_modelled_are_refused(loopback: Board, mode: str) -> None:
    with pytest.raises(OverlayError, match=f"axi_dma_0 has {mode} set; only the direct register mode"):
        loopback(**{mode: 1})


def test_cyclic_transfers_are_refused(loopback: Board) -> None:
    with pytest.raises(SimulationError, match="cyclic transfers are not simulated"):
        loopback().write(0, 0x11)
