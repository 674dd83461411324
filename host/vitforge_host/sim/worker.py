# SPDX-License-Identifier: Apache-2.0
"""The thread in which a simulated block runs beside the host."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

STACK_BYTES = 256 << 20  # reserved, not committed: C++ keeps the on-chip memories of a kernel on the stack
_LOG = logging.getLogger(__name__)
_NEAR = object()  # among the calls: the next one is near


class Worker:
    """Calls one function after the other in a thread of its own, which starts with the first of them.

    The thread ends with `close`, or when nothing refers to the worker any more. A call that goes on then is left to
    itself, and does not keep the process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: Any = SimpleQueue()  # functions, and None for the end
        self._taken = threading.Lock()  # released as a function is taken out
        self._taken.acquire()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def call(self, function: Callable[[], None]) -> None:
        """Return once the thread is at ``function``, whose exceptions are logged.

        Without that wait a thread that was woken would still have to wait until its caller gives up Python's lock.
        """
        with self._lock:
            if self._thread is None:
                self._thread = _start_thread(_serve, (self._calls, self._taken), self._name)
                weakref.finalize(self, self._calls.put, None).atexit = False  # a call may go on then
            self._calls.put(function)
            self._taken.acquire()

    def wake(self) -> None:
        """Say that a call is near: the thread comes up while its caller still prepares it."""
        with self._lock:
            if self._thread is not None:
                self._calls.put(_NEAR)

    def close(self, wait: bool) -> None:
        """End the thread after its present call, and ``wait`` for that; the next call starts another."""
        with self._lock:
            thread, calls = self._thread, self._calls
            self._thread, self._calls = None, SimpleQueue()
        calls.put(None)
        if wait and thread is not None:
            thread.join()


def _serve(calls: Any, taken: threading.Lock) -> None:
    """What the thread does. It does not know the worker, so as not to keep it."""
    while (function := calls.get()) is not None:
        if function is _NEAR:
            continue
        taken.release()
        try:
            function()
        except Exception:
            _LOG.exception("a simulated run did not come to its end")
        del function  # which refers to the block


def _start_thread(target: Callable[..., None], arguments: tuple[object, ...], name: str) -> threading.Thread:
    usual = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
    finally:
        threading.stack_size(usual)
    return thread
