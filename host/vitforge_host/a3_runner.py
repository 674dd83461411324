# SPDX-License-Identifier: Apache-2.0
"""Launches of the A3 kernel: its registers, and its identification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vitforge_host.a3_format import A3Format, read_format
from vitforge_host.identity import A3 as A3_IDENTITY
from vitforge_host.packet_runner import Launch, PacketRunner, Registers

__all__ = ["A3Runner", "Launch"]
IDENTIFY, LOAD, QUERY = 0, 1, 2  # values of the argument op
INPUTS = ("op", "n", "d", "m", "threshold", "scale_mult", "scale_shift", "pairs", "single_from", "unit_mask")
OUTPUTS = ("status", "candidates", "kept", "cycles")


class A3Runner(PacketRunner):
    """An opened A3 overlay; its constructor identifies it."""

    KERNEL = A3_IDENTITY

    def __init__(
        self, bitfile: str | Path, device: Any, batch: int, timeout_s: float, clock_mhz: float | None, wait: str
    ) -> None:
        super().__init__(Registers(INPUTS, OUTPUTS), bitfile, device, batch, timeout_s, wait)
        try:
            self._format: A3Format = read_format(self._beside(self.KERNEL.suffix))
            self._open(self._format, clock_mhz, {"op": IDENTIFY})
        except BaseException:
            self.close()
            raise
