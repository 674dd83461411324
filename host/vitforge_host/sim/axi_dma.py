# SPDX-License-Identifier: Apache-2.0
"""Model of AMD's AXI DMA 7.1 in direct register mode (PG021), as the stock ``pynq.lib.dma.DMA`` uses it."""

from __future__ import annotations

import ctypes
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping

from vitforge_host.errors import BusError, OverlayError, SimulationError, WatchdogError
from vitforge_host.sim.control import Surroundings
from vitforge_host.sim.stream import Stream

S2MM_OFFSET = 0x30  # the registers of the receiving channel lie behind those of the sending one
DMACR, DMASR, ADDRESS, ADDRESS_MSB, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
RUN, RESET, CYCLIC = 1 << 0, 1 << 2, 1 << 4  # of DMACR
HALTED, IDLE, INTERNAL_ERROR, DECODE_ERROR = 1 << 0, 1 << 1, 1 << 4, 1 << 6  # of DMASR
ON_COMPLETE, ON_ERROR = 1 << 12, 1 << 14  # enable in DMACR, status (write 1 to clear) in DMASR
_RESET_CONTROL = 0x10002  # interrupt threshold 1, and a bit that is always set
_INTERRUPTS = 0x7000
_LOG = logging.getLogger(__name__)


class AxiDma:
    """Both channels of one engine. ``parameters`` are those of the .hwh, in lower case.

    Raises OverlayError for scatter-gather and micro mode, which are not modelled.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, object],
        surroundings: Surroundings,
        outward: Stream | None,
        inward: Stream | None,
    ) -> None:
        for mode in ("c_include_sg", "c_micro_dma"):
            if _number(parameters, mode):
                raise OverlayError(f"{name} has {mode} set; only the direct register mode of axi_dma is simulated")
        self._lock = surroundings.lock
        self.mm2s = _Sender(name, "mm2s", parameters, surroundings, outward)
        self.s2mm = _Receiver(name, "s2mm", parameters, surroundings, inward)

    def read(self, offset: int) -> int:
        """A 32-bit register."""
        channel, register = self._at(offset)
        with self._lock:
            return channel.read(register)

    def write(self, offset: int, value: int) -> None:
        """A 32-bit register; a reset of either channel resets both."""
        channel, register = self._at(offset)
        with self._lock:
            if register == DMACR and value & RESET:
                self.mm2s.reset()
                self.s2mm.reset()
            else:
                channel.write(register, value)

    def _at(self, offset: int) -> tuple[_Channel, int]:
        return (self.s2mm, offset - S2MM_OFFSET) if offset >= S2MM_OFFSET else (self.mm2s, offset)


class _Channel(ABC):
    """One direction. Idle is 0 until the first transfer after a start has ended, as on silicon."""

    def __init__(
        self, name: str, prefix: str, parameters: Mapping[str, object], around: Surroundings, stream: Stream | None
    ) -> None:
        self._name = f"{name} {prefix.upper()}"
        self._pin = f"{name}/{prefix}_introut"
        self._around = around
        self._stream = Stream() if stream is None else stream  # unconnected: nothing ever moves
        self._present = bool(_number(parameters, f"c_include_{prefix}", 1))
        aligned = not _number(parameters, f"c_include_{prefix}_dre")
        self._align = _number(parameters, f"c_m_axi_{prefix}_data_width", 32) // 8 if aligned else 1
        self._length_mask = (1 << _number(parameters, "c_sg_length_width", 14)) - 1
        self.reset()

    def reset(self) -> None:
        self._control = _RESET_CONTROL
        self._status = HALTED
        self._address = 0
        self._length = 0
        self._active = False  # a transfer is under way
        self._polls = 0
        self._drive_interrupt()

    def _drive_interrupt(self) -> None:
        self._around.interrupt(self._pin, bool(self._control & self._status & _INTERRUPTS))

    def read(self, register: int) -> int:
        if not self._present:
            return 0
        if register == DMASR:
            self._watch()
            return self._status
        values = {DMACR: self._control, ADDRESS: self._address & 0xFFFFFFFF, LENGTH: self._length}
        return values.get(register, self._address >> 32 if register == ADDRESS_MSB else 0)

    def write(self, register: int, value: int) -> None:
        self._polls = 0
        if register == DMACR:
            self._write_control(value)
        elif register == DMASR:
            self._status &= ~(value & _INTERRUPTS)
        elif register == ADDRESS:
            self._address = self._address >> 32 << 32 | value
        elif register == ADDRESS_MSB:
            self._address = self._address & 0xFFFFFFFF | value << 32
        elif register == LENGTH and not self._status & HALTED:  # without effect while halted
            self._launch(value & self._length_mask)
        self._drive_interrupt()

    def _write_control(self, value: int) -> None:
        if value & CYCLIC:
            raise SimulationError(f"{self._name}: cyclic transfers are not simulated; send each packet by itself")
        self._control = value | 2
        if not value & RUN:
            self._halt_when_done()
        elif self._status & HALTED and not self._status & (INTERNAL_ERROR | DECODE_ERROR):  # those need a reset
            self._status &= ~(HALTED | IDLE)

    def _launch(self, length: int) -> None:
        if self._active:
            raise SimulationError(f"{self._name} was given a transfer while one is under way; wait for that first")
        if self._address % self._align:
            raise SimulationError(
                f"{self._name} has no data realignment, so 0x{self._address:x} must be a multiple of {self._align}"
            )
        self._length = length
        self._status &= ~IDLE
        if not length:
            self._fail(INTERNAL_ERROR)
        elif self._memory() is not None:
            self._active = True
            self._go()

    @abstractmethod
    def _go(self) -> None:
        """Called when a transfer is accepted; leads to `_complete` or `_fail`, now or later."""

    def _memory(self) -> int | None:
        """Host address of the transfer's memory; None, and a decode error, if no buffer holds all of it."""
        try:
            return self._around.memory.resolve(self._address, self._length, self._name)
        except BusError as error:
            _LOG.warning("DMADecErr: %s", error)
            self._fail(DECODE_ERROR)
            return None

    def _complete(self) -> None:
        self._active = False
        self._polls = 0
        self._status |= IDLE | ON_COMPLETE
        self._halt_when_done()
        self._drive_interrupt()

    def _fail(self, error: int) -> None:
        self._active = False
        self._polls = 0
        self._status |= error | ON_ERROR | HALTED
        self._control &= ~RUN
        self._drive_interrupt()

    def _halt_when_done(self) -> None:
        if not self._control & RUN and not self._active:
            self._status |= HALTED

    def _watch(self) -> None:
        """Turn polling that cannot end into an exception."""
        self._polls += 1
        if self._polls > self._around.idle_polls and not self._around.running.blocks:
            state = self._stalled() if self._active else "no transfer under way; reset it after an error, and start one"
            raise WatchdogError(
                f"DMASR of {self._name} was read {self._polls} times while nothing runs: it has {state}"
            )

    @abstractmethod
    def _stalled(self) -> str:
        """What a transfer under way waits for."""


