# SPDX-License-Identifier: Apache-2.0
"""What a process holds before and after a hundred rounds of the same."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitforge_host.sim import SimDevice

CYCLES = 100
WARM_UP = 10
GROWTH = 10_000_000  # bytes: the C heap settles by a few; any buffer, blob or library left behind each time is more


@dataclass(frozen=True)
class Held:
    """What this process holds."""

    files: int
    threads: int
    libraries: int
    objects: int  # that the garbage collector knows
    resident: int  # bytes

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        maps = Path("/proc/self/maps").read_text().splitlines()
        return cls(
            files=len(os.listdir("/proc/self/fd")),
            threads=threading.active_count(),
            libraries=sum("vitforge-sim-" in line for line in maps),
            objects=len(gc.get_objects()),
            resident=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        )


def check_cycles(device: SimDevice, cycle: Callable[[], None]) -> None:
    """Run ``cycle`` a hundred times; all that the process then holds is what it held before."""
    for _ in range(WARM_UP):
        cycle()
    before = Held.now()
    for _ in range(CYCLES):
        cycle()
        assert device.default_memory.live_allocations == 0
    after = Held.now()
    assert (after.files, after.threads, after.libraries) == (before.files, before.threads, before.libraries)
    assert after.objects - before.objects < CYCLES  # not one a cycle
    assert after.resident - before.resident < GROWTH
