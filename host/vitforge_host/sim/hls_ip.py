# SPDX-License-Identifier: Apache-2.0
"""Model of a Vitis HLS block that reads and writes DDR by itself (m_axi)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vitforge_host.errors import BusError
from vitforge_host.sim.control import ControlBlock, Surroundings, signed
from vitforge_host.sim.kernel import KernelFunction
from vitforge_host.sim.manifest import IpSpec

_MOST_BOUND = 16  # runs that are kept ready: a driver has a few sets of buffers by turns


class HlsIP(ControlBlock):
    """A block whose run is one call of its csim function, with the host addresses behind its pointers."""

    def __init__(self, spec: IpSpec, kernel: KernelFunction, surroundings: Surroundings) -> None:
        super().__init__(spec, surroundings)
        self._kernel = kernel
        self._scalars = {a.name: a.offset for a in spec.arguments if a.kind == "i32"}
        halves = (offset + half for offset, *_ in self._pointers.values() for half in (0, 4))
        self._inputs = (*self._scalars.values(), *halves)
        self._bound: dict[tuple[int, ...], Callable[[], Callable[[], None]]] = {}  # by allocations and arguments

    def _begin(self) -> None:
        """The block takes over its arguments as it starts, and so they are checked in the write that starts it."""
        arguments = (self._around.changes(), *[self._words.get(offset, 0) for offset in self._inputs])
        run = self._bound.get(arguments)
        if run is None:
            try:
                run = self._bind()
            except BusError as error:
                self._end({}, error)
                return
            if len(self._bound) == _MOST_BOUND:
                self._bound.clear()
            self._bound[arguments] = run
        self._compute(run)

    def _bind(self) -> Callable[[], Callable[[], None]]:
        scalars = {name: signed(self._words.get(offset, 0)) for name, offset in self._scalars.items()}
        values = scalars | {name: self._address(name, scalars) for name in self._pointers}
        kernel = self._kernel.bind([values.get(argument.name, 0) for argument in self._spec.arguments])
        return partial(self._run, kernel, scalars)

    def _run(self, kernel: Callable[[], tuple[int, dict[str, int]]], scalars: dict[str, int]) -> Callable[[], None]:
        cycles, outputs = kernel()
        if not cycles and self._spec.cycles is not None:
            cycles = self._spec.cycles.cycles(scalars)
        self._around.busy(cycles)
        return partial(self._end, outputs)
