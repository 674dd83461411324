# SPDX-License-Identifier: Apache-2.0
"""Model of a Vitis HLS block that reads and writes DDR by itself (m_axi)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from vitforge_host.errors import BusError
from vitforge_host.sim.control import ControlBlock, Surroundings, signed
from vitforge_host.sim.kernel import KernelFunction
from vitforge_host.sim.manifest import IpSpec

_MOST_BOUND = 16  # runs that are kept ready: a driver has a few sets of buffers by turns


class HlsIP(ControlBlock):
    """A block whose run is one call of its csim function, with the host addresses behind its pointers."""

    def __init__(self, spec: IpSpec, kernel: KernelFunction, surroundings: Surroundings) -> None:
        super().__init__(spec, kernel, surroundings)
        self._kernel = kernel
        self._scalars = {a.name: a.offset for a in spec.arguments if a.kind == "i32"}
        self._bound: dict[tuple[int, ...], tuple[Sequence[object], Callable[[int], None]]] = {}  # by what it is given

    def _begin(self) -> None:
        """The block takes over its arguments as it starts, and so they are checked in the write that starts it."""
        given = (self._around.memory.changes, *self._words.values())
        bound = self._bound.get(given)
        if bound is None:
            try:
                bound = self._bind()
            except BusError as error:
                self._end(failure=error)
                return
            if len(self._bound) == _MOST_BOUND:
                self._bound.clear()
            self._bound[given] = bound
        self._compute(*bound)

    def _bind(self) -> tuple[Sequence[object], Callable[[int], None]]:
        scalars = {name: signed(self._words.get(offset, 0)) for name, offset in self._scalars.items()}
        values = scalars | {name: self._address(name, scalars) for name in self._pointers}
        arguments = self._kernel.arguments([values.get(argument.name, 0) for argument in self._spec.arguments])
        model = self._spec.cycles
        uncounted = 0 if model is None else model.cycles(scalars)  # where the library does not count them
        return arguments, partial(self._finish, uncounted)

    def _finish(self, uncounted: int, cycles: int) -> None:
        self._around.busy(cycles or uncounted)
        self._end(self._kernel.outputs)
