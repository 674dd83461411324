# SPDX-License-Identifier: Apache-2.0
"""Model of a Vitis HLS block with one AXI4-Stream in and one out, started through its registers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vitforge_host.errors import BusError
from vitforge_host.sim.control import ControlBlock, Surroundings
from vitforge_host.sim.kernel import PacketRun, StreamFunction
from vitforge_host.sim.manifest import IpSpec, StreamSpec
from vitforge_host.sim.stream import Stream


class StreamIP(ControlBlock):
    """A block whose run takes one packet and gives at most one.

    A started block without a packet stays busy, and so does one whose packet nobody takes.
    """

    def __init__(
        self, spec: IpSpec, kernel: StreamFunction, surroundings: Surroundings, inward: Stream, outward: Stream
    ) -> None:
        super().__init__(spec, kernel, surroundings)
        self._kernel = kernel
        self._inward, self._outward = inward, outward
        self._awaits_packet = False
        inward.notify = self._advance

    def _begin(self) -> None:
        with self._lock:
            self._awaits_packet = self._needs_packet()
            if self._awaits_packet:
                self._advance()
            else:
                self._run(b"")

    def _needs_packet(self) -> bool:
        assert isinstance(self._spec.stream, StreamSpec)
        unless = self._spec.stream.packet_unless
        return unless is None or self._inputs()[unless[0]] != unless[1]

    def _advance(self) -> None:
        """Run if a packet has come and the block has been started for one."""
        taken = self._inward.take() if self._awaits_packet else None
        if taken is not None:
            self._awaits_packet = False
            self._run(taken[0])

    def _run(self, packet: bytes) -> None:
        inputs = self._inputs()
        try:
            run = self._kernel.packet_run(packet, inputs, self._memories(inputs))
        except BusError as error:
            self._end(failure=error)
        else:
            self._compute(run.arguments, partial(self._finish, run))

    def _finish(self, run: PacketRun, cycles: int) -> None:
        self._around.busy(cycles)
        result = run.packet()
        if result:
            self._send(result, partial(self._end, run.outputs))
        else:
            self._end(run.outputs)

    def _send(self, packet: bytes, end: Callable[[], None]) -> None:
        with self._lock:
            self._polls = 0
            self._outward.offer(lambda: packet, end)

    def _memories(self, inputs: dict[str, int]) -> list[int]:
        """Host addresses behind the pointers. A run without a packet only identifies itself, and reads nothing."""
        reads = self._needs_packet()
        return [self._address(name, inputs) if reads else 0 for name in self._pointers]

    def _inputs(self) -> dict[str, int]:
        return {a.name: self._words.get(a.offset, 0) for a in self._spec.arguments if a.kind == "i32"}

    def _waits_for(self) -> str:
        if self._awaits_packet:
            return "waits for a packet on its stream; send one"
        if self._outward.waits:
            return "waits until its packet is taken; arm the DMA channel that receives it with room for all of it"
        return ""
