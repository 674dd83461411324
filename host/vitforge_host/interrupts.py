# SPDX-License-Identifier: Apache-2.0
"""The interrupt of an HLS block through ``pynq.Interrupt``, for callers that are not coroutines.

pynq ties an interrupt to the event loop of the thread that creates it. So all are made, and awaited, in one thread of
our own with its own loop. It starts at the first use and stays until the process ends. A notebook's own loop, which
runs already, is left alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from vitforge_host.errors import HostError, OverlayError

GLOBAL, ENABLED, RAISED = REGISTERS = ("GIER", "IP_IER", "IP_ISR")  # of an HLS block (UG1399)
AP_DONE = 1 << 0
_SPIN_S = 250e-6  # looks without sleep: an interrupt takes longer to come through the loop
_LONGEST_S = 0.05  # asleep; then the control register is read in any case
_MOST_MISSED = 3  # in a row, before it polls
_LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
T = TypeVar("T")


def find_pin(overlay: Any, ip_name: str) -> str | None:
    """Full name of the interrupt pin of an IP behind an axi_intc, None if it has none."""
    pins = getattr(overlay, "interrupt_pins", None) or {}
    pin = f"{ip_name}/interrupt"
    return pin if pin in pins and pins[pin].get("controller") else None


def in_loop(function: Callable[[], T]) -> T:
    """Call ``function`` in the thread of the loop: pynq's drivers create their interrupts when they are created."""

    async def call() -> T:
        return function()

    return asyncio.run_coroutine_threadsafe(call(), _event_loop()).result()


def _event_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _LOCK:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="vitforge-interrupts", daemon=True).start()
        return _loop


class InterruptWaiter:
    """Sleeps until the IP raises its interrupt, which a finished run does.

    Parameters
    ----------
    pin : str
        Full name of the pin, from `find_pin`.
    ip : AcceleratorIp
    poller : Waiter
        What it falls back to if no interrupt comes.

    Raises
    ------
    OverlayError
        If pynq cannot open the interrupt.
    """

    name = "interrupt"

    def __init__(self, pin: str, ip: Any, poller: Any) -> None:
        from pynq import Interrupt

        self._ip = ip
        self._poller = poller
        self._missed = 0
        self._pending: Any = None  # the wait that goes on in the loop
        self._is_ready = False  # to sleep
        ip.require(REGISTERS)
        try:
            self._interrupt = in_loop(lambda: Interrupt(pin))
        except (ValueError, OSError, RuntimeError, KeyError) as error:
            raise OverlayError(
                f"the interrupt {pin} cannot be opened ({error}); check that the board's device tree has a generic-uio "
                "node for it, or use wait='poll'"
            ) from None
        ip.write(ENABLED, AP_DONE)

    def arm(self) -> None:
        """The interrupt is left as it is until there is a need to sleep: a short run does without."""
        self._is_ready = False
        if self._pending is None:
            return
        if self._pending.done():
            self._pending = None
        else:  # the last run ended, and no interrupt said so
            self._missed += 1
            if self._missed == _MOST_MISSED:
                _LOG.warning("%s raises no interrupts, so it is polled from now on; check its wiring", self._ip.name)

    def pause(self, elapsed_s: float) -> None:
        if self._missed >= _MOST_MISSED:
            self._poller.pause(elapsed_s)
        elif not self._is_ready:
            if elapsed_s > _SPIN_S:
                self._make_ready()
            else:
                os.sched_yield()
        else:
            self._sleep()

    def _make_ready(self) -> None:
        """Take back an interrupt that was raised before. The control register is to be read after that: a run that has
        ended in between raises no other."""
        if self._ip.read(RAISED) & AP_DONE:
            self._ip.write(RAISED, AP_DONE)  # toggles
        self._ip.write(GLOBAL, 1)
        self._is_ready = True

    def _sleep(self) -> None:
        if self._pending is None:
            self._pending = asyncio.run_coroutine_threadsafe(self._interrupt.wait(), _event_loop())
        try:
            self._pending.result(_LONGEST_S)
        except FutureTimeout:
            return  # the same wait goes on in the next pause
        except RuntimeError as error:
            raise HostError(f"the interrupt of {self._ip.name} was lost ({error}); open it again") from None
        self._pending = None
        self._missed = 0

    def close(self, is_loaded: bool) -> None:
        if self._pending is not None:
            _event_loop().call_soon_threadsafe(self._pending.cancel)
            self._pending = None
        if is_loaded:
            self._ip.write(GLOBAL, 0)
