# SPDX-License-Identifier: Apache-2.0
"""Launches of the A3 kernel with their packets, and how it comes back to rest when a transfer fails."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitforge_host.a3_dma import PacketDma
from vitforge_host.a3_format import A3Format, read_format
from vitforge_host.accelerator import PAUSE_S, Accelerator
from vitforge_host.errors import TransferError
from vitforge_host.identity import A3 as A3_IDENTITY

IDENTIFY, LOAD, QUERY = 0, 1, 2  # values of the argument op
INPUTS = ("op", "n", "d", "m", "threshold", "scale_mult", "scale_shift", "pairs", "single_from", "unit_mask")
OUTPUTS = ("status", "candidates", "kept", "cycles")
_SHORT, _LONG = 1 << 0, 1 << 1  # bits of status
_REST_S = 2.0  # that the kernel has to come to rest, and a packet to arrive once the kernel is done


@dataclass(frozen=True)
class Launch:
    """One run: its arguments (0 if not named), the packet that it takes and the one that it gives."""

    what: str  # for messages
    arguments: Mapping[str, int]
    packet: Any = None  # device buffer
    packet_bytes: int = 0
    results: Any = None
    result_bytes: int = 0


class A3Runner(Accelerator):
    """An opened A3 overlay; its constructor identifies it."""

    def __init__(self, bitfile: str | Path, device: Any, batch: int, timeout_s: float, clock_mhz: float | None) -> None:
        super().__init__(A3_IDENTITY, bitfile, device, batch, timeout_s)
        try:
            loaded_from = Path(str(self._overlay.bitfile_name))
            self._format: A3Format = read_format(loaded_from.with_suffix(".a3.json"))
            self._find_ip([*INPUTS, *OUTPUTS, *(f"{name}_ctrl" for name in OUTPUTS)], clock_mhz)
            self._dma = PacketDma(self._overlay)
            identify = Launch("its identification", {"op": IDENTIFY})
            self._begin(identify)
            self._finish(identify)
            self._check_identity(self._format.design_hash)
        except BaseException:
            self.close()
            raise

    def _begin(self, launch: Launch) -> None:
        """Start ``launch``; its packet must have been written to the buffer, which the DMA flushes."""
        self._require_idle()
        try:
            if launch.result_bytes:
                self._dma.receive(launch.results, launch.result_bytes)
            if launch.packet_bytes:
                self._dma.send(launch.packet, launch.packet_bytes)
        except TransferError:
            self._dma.reset()
            raise
        for name in INPUTS:
            self._ip.write(name, launch.arguments.get(name, 0))
        self._start()

    def _finish(self, launch: Launch) -> dict[str, int]:
        """Wait for the end of ``launch``; its output registers by name.

        Raises TransferError if a packet was not transferred as a whole; all is then ready for the next launch.
        """
        try:
            self._until_done(lambda: (launch.what, self._settings(launch)), self._dma.check)
            received = 0
            if launch.packet_bytes:
                received = self._dma.finish(receives=launch.result_bytes > 0, timeout_s=_REST_S)
            outputs = {name: self._ip.read_output(name) or 0 for name in OUTPUTS}
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
                self._dma.send(launch.packet, self._format.beat_bytes)
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
