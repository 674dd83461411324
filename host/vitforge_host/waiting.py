# SPDX-License-Identifier: Apache-2.0
"""How a driver spends the time until its accelerator has finished: polling, or asleep until the interrupt."""

from __future__ import annotations

import time
from typing import Any, Protocol

from vitforge_host.errors import InputError, OverlayError
from vitforge_host.interrupts import InterruptWaiter, find_pin

WAITS = ("auto", "interrupt", "poll")
_SPIN_S = 100e-6  # without a pause: a small launch ends sooner
_SHORTEST_S, _LONGEST_S = 30e-6, 1e-3  # pauses between polls
_SHARE = 0.005  # of the time so far that a pause may add to it


class Waiter(Protocol):
    """What happens between two reads of the control register."""

    name: str

    def arm(self) -> None:
        """Called before each start."""

    def pause(self, elapsed_s: float) -> None:
        """Return when it is worth to look again; ``elapsed_s`` is the time since the start."""

    def close(self, is_loaded: bool) -> None:
        """Give back what is held; the registers are no longer ours unless the overlay ``is_loaded``."""


class Poller:
    """Looks again after a pause that grows with the time so far, so that little is lost and the CPU rests."""

    name = "poll"

    def arm(self) -> None:
        """Nothing to prepare."""

    def pause(self, elapsed_s: float) -> None:
        if elapsed_s > _SPIN_S:
            time.sleep(min(max(elapsed_s * _SHARE, _SHORTEST_S), _LONGEST_S))

    def close(self, is_loaded: bool) -> None:
        """Nothing is held."""


def check_wait(wait: object) -> None:
    """Raise InputError unless ``wait`` is one of `WAITS`."""
    if wait not in WAITS:
        raise InputError(f"wait is {wait!r}; it must be one of {', '.join(WAITS)}")


def make_waiter(wait: str, overlay: Any, ip: Any) -> Waiter:
    """The waiter of a driver for the `AcceleratorIp` ``ip``.

    "auto" takes the interrupt if the overlay connects the IP to an axi_intc, and polls if not. Raises OverlayError if
    ``wait`` is "interrupt" and there is none, or Linux does not offer it.
    """
    if wait == "poll":
        return Poller()
    pin = find_pin(overlay, ip.name)
    if pin is None:
        if wait == "auto":
            return Poller()
        raise OverlayError(f"{ip.name} has no interrupt behind an axi_intc in this overlay; use wait='poll'")
    try:
        return InterruptWaiter(pin, ip, Poller())
    except OverlayError:
        if wait == "interrupt":
            raise
        return Poller()
