# SPDX-License-Identifier: Apache-2.0
"""An AXI4-Stream connection between two simulated IPs, packet by packet."""

from __future__ import annotations

from collections.abc import Callable


class Stream:
    """Carries one packet at a time; whoever calls it holds the lock of the board.

    A packet stays with its source until the sink takes it, and what the sink has no room for stays too: that is the
    back-pressure of a real stream, without the few beats that registers on the way would hold.
    """

    def __init__(self) -> None:
        self.notify: Callable[[], None] = _nobody  # set by the sink: a packet waits
        self._read: Callable[[], bytes | None] | None = None
        self._taken: Callable[[], None] = _nobody

    @property
    def waits(self) -> bool:
        """Whether a packet waits for the sink."""
        return self._read is not None

    def offer(self, read: Callable[[], bytes | None], taken: Callable[[], None]) -> None:
        """A packet: ``read`` gives its bytes once the sink wants them (None: it cannot), ``taken`` hears of its end."""
        self._read, self._taken = read, taken
        self.notify()

    def withdraw(self) -> None:
        """The source was reset."""
        self._read = None

    def take(self, most: int | None = None) -> tuple[bytes, bool] | None:
        """(at most ``most`` bytes, whether that is the end of the packet), or None if no packet waits."""
        read, self._read = self._read, None
        data = None if read is None else read()
        if data is None:
            return None
        if most is not None and len(data) > most:
            rest = data[most:]
            self._read = lambda: rest
            return data[:most], False
        self._taken()
        return data, True


def _nobody() -> None:
    """No one listens."""
