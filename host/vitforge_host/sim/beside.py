# SPDX-License-Identifier: Apache-2.0
"""What runs beside the host: the blocks of simulated boards that compute in threads of their own."""

from __future__ import annotations

import atexit
import ctypes
from typing import Protocol

_COMPUTING: list[Block] = []  # of all boards: each uses memory of its board, which must stay


class Block(Protocol):
    """Computes without Python, which hears of its end when somebody looks."""

    def settle(self) -> None:
        """Take over what a run that has ended has left, and call `Beside.end`; nothing while it goes on."""


class Watcher(Protocol):
    """Looks for somebody who sleeps."""

    def watch(self) -> None:
        """A block begins to compute."""


class Beside:
    """The blocks of a board that compute at present.

    No thread of Python waits for them: to take its lock back would cost a short run more than the run. So the board is
    settled before each access to its registers, and by the ``watchers`` of those who sleep until an interrupt.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.watchers: set[Watcher] = set()

    def begin(self, block: Block) -> None:
        """``block`` computes; it is kept until it has been settled."""
        _COMPUTING.append(block)
        self.blocks.append(block)
        for watcher in tuple(self.watchers):
            watcher.watch()

    def end(self, block: Block) -> None:
        """``block`` has been settled."""
        self.blocks.remove(block)
        _COMPUTING.remove(block)

    def settle(self) -> None:
        """Settle those that have ended."""
        for block in tuple(self.blocks):
            block.settle()


@atexit.register
def _keep() -> None:
    """What still computes keeps its memory while Python takes itself apart."""
    for block in _COMPUTING:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(block))
