# SPDX-License-Identifier: Apache-2.0
"""``pynq.allocate`` on simulated DDR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pynq.buffer import PynqBuffer

from vitforge_host.sim.arena import Allocation, Arena

if TYPE_CHECKING:
    from vitforge_host.sim.device import SimDevice

_NOWHERE = -1  # offset of an array that is derived from a buffer but lies outside of it


class SimBuffer(PynqBuffer):
    """A PynqBuffer on the arena; the array that ``allocate`` returned owns the memory, views only refer to it.

    An array derived by arithmetic or ``.copy()`` has no device memory. On a board pynq gives it a garbage address; here
    its address is 0, which faults on use.
    """

    _owned: Allocation | None = None

    def __array_finalize__(self, obj: Any) -> None:
        super().__array_finalize__(obj)
        allocation = getattr(self, "bo", None)
        if isinstance(allocation, Allocation) and not allocation.holds(self.virtual_address):
            self.device_address = 0
            self.offset = _NOWHERE

    def freebuffer(self) -> None:
        """Give the memory back; harmless on views and when repeated."""
        if self._owned is not None:
            self._owned.arena.free(self._owned)
            self._owned = None


class SimMemory:
    """The PS DDR of a simulated board."""

    def __init__(self, device: SimDevice, arena: Arena) -> None:
        self.device = device
        self.arena = arena

    @property
    def base_address(self) -> int:
        return self.arena.base

    @property
    def size(self) -> int:
        return self.arena.size

    @property
    def live_allocations(self) -> int:
        """Buffers allocated and not freed."""
        return self.arena.live

    def allocate(self, shape: Any, dtype: Any = "u4", cacheable: bool = True, **_: object) -> SimBuffer:
        """A buffer of ``shape`` and ``dtype``; ``cacheable=False`` needs no flush or invalidate."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        allocation = self.arena.allocate(size, coherent=not cacheable)
        buffer = SimBuffer(
            shape,
            kind,
            buffer=allocation.host.data,
            device=self.device,
            device_address=allocation.address,
            bo=allocation,
            coherent=not cacheable,
        )
        buffer._owned = allocation
        return buffer
