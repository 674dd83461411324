# SPDX-License-Identifier: Apache-2.0
"""AXI address decode: who answers at a physical address, and the array that pynq's MMIO reads and writes."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Protocol

import numpy as np

from vitforge_host.errors import BusError
from vitforge_host.sim.beside import Beside

WORD = 4  # bytes of a register


class RegisterModel(Protocol):
    """Anything with 32-bit registers at byte offsets."""

    def read(self, offset: int) -> int: ...

    def write(self, offset: int, value: int) -> None: ...


class RegisterFile:
    """Plain read-write registers, as the clock block of the processing system or an IP we have no model of."""

    def __init__(self, reset: dict[int, int] | None = None) -> None:
        self._words = dict(reset or {})

    def read(self, offset: int) -> int:
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self._words[offset] = value


class AddressMap:
    """Sorted, non-overlapping regions of the register space; what is ``running`` is settled before each access."""

    def __init__(self, running: Beside) -> None:
        self.running = running
        self._bases: list[int] = []
        self._regions: list[tuple[int, int, str, RegisterModel]] = []
        self.changes = 0  # regions added and removed: as long as it stays, an address means the same

    def add(self, name: str, base: int, size: int, model: RegisterModel) -> None:
        """Map ``size`` bytes at ``base`` to ``model``; raises BusError if the range is taken."""
        index = bisect_right(self._bases, base)
        for near in self._regions[max(index - 1, 0) : index + 1]:
            if base < near[0] + near[1] and near[0] < base + size:
                raise BusError(f"{name} at 0x{base:x} overlaps {near[2]} at 0x{near[0]:x}; give them separate ranges")
        self._bases.insert(index, base)
        self._regions.insert(index, (base, size, name, model))
        self.changes += 1

    def remove(self, names: list[str]) -> None:
        """Take the regions of these names away."""
        self._regions = [region for region in self._regions if region[2] not in names]
        self._bases = [region[0] for region in self._regions]
        self.changes += 1

    def clear(self) -> None:
        """Take all regions away."""
        self._regions = []
        self._bases = []
        self.changes += 1

    def read(self, address: int) -> int:
        model, offset = self._decode(address)
        return model.read(offset)

    def write(self, address: int, value: int) -> None:
        model, offset = self._decode(address)
        model.write(offset, value & 0xFFFFFFFF)

    def _decode(self, address: int) -> tuple[RegisterModel, int]:
        """Who answers at ``address``, and the offset there."""
        if self.running.blocks:
            self.running.settle()
        base, _, model = self.region(address)
        return model, address - base

    def region(self, address: int) -> tuple[int, int, RegisterModel]:
        """The region around ``address``: its first address, the one behind it, and who answers there."""
        index = bisect_right(self._bases, address) - 1
        if index >= 0:
            base, size, _, model = self._regions[index]
            if address < base + size:
                return base, base + size, model
        known = ", ".join(f"{name} 0x{base:x}" for base, _, name, _ in self._regions) or "nothing"
        raise BusError(f"no register answers at address 0x{address:x}; mapped are {known}")


class RegArray:
    """What ``SimDevice.mmap`` returns: an array of 32-bit words whose accesses reach the models.

    It has the part of numpy's interface that ``pynq.MMIO`` and ``pynq.registers`` use.
    """

    def __init__(self, bus: AddressMap, base: int, words: int) -> None:
        self._bus = bus
        self._base = base
        self._words = words
        self._near: tuple[int, int, RegisterModel, int] | None = None  # region of the last access, and when that was

    def __len__(self) -> int:
        return self._words

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._words)
            if step != 1:
                raise IndexError("a register slice must have step 1")
            return RegArray(self._bus, self._base + WORD * start, max(stop - start, 0))
        model, offset = self._decode(index)
        return model.read(offset)

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if not isinstance(index, slice):
            model, offset = self._decode(index)
            model.write(offset, int(value) & 0xFFFFFFFF)
            return
        positions = range(*index.indices(self._words))
        words = np.broadcast_to(np.asarray(value, dtype=np.uint32), (len(positions),))
        for position, word in zip(positions, words, strict=True):
            self[position] = word

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array([self[i] for i in range(self._words)], dtype=dtype or np.uint32)

    def view(self, dtype: Any = "u4", **_: Any) -> Any:
        """The same registers as 32-bit words, or a read-out copy as 64-bit words."""
        if np.dtype(dtype).itemsize == WORD:
            return self
        return self.__array__().view(dtype)

    def _decode(self, index: int) -> tuple[RegisterModel, int]:
        position = index + self._words if index < 0 else index
        if not 0 <= position < self._words:
            raise IndexError(f"register index {index} outside {self._words} words at 0x{self._base:x}")
        address = self._base + WORD * position
        near, bus = self._near, self._bus
        if bus.running.blocks:
            bus.running.settle()
        if near is None or not near[0] <= address < near[1] or near[3] != bus.changes:
            self._near = near = (*bus.region(address), bus.changes)
        return near[2], address - near[0]