class _Sender(_Channel):
    """Memory to stream."""

    def reset(self) -> None:
        super().reset()
        self._stream.withdraw()

    def _go(self) -> None:
        self._stream.offer(self._fetch, self._complete)

    def _fetch(self) -> bytes | None:
        host = self._memory()  # once more: it may have been freed since
        return None if host is None else ctypes.string_at(host, self._length)

    def _stalled(self) -> str:
        return f"{self._length} bytes that no one takes; start the block they are for, and look for a fault in its CTRL"


class _Receiver(_Channel):
    """Stream to memory; LENGTH reads back the bytes that came."""

    def __init__(
        self, name: str, prefix: str, parameters: Mapping[str, object], around: Surroundings, stream: Stream | None
    ) -> None:
        super().__init__(name, prefix, parameters, around, stream)
        self._stream.notify = self._go

    def _go(self) -> None:
        host = self._memory() if self._active and self._stream.waits else None
        taken = None if host is None else self._stream.take(self._length)
        if host is None or taken is None:
            return
        data, is_whole = taken
        ctypes.memmove(host, data, len(data))
        self._length = len(data)
        if is_whole:
            self._complete()
        else:
            self._fail(INTERNAL_ERROR)

    def _stalled(self) -> str:
        return "no packet to receive; start the block that sends one, and look for a fault in its CTRL"


def _number(parameters: Mapping[str, object], name: str, default: int = 0) -> int:
    return int(str(parameters.get(name, default)))
