# SPDX-License-Identifier: Apache-2.0
"""Simulated DDR without pynq."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitforge_host.errors import BusError, SimulationError
from vitforge_host.sim.arena import BLOCK, GUARD, Arena

BASE = 0x8_0000_0000


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5 * BLOCK), st.booleans()), min_size=1, max_size=40))
def test_live_allocations_never_overlap_and_free_space_is_used_again(requests: list[tuple[int, bool]]) -> None:
    arena = Arena(BASE, 1 << 20, strict=True)
    live = []
    for size, keep in requests:
        allocation = arena.allocate(size)
        assert allocation.address >= BASE + GUARD and allocation.address % BLOCK == 0
        for other in live:
            assert allocation.address >= other.address + other.size or other.address >= allocation.address + size
        if keep:
            live.append(allocation)
        else:
            arena.free(allocation)
    for allocation in live:
        arena.free(allocation)
    assert arena.live == 0
    assert arena.allocate(1).address == BASE + GUARD


def test_a_freed_range_between_two_live_ones_is_taken_again() -> None:
    arena = Arena(BASE, 1 << 20, strict=False)
    first, middle, last = (arena.allocate(2 * BLOCK) for _ in range(3))
    arena.free(middle)
    arena.free(middle)
    assert arena.allocate(3 * BLOCK).address > last.address
    assert arena.allocate(BLOCK).address == middle.address
    assert first.live and not middle.live


def test_full_memory_is_refused_with_what_was_asked_for() -> None:
    arena = Arena(BASE, 1 << 20, strict=False)
    arena.allocate(900_000)
    with pytest.raises(SimulationError, match="200000 more asked for, 1 buffers live"):
        arena.allocate(200_000)
    with pytest.raises(SimulationError, match="at least one"):
        arena.allocate(0)


def test_a_bus_master_reaches_only_live_buffers_with_enough_room() -> None:
    arena = Arena(BASE, 1 << 20, strict=False)
    allocation = arena.allocate(100)
    arena.bytes[allocation.offset + 10] = 77
    assert arena.resolve(allocation.address + 10, 90, "x") == arena.bytes.ctypes.data + allocation.offset + 10
    with pytest.raises(BusError, match="with 90 bytes to the end of its buffer, but the accelerator accesses 91"):
        arena.resolve(allocation.address + 10, 91, "x")
    for address in (0, BASE, allocation.address - 1, allocation.address + 100, BASE + (1 << 20)):
        with pytest.raises(BusError, match="argument in_r points to"):
            arena.resolve(address, 1, "argument in_r")
    arena.free(allocation)
    with pytest.raises(BusError, match="no live buffer"):
        arena.resolve(allocation.address, 1, "x")


def test_strict_copies_meet_only_at_flush_and_invalidate() -> None:
    arena = Arena(BASE, 1 << 20, strict=True)
    allocation = arena.allocate(8)
    assert (allocation.ddr == 0xA5).all()
    allocation.host[:] = np.arange(8)
    allocation.flush(2, 3)
    assert allocation.ddr.tolist() == [0xA5, 0xA5, 2, 3, 4, 0xA5, 0xA5, 0xA5]
    allocation.ddr[:] = 9
    allocation.invalidate(6, 2)
    assert allocation.host.tolist() == [0, 1, 2, 3, 4, 5, 9, 9]
    arena.free(allocation)
    with pytest.raises(BusError, match="after it was freed"):
        allocation.flush(0, 8)
