# SPDX-License-Identifier: Apache-2.0
"""Model of a Vitis HLS block that reads and writes DDR by itself (m_axi)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vitforge_host.sim.control import ControlBlock, Surroundings, signed
from vitforge_host.sim.kernel import KernelFunction
from vitforge_host.sim.manifest import ArgumentSpec, IpSpec


class HlsIP(ControlBlock):
    """A block whose run is one call of its csim function, with the host addresses behind its pointers."""

    def __init__(self, spec: IpSpec, kernel: KernelFunction, surroundings: Surroundings) -> None:
        super().__init__(spec, surroundings)
        self._kernel = kernel

    def _begin(self) -> None:
        self._compute(self._run)

    def _run(self) -> Callable[[], None]:
        scalars = {a.name: signed(self._words.get(a.offset, 0)) for a in self._spec.arguments if a.kind == "i32"}
        cycles, outputs = self._kernel([self._value(a, scalars) for a in self._spec.arguments])
        if not cycles and self._spec.cycles is not None:
            cycles = self._spec.cycles.cycles(scalars)
        self._around.busy(cycles)
        return partial(self._end, outputs)

    def _value(self, argument: ArgumentSpec, scalars: dict[str, int]) -> int:
        if argument.kind == "i32":
            return scalars[argument.name]
        if argument.kind == "out32":
            return 0
        return self._address(argument, scalars)
