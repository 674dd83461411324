# SPDX-License-Identifier: Apache-2.0
"""Packets through the stock ``pynq.lib.dma.DMA``: never waits without end, and starts afresh after an error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from vitforge_host.errors import OverlayError, TransferError
from vitforge_host.overlay import AXI_DMA, find_ip, ip_driver

_CONTROL, _STATUS, _RECEIVER = 0x00, 0x04, 0x30  # offsets of the registers, and of the receiving channel's (PG021)
_RESET = 1 << 2
_ERRORS = {4: "internal error", 5: "slave error", 6: "decode error"}  # bits of the status register
_RESET_S = 1.0  # far more than a reset takes


class PacketDma:
    """Both channels of the only AXI DMA in ``overlay``."""

    def __init__(self, overlay: Any) -> None:
        self.name = find_ip(overlay, AXI_DMA)
        self._dma = ip_driver(overlay, self.name)
        if self._dma.sendchannel is None or self._dma.recvchannel is None:
            raise OverlayError(f"{self.name} must have a channel in each direction; check the block design")

    @property
    def most_bytes(self) -> int:
        """Of one packet."""
        return int(self._dma.buffer_max_size)

    def send(self, buffer: Any, nbytes: int) -> None:
        """Send the first ``nbytes`` of ``buffer`` as a packet; they must stay as they are until `finish`."""
        self._begin("send", lambda: self._dma.sendchannel.transfer(buffer, nbytes=nbytes))

    def receive(self, buffer: Any, nbytes: int) -> None:
        """Take the next packet, of at most ``nbytes``, into ``buffer``."""
        self._begin("receive", lambda: self._dma.recvchannel.transfer(buffer, nbytes=nbytes))

    def check(self) -> None:
        """Raise TransferError if either channel reports an error."""
        for direction, offset in (("send", 0), ("receive", _RECEIVER)):
            status = int(self._dma.read(offset + _STATUS))
            found = [text for bit, text in _ERRORS.items() if status >> bit & 1]
            if found:
                raise TransferError(f"{self.name} could not {direction} a packet: {found[0]} (DMASR 0x{status:x})")

    @property
    def send_failed(self) -> bool:
        return bool(self._dma.sendchannel.error)

    def finish(self, *, receives: bool, timeout_s: float) -> int:
        """Wait until what was begun has ended; returns the bytes received. Raises TransferError if that fails."""
        channels = [("send", self._dma.sendchannel)] + [("receive", self._dma.recvchannel)] * receives
        deadline = time.monotonic() + timeout_s
        for direction, channel in channels:
            while not channel.idle:
                self.check()
                if time.monotonic() > deadline:
                    raise TransferError(f"{self.name} did not {direction} its packet to the end ({self.state()})")
            channel.wait()  # which is over; it invalidates the buffer and reads the length
        return int(self._dma.recvchannel.transferred) if receives else 0

    def reset(self) -> None:
        """Drop all transfers and errors."""
        self._dma.write(_CONTROL, _RESET)
        deadline = time.monotonic() + _RESET_S
        while self._dma.read(_CONTROL) & _RESET:
            if time.monotonic() > deadline:
                raise TransferError(f"{self.name} does not come out of its reset; check that the PL clock runs")
        self._dma.sendchannel.start()
        self._dma.recvchannel.start()

    def state(self) -> str:
        """Both status registers, for a diagnosis."""
        sender, receiver = (int(self._dma.read(offset + _STATUS)) for offset in (0, _RECEIVER))
        return f"DMASR 0x{sender:x} sending, 0x{receiver:x} receiving"

    def _begin(self, direction: str, transfer: Callable[[], None]) -> None:
        try:
            transfer()
        except (RuntimeError, ValueError) as error:  # what pynq raises if the channel is not ready or too short
            raise TransferError(f"{self.name} cannot {direction} a packet: {error}") from None
