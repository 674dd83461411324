# SPDX-License-Identifier: Apache-2.0
"""A compiled A3 kernel behind numpy: loads, queries and single stages, on codes."""

from __future__ import annotations

from ctypes import c_longlong
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.codegen.a3_packets import (
    load_packet,
    load_registers,
    query_registers,
    read_results,
    rows_packet,
    sorted_packet,
)
from vitforge.csim.compiled import CsimLibrary
from vitforge.design.a3 import A3_ARGUMENTS, A3Design
from vitforge.design.geometry import ceil_div

_OUTPUTS = [argument.name for argument in A3_ARGUMENTS if argument.kind == "out32"]


@dataclass(frozen=True, kw_only=True)
class Launched:
    """What came out of a launch: the packet, and the output registers by name."""

    packet: bytes
    registers: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class A3Library:
    """The csim library of an A3 project and its design."""

    csim: CsimLibrary
    design: A3Design

    def launch(self, inputs: list[int], packet: bytes, capacity: int) -> Launched:
        """One launch; raises CheckError if the simulation faults."""
        registers = np.array(inputs + [0] * len(_OUTPUTS), np.int64).astype(np.uint32)
        data, out = np.frombuffer(packet or b"\0", np.uint8), np.zeros(max(capacity, 1), np.uint8)
        size = np.zeros(1, np.int64)
        self.csim.call("vitforge_sim", data, c_longlong(len(packet)), out, c_longlong(capacity), size, registers)
        outputs = dict(zip(_OUTPUTS, registers[len(inputs) :].tolist(), strict=True))
        return Launched(packet=out[: int(size[0])].tobytes(), registers=outputs)

    def load(self, keys: NDArray, values: NDArray, unit_mask: int | None = None) -> dict[str, int]:
        """Keys and values (n, d) into the units of ``unit_mask``, by default into all."""
        mask = (1 << self.design.units) - 1 if unit_mask is None else unit_mask
        n, d = keys.shape
        return self.launch(load_registers(n, d, mask), load_packet(self.design, keys, values), 0).registers

    def query(
        self,
        queries: NDArray,
        n: int,
        *,
        scale: float = 1.0,
        m: int | None = None,
        t: float | None = None,
    ) -> tuple[NDArray[np.int64], dict[str, int]]:
        """Results (b, d) of queries (b, d) over ``n`` loaded rows, and the output registers."""
        design, (count, d) = self.design, queries.shape
        capacity = count * ceil_div(d * design.numbers.result_bytes, design.beat_bytes) * design.beat_bytes
        done = self.launch(query_registers(design, n, d, count, scale, m, t), rows_packet(design, queries), capacity)
        return read_results(design, done.packet, d), done.registers

    def select(self, keys: NDArray, queries: NDArray, m: int) -> NDArray[np.int64]:
        """Candidate selection alone: greedy scores (b, n) of queries (b, d) over keys (n, d)."""
        n, d = keys.shape
        key, query = sorted_packet(self.design, keys), rows_packet(self.design, queries)
        steps = np.zeros((len(queries), m, 2, 2), np.int32)
        beat = self.design.beat_bytes
        arguments = (np.frombuffer(key, np.uint8), len(key) // beat, np.frombuffer(query, np.uint8), len(query) // beat)
        self.csim.call("vf_a3_select", *arguments, n, d, m, len(queries), steps)
        greedy = np.zeros((len(queries), n), np.int64)
        for i, sign in ((0, 1), (1, -1)):
            used = steps[:, :, i, 1] != 0
            index = np.nonzero(used)[0]
            np.add.at(greedy, (index, steps[:, :, i, 0][used]), sign * steps[:, :, i, 1][used].astype(np.int64))
        return greedy
