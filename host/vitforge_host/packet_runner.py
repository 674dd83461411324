# SPDX-License-Identifier: Apache-2.0
"""Launches of a kernel that works on packets, and how it comes back to rest when a transfer fails."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vitforge_host.accelerator import PAUSE_S, Accelerator
from vitforge_host.errors import InputError, TransferError
from vitforge_host.overlay import pointer_words
from vitforge_host.packet_dma import PacketDma

_SHORT, _LONG = 1 << 0, 1 << 1  # bits of status
_REST_S = 2.0  # that the kernel has to come to rest, and a packet to arrive once the kernel is done


class PacketFormat(Protocol):
    """What a runner must know of a design."""

    @property
    def beat_bytes(self) -> int: ...

    @property
    def design_hash(self) -> str: ...


@dataclass(frozen=True)
class Registers:
    """Arguments of a kernel by name; the outputs have ``status`` among them."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    pointers: Sequence[str] = ()

    def names(self) -> list[str]:
        """Of the registers that the metadata must have."""
        halves = [f"{name}_{half}" for name in self.pointers for half in (1, 2)]
        return [*halves, *self.inputs, *self.outputs, *(f"{name}_ctrl" for name in self.outputs)]


@dataclass(frozen=True)
class Launch:
    """One run: its arguments (0 if not named), the packet that it takes and the one that it gives."""

    what: str  # for messages
    arguments: Mapping[str, int]
    packet: Any = None  # device buffer
    packet_bytes: int = 0
    results: Any = None
    result_bytes: int = 0
    pointers: Mapping[str, int] = field(default_factory=dict)  # argument -> address


class PacketRunner(Accelerator):
    """An opened overlay of a kernel and an AXI DMA; a subclass calls `_open` in its constructor."""

    def __init__(
        self,
        registers: Registers,
        bitfile: str | Path,
        device: Any,
        batch: int,
        timeout_s: float,
        wait: str,
    ) -> None:
        super().__init__(bitfile, device, batch, timeout_s, wait)
        self._registers = registers

    def _beside(self, suffix: str) -> Path:
        """The file of the overlay with this suffix."""
        return Path(str(self._overlay.bitfile_name)).with_suffix(suffix)

    def _open(self, format_: PacketFormat, clock_mhz: float | None, identify: Mapping[str, int]) -> None:
        """Find IP and DMA, and identify the kernel by a launch with the arguments ``identify``."""
        self._beat_bytes = format_.beat_bytes
        self._find_ip(self._registers.names(), clock_mhz)
        self._dma = PacketDma(self._overlay)
        launch = Launch("its identification", identify)
        self._begin(launch)
        self._finish(launch)
        self._check_identity(format_.design_hash)

    def _check_packet(self, nbytes: int, what: str) -> None:
        if nbytes > self._dma.most_bytes:
            most = self._dma.most_bytes
            raise InputError(f"{what} take {nbytes} bytes, and the DMA moves at most {most} at a time; use fewer")

    def _begin(self, launch: Launch) -> None:
        """Start ``launch``; its packet must have been written to the buffer, which the DMA flushes."""
        self._require_idle()
        try:
            with self._transferring:
                if launch.result_bytes:
                    self._dma.receive(launch.results, launch.result_bytes)
                if launch.packet_bytes:
                    self._dma.send(launch.packet, launch.packet_bytes)
        except TransferError:
            self._dma.reset()
            raise
        pointers = {name: launch.pointers.get(name, 0) for name in self._registers.pointers}
        arguments = {name: launch.arguments.get(name, 0) for name in self._registers.inputs}
        self._ip.write_arguments(pointer_words(pointers) | arguments)
        self._start()

    def _finish(self, launch: Launch) -> dict[str, int]:
        """Wait for the end of ``launch``; its output registers by name.

        Raises TransferError if a packet was not transferred as a whole; all is then ready for the next launch.
        """
        try:
            self._until_done(lambda: (launch.what, self._settings(launch)), self._dma.check)
            received = 0
            if launch.packet_bytes:
                with self._transferring:
                    received = self._dma.finish(receives=launch.result_bytes > 0, timeout_s=_REST_S)
            outputs = {name: self._ip.read_output(name) or 0 for name in self._registers.outputs}
            self._check_whole(launch, outputs["status"], received)
        except TransferError:
            self._recover(launch)
            raise
        return outputs

    def _check_whole(self, launch: Launch, status: int, received: int) -> None:
        if status & (_SHORT | _LONG):
            wrong = "short" if status & _SHORT else "long"
            raise TransferError(
                f"the packet of {launch.what} reached {self._ip.name} too {wrong}, so its outcome was thrown away; "
                "try again, and check who else uses the DMA if that does not help"
            )
        if received != launch.result_bytes:
            raise TransferError(
                f"{self._ip.name} gave {received} bytes for {launch.what} instead of {launch.result_bytes}, which were "
                "thrown away; check that overlay and driver are of one project"
            )

    def _recover(self, launch: Launch) -> None:
        """Bring the kernel to rest, and reset the DMA.

        A kernel whose packet broke off is given its end, and what it still has to say is received and forgotten.
        """
        broke_off = self._dma.send_failed
        self._dma.reset()
        deadline = time.monotonic() + _REST_S
        receives = False
        while not self._idle():
            if launch.result_bytes and not receives:
                self._dma.receive(launch.results, launch.result_bytes)
                receives = True
            if broke_off:
                self._dma.send(launch.packet, self._beat_bytes)
                broke_off = False
            try:
                self._dma.check()
            except TransferError:  # more than one buffer holds
                self._dma.reset()
                receives = False
            if time.monotonic() > deadline:
                self._unusable = "did not come to rest after a transfer failed"
                break
            time.sleep(PAUSE_S)
        self._dma.reset()

    def _drain(self) -> None:
        super()._drain()
        self._dma.reset()

    def _settings(self, launch: Launch) -> str:
        words = [f"{name} {value}" for name, value in launch.arguments.items()]
        return f"{', '.join(words)}, {self._dma.state()}"
