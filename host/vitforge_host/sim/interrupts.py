# SPDX-License-Identifier: Apache-2.0
"""AMD's AXI interrupt controller (PG099) with level inputs, and the UIO device behind which Linux offers it.

``pynq.Interrupt`` runs on them unmodified. Its controllers look for UIO devices in a private table of
``pynq.interrupt``, which is the only place where a simulated one can be put.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from vitforge_host.sim.beside import Beside

AXI_INTC = "xilinx.com:ip:axi_intc"
ISR, IPR, IER, IAR, SIE, CIE, MER = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x1C
_SHORTEST_S, _LONGEST_S = 50e-6, 2e-3


class SimUio:
    """Passes the line of one controller on to the event loops that wait for it; each event is told once.

    A block that computes raises no interrupt until somebody looks at it. For those who wait that is done here, in their
    loops, after pauses that grow from `_SHORTEST_S` to `_LONGEST_S`.
    """

    def __init__(self, running: Beside, lock: AbstractContextManager[object]) -> None:
        self._running = running
        self._lock = lock
        self._waiting: list[tuple[asyncio.AbstractEventLoop, Any]] = []
        self._level = False

    def add_event(self, event: Any, number: int) -> None:
        """As ``pynq.uio.UioController``: call ``event.set`` in this thread's loop when the line is high."""
        loop = asyncio.get_event_loop()
        with self._lock:
            self._running.watchers.add(self)
            self._waiting.append((loop, event))
            self.drive(self._level)
        self._look(loop, _SHORTEST_S)

    def drive(self, level: bool) -> None:
        """Set the line; whoever calls it holds the lock of the board."""
        self._level = level
        if not level or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._running.watchers.discard(self)
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def watch(self) -> None:
        """A block begins to compute."""
        for loop in {loop for loop, _ in self._waiting if not loop.is_closed()}:
            loop.call_soon_threadsafe(self._look, loop, _SHORTEST_S)

    def _look(self, loop: asyncio.AbstractEventLoop, pause_s: float) -> None:
        self._running.settle()
        if self._running.blocks and any(waiting is loop for waiting, _ in self._waiting):
            loop.call_later(pause_s, self._look, loop, min(2 * pause_s, _LONGEST_S))


class AxiIntc:
    """Registers of one controller. An input that was high stays pending until it is acknowledged while low."""

    def __init__(self, uio: SimUio, lock: AbstractContextManager[object]) -> None:
        self._uio = uio
        self._lock = lock
        self._inputs = 0
        self._pending = 0
        self._enabled = 0
        self._master = 0

    def drive(self, index: int, level: bool) -> None:
        """Set an input."""
        with self._lock:
            self._inputs = self._inputs & ~(1 << index) | int(level) << index
            self._update()

    def read(self, offset: int) -> int:
        """A 32-bit register."""
        words = {ISR: self._pending, IPR: self._pending & self._enabled, IER: self._enabled, MER: self._master}
        return words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A 32-bit register."""
        with self._lock:
            if offset == IAR:
                self._pending &= ~value
            elif offset == IER:
                self._enabled = value
            elif offset == SIE:
                self._enabled |= value
            elif offset == CIE:
                self._enabled &= ~value
            elif offset == MER:
                self._master = value
            self._update()

    def _update(self) -> None:
        self._pending |= self._inputs
        self._uio.drive(bool(self._master & 1 and self._pending & self._enabled))


class InterruptNet:
    """Which pin drives which input of which controller.

    pins, controllers : ``interrupt_pins`` and ``interrupt_controllers`` of pynq's parser
    """

    def __init__(
        self,
        pins: Mapping[str, Mapping[str, Any]],
        controllers: Mapping[str, Mapping[str, Any]],
        lock: AbstractContextManager[object],
        running: Beside,
    ) -> None:
        self._pins = {name: (entry["controller"], int(entry["index"])) for name, entry in pins.items()}
        self._lines = {int(entry["raw_irq"]): SimUio(running, lock) for entry in controllers.values()}
        self.controllers = {
            name: AxiIntc(self._lines[int(entry["raw_irq"])], lock) for name, entry in controllers.items()
        }

    def drive(self, pin: str, level: bool) -> None:
        """Set the full-named ``pin``; one that is connected to no controller goes nowhere."""
        if pin in self._pins:
            name, index = self._pins[pin]
            self.controllers[name].drive(index, level)

    def offer(self) -> None:
        """Put the UIO devices where pynq looks for them."""
        if self._lines:
            from pynq.interrupt import _InterruptController

            _InterruptController._uio_devices.update(self._lines)
