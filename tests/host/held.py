# SPDX-License-Identifier: Apache-2.0
"""What a process holds before and after a hundred rounds of the same."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitforge_host.sim import SimDevice

CYCLES = 100
WARM_UP = 10
GROWTH = 10_000_000  # bytes: the C heap settles by a few; any buffer, blob or library left behind each time is more


@dataclass(frozen=True)
class Held:
    """What this process holds."""

    files: frozenset[tuple[str, str]]  # descriptor and what it is
    threads: frozenset[tuple[str, str]]  # number and name, of Python and others
    libraries: frozenset[str]  # paths of the private copies that are mapped
    objects: int  # that the garbage collector knows
    resident: int  # bytes

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        maps = Path("/proc/self/maps").read_text().splitlines()
        return cls(
            files=frozenset(_open_files()),
            threads=threads(),
            libraries=frozenset(line.split(maxsplit=5)[5] for line in maps if "vitforge-sim-" in line),
            objects=len(gc.get_objects()),
            resident=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        )

    def since(self, start: Held) -> dict[str, list[Any]]:
        """Files, threads and libraries of now that were not there at the start.

        What was there is left out whether it still is or not: a run that an earlier test gave up on may end at any
        time, and takes its thread and its library with it.
        """
        names = ("files", "threads", "libraries")
        return {name: list(getattr(self, name) - getattr(start, name)) for name in names}


def threads() -> frozenset[tuple[str, str]]:
    """Number and name of each thread of this process."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found.append((task.name, (task / "comm").read_text().strip()))
    return frozenset(found)


def simulations() -> frozenset[tuple[str, str]]:
    """The threads of simulated blocks."""
    return frozenset(thread for thread in threads() if thread[1] == "vitforge-sim")


def wait_until(happened: Callable[[], bool], limit_s: float = 5.0) -> None:
    """Return when something that takes less than a millisecond has happened; fails after ``limit_s``."""
    deadline = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _open_files() -> list[tuple[str, str]]:
    files = []
    for name in os.listdir("/proc/self/fd"):
        try:
            files.append((name, os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:  # the listing itself
            continue
    return files


def check_cycles(device: SimDevice, cycle: Callable[[], None]) -> None:
    """Run ``cycle`` a hundred times; all that the process then holds is what it held before."""
    start = Held.now()
    for _ in range(WARM_UP):
        cycle()
    device.close()
    before = Held.now()
    for _ in range(CYCLES):
        cycle()
        assert device.default_memory.live_allocations == 0
    device.close()
    after = Held.now()
    for (name, more), less in zip(after.since(start).items(), before.since(start).values(), strict=True):
        assert len(more) == len(less), f"{name} before {less}, after {more}"
    objects, resident = after.objects - before.objects, after.resident - before.resident
    assert objects < CYCLES, f"{objects} objects more after {CYCLES} cycles"  # not one a cycle
    assert resident < GROWTH, f"{resident} bytes more after {CYCLES} cycles"
