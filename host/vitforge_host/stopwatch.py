# SPDX-License-Identifier: Apache-2.0
"""Where the time of a launch goes."""

from __future__ import annotations

import time


class Stopwatch:
    """Adds up the time inside its ``with`` blocks [s]."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started
