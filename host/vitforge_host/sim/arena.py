# SPDX-License-Identifier: Apache-2.0
"""Simulated DDR: physical addresses, allocations, and the bus-master view of them. Needs no pynq."""

from __future__ import annotations

import mmap
import threading
from bisect import bisect_right

import numpy as np

from vitforge_host.errors import BusError, SimulationError

BLOCK = 4096  # bytes, allocation granule, like a page of contiguous memory on a board
GUARD = 64 * 1024  # bytes at the start that are never handed out, so that near-null addresses fault
POISON = 0xA5  # fills fresh DDR in strict mode


class Allocation:
    """``size`` bytes of DDR at ``offset`` of the arena; ``host`` is what the CPU sees of them.

    In strict mode ``host`` is a separate copy (the CPU cache), else it is the DDR itself.
    """

    def __init__(self, arena: Arena, offset: int, size: int, separate: bool) -> None:
        self.arena = arena
        self.offset = offset
        self.size = size
        self.live = True
        self.separate = separate
        self.ddr = arena.bytes[offset : offset + size]
        self.host = np.empty(size, dtype=np.uint8) if separate else self.ddr
        if arena.strict:
            self.ddr.fill(POISON)

    @property
    def address(self) -> int:
        """Physical address of the first byte."""
        return self.arena.base + self.offset

    def holds(self, virtual_address: int, nbytes: int = 0) -> bool:
        """Whether host memory at ``virtual_address`` belongs to this allocation."""
        start = self.host.ctypes.data
        return start <= virtual_address and virtual_address + nbytes <= start + self.size

    def flush(self, offset: int, nbytes: int) -> None:
        """Cache to DDR."""
        self._check(offset, nbytes)
        if self.separate:
            self.ddr[offset : offset + nbytes] = self.host[offset : offset + nbytes]

    def invalidate(self, offset: int, nbytes: int) -> None:
        """DDR to cache."""
        self._check(offset, nbytes)
        if self.separate:
            self.host[offset : offset + nbytes] = self.ddr[offset : offset + nbytes]

    def _check(self, offset: int, nbytes: int) -> None:
        if not self.live:
            raise BusError(f"cache maintenance on the buffer at 0x{self.address:x} after it was freed")
        if offset < 0 or offset + nbytes > self.size:
            raise BusError(
                "cache maintenance on an array that is no part of an allocated buffer; arithmetic, .copy() and "
                ".astype() on a PynqBuffer give arrays without device memory, assign into the buffer instead"
            )


class Arena:
    """A range of physical memory, first fit in blocks of 4 KiB, backed by lazily committed host memory.

    Parameters
    ----------
    base : int
        Physical address of the first byte.
    size : int
        Bytes.
    strict : bool
        Keep host and DDR copies of each buffer apart, so that a forgotten flush or invalidate shows.
    """

    def __init__(self, base: int, size: int, strict: bool) -> None:
        self.base = base
        self.size = size
        self.strict = strict
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._host = int(self.bytes.ctypes.data)
        self._lock = threading.Lock()
        self._starts: list[int] = []  # offsets of live allocations, sorted
        self._ends: list[int] = []  # of the same, in their order
        self._live: dict[int, Allocation] = {}
        self.changes = 0  # allocations made and freed: as long as it stays, an address means the same

    @property
    def live(self) -> int:
        """Number of live allocations."""
        return len(self._starts)

    @property
    def live_bytes(self) -> int:
        """Bytes in live allocations, as asked for."""
        return sum(allocation.size for allocation in self._live.values())

    def allocate(self, size: int, coherent: bool = False) -> Allocation:
        """A new allocation of ``size`` bytes; raises SimulationError when the arena is full."""
        if size < 1:
            raise SimulationError(f"cannot allocate {size} bytes of device memory; ask for at least one")
        with self._lock:
            offset = self._first_fit(size)
            allocation = Allocation(self, offset, size, separate=self.strict and not coherent)
            index = bisect_right(self._starts, offset)
            self._starts.insert(index, offset)
            self._ends.insert(index, offset + size)
            self._live[offset] = allocation
            self.changes += 1
        return allocation

    def free(self, allocation: Allocation) -> None:
        """Give ``allocation`` back; a second call is harmless."""
        with self._lock:
            if allocation.live:
                allocation.live = False
                index = self._starts.index(allocation.offset)
                del self._starts[index], self._ends[index]
                del self._live[allocation.offset]
                self.changes += 1

    def resolve(self, address: int, nbytes: int, what: str) -> int:
        """Host address of physical ``address`` for a bus master that touches at least ``nbytes`` from there.

        Raises BusError, naming ``what``, unless all of it lies in one live allocation.
        """
        offset = address - self.base
        with self._lock:
            index = bisect_right(self._starts, offset) - 1
            end = self._ends[index] if index >= 0 else offset
        if offset >= end:
            raise BusError(
                f"{what} points to 0x{address:x}, which is in no live buffer; "
                "pass the device_address of a buffer from allocate() that has not been freed"
            )
        if nbytes > (room := end - offset):
            raise BusError(
                f"{what} points to 0x{address:x} with {room} bytes to the end of its buffer, but the accelerator "
                f"accesses {nbytes}; allocate a larger buffer"
            )
        return self._host + offset

    def _first_fit(self, size: int) -> int:
        start = GUARD
        for offset in self._starts:
            if offset - start >= size:
                return start
            end = offset + self._live[offset].size
            start = -(-end // BLOCK) * BLOCK
        if start + size > self.size:
            raise SimulationError(
                f"simulated memory of {self.size} bytes is full: {size} more asked for, {self.live} buffers live; "
                "free buffers or give SimDevice a larger ddr_bytes"
            )
        return start
