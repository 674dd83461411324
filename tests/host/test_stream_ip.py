# SPDX-License-Identifier: Apache-2.0
"""The model of a streaming block behind an AXI DMA, with pynq alone, and the connections in a manifest."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pynq import Overlay, allocate

from vitforge_host.errors import KernelFault, OverlayError, WatchdogError
from vitforge_host.sim import SimDevice

Board = Callable[..., Any]


@pytest.fixture
def kernel(make_a3: Callable[..., Any]) -> Board:
    """The fake A3 kernel behind the DMA, with pynq alone; a load of a key of one row of 8 elements is ready to go."""

    def made(device: SimDevice, **defines: object) -> Any:
        overlay = Overlay(make_a3(defines, units=1, approximate=False)[0], device=device)
        ip, dma = overlay.vitforge_a3_0, overlay.axi_dma_0
        packet = allocate((2, 8), np.int16, target=device)
        packet[0], packet[1] = np.arange(8), np.arange(8) + 1
        result = allocate((8,), np.int16, target=device)
        result[:] = -1
        result.flush()
        registers = ip.register_map
        registers.op, registers.n, registers.d, registers.unit_mask = 1, 1, 8, 1
        return SimpleNamespace(ip=ip, dma=dma, packet=packet, result=result, registers=registers)

    return made


@pytest.mark.parametrize("run_mode", ["sync", "thread"])
@pytest.mark.parametrize("order", ["send first", "start first"])
def test_a_run_takes_one_packet_and_gives_one(kernel: Board, run_mode: str, order: str) -> None:
    device = SimDevice(ddr_bytes=1 << 24, run_mode=run_mode)
    board = kernel(device)
    steps = [lambda: board.dma.sendchannel.transfer(board.packet), lambda: board.ip.write(0, 1)]
    for step in steps if order == "send first" else steps[::-1]:
        assert not board.ip.read(0) & 2
        step()
    until_done(board.ip)
    assert board.dma.sendchannel.idle and int(board.registers.status) == 0
    board.registers.op, board.registers.pairs = 2, 1
    board.dma.sendchannel.transfer(board.packet, nbytes=16)
    board.ip.write(0, 1)
    time.sleep(0.02)
    assert board.ip.read(0) == 1  # its packet has nowhere to go
    board.dma.recvchannel.transfer(board.result)
    until_done(board.ip)
    board.dma.recvchannel.wait()
    assert board.dma.recvchannel.transferred == 16
    assert np.array(board.result).tolist() == [140 * (j + 1) for j in range(8)]
    assert device.cycles == 1 + 10 and int(board.registers.cycles) == 10


def until_done(ip: Any) -> None:
    while not ip.read(0) & 2:
        time.sleep(0.001)


def test_a_run_that_needs_no_packet_starts_without(kernel: Board, sync_device: SimDevice) -> None:
    board = kernel(sync_device)
    board.registers.op = 0
    board.dma.sendchannel.transfer(board.packet)
    board.ip.write(0, 1)
    assert board.ip.read(0) == 0b1110 and int(board.registers.magic) == 0x56464133
    assert not board.dma.sendchannel.idle  # the packet waits for the next run


def test_a_started_block_without_a_packet_ends_in_a_diagnosis(kernel: Board) -> None:
    device = SimDevice(ddr_bytes=1 << 24, idle_polls=1000)
    board = kernel(device)
    board.ip.write(0, 1)
    waits = r"read 1001 times while the block has been started but waits for a packet on its stream; send one \(1 runs"
    with pytest.raises(WatchdogError, match=f"CTRL of vitforge_a3_0 was {waits}"):
        until_done_busily(board.ip)
    board.dma.sendchannel.transfer(board.packet)
    until_done_busily(board.ip)
    board.registers.op, board.registers.pairs = 2, 1
    board.dma.sendchannel.transfer(board.packet, nbytes=16)
    board.ip.write(0, 1)
    with pytest.raises(WatchdogError, match="waits until its packet is taken; arm the DMA channel"):
        until_done_busily(board.ip)


def until_done_busily(ip: Any) -> None:
    while not ip.read(0) & 2:
        pass


def test_waiting_on_the_dma_while_the_block_runs_does_not_end_early(kernel: Board) -> None:
    device = SimDevice(ddr_bytes=1 << 24, idle_polls=100)
    board = kernel(device, SLEEP_US=100_000)
    board.ip.write(0, 1)
    board.dma.sendchannel.transfer(board.packet)
    until_done(board.ip)
    board.registers.op, board.registers.pairs = 2, 1
    board.dma.recvchannel.transfer(board.result)
    board.dma.sendchannel.transfer(board.packet, nbytes=16)
    board.ip.write(0, 1)
    started = time.monotonic()
    board.dma.recvchannel.wait()
    assert time.monotonic() - started > 0.09


def test_a_fault_is_raised_by_the_status_read(kernel: Board, sync_device: SimDevice) -> None:
    board = kernel(sync_device, FAULT=1)
    board.dma.sendchannel.transfer(board.packet)
    board.ip.write(0, 1)
    with pytest.raises(KernelFault, match="vitforge_a3_0 stopped with a fault: read from an empty stream"):
        board.ip.read(0)


def test_runs_follow_each_other_without_losing_a_packet(kernel: Board) -> None:
    """A host that is always ahead: the next packet waits while the last one is worked on."""
    device = SimDevice(ddr_bytes=1 << 24)
    board = kernel(device)
    sums = []
    board.dma.sendchannel.transfer(board.packet)
    board.ip.write(0, 1)
    until_done(board.ip)
    board.registers.op, board.registers.pairs = 2, 1
    queries = allocate((30, 8), np.int16, target=device)
    queries[:] = np.arange(30)[:, np.newaxis]

    def send() -> None:
        for i in range(30):
            board.dma.sendchannel.transfer(queries, 16 * i, 16)
            board.dma.sendchannel.wait()

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(30):
        board.dma.recvchannel.transfer(board.result)
        board.ip.write(0, 1)
        until_done(board.ip)
        board.dma.recvchannel.wait()
        sums.append(int(board.result[0]))
    sender.join()
    assert sums == [28 * i for i in range(30)]


# --- manifests -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"streams": [["axi_dma_0", "vitforge_a3_0"]]}, "connects vitforge_a3_0 to no stream on one side"),
        ({"streams": [["axi_dma_0", "nobody"]]}, "stream axi_dma_0 to nobody that nobody has no port for"),
        ({"streams": [["axi_dma_0", "vitforge_a3_0"]] * 2}, "that axi_dma_0 has no port for"),
        ({"streams": [["axi_dma_0"]]}, "lacks or misuses the entry not enough values"),
        ({"condition": {"argument": "nothing", "value": 0}}, "condition on nothing, which is no i32 argument"),
        ({"condition": {}}, "lacks or misuses the entry 'argument'"),
    ],
)
def test_connections_that_cannot_be_are_refused(
    make_a3: Callable[..., Any], sync_device: SimDevice, change: dict[str, Any], text: str
) -> None:
    bitfile = Path(make_a3()[0])
    manifest = bitfile.with_suffix(".sim.json")
    content = json.loads(manifest.read_text())
    if "condition" in change:
        content["ip"]["vitforge_a3_0"]["stream"]["packet_unless"] = change["condition"]
    else:
        content |= change
    manifest.write_text(json.dumps(content))
    with pytest.raises(OverlayError, match=text):
        Overlay(str(bitfile), device=sync_device)
