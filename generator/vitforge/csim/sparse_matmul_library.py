# SPDX-License-Identifier: Apache-2.0
"""A compiled sparse_matmul kernel behind numpy: whole products, and cycles of its array."""

from __future__ import annotations

from ctypes import c_longlong
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vitforge.codegen.sparse_matmul_bench import format_of, launch_registers
from vitforge.csim.compiled import CsimLibrary
from vitforge.design.sparse_matmul import SPARSE_MATMUL_ARGUMENTS, SparseMatmulDesign
from vitforge_host.sparse_matmul_format import SparseMatmulFormat
from vitforge_host.sparse_matmul_packets import pack_activations, result_bytes, unpack_results
from vitforge_host.sparse_matrix import PackedMatrix

_OUTPUTS = [argument.name for argument in SPARSE_MATMUL_ARGUMENTS if argument.kind == "out32"]


@dataclass(frozen=True, kw_only=True)
class SparseMatmulLibrary:
    """The csim library of a sparse_matmul project and its design."""

    csim: CsimLibrary
    design: SparseMatmulDesign

    @cached_property
    def format(self) -> SparseMatmulFormat:
        """What a driver would read."""
        return format_of(self.design)

    def launch(
        self, matrix: NDArray[np.uint8], head_beats: int, rows: int, packet: bytes, capacity: int
    ) -> tuple[bytes, dict[str, int]]:
        """One launch: its packet, and the output registers by name. Raises CheckError if the simulation faults."""
        inputs = launch_registers(len(matrix), head_beats, rows, self.design)
        registers = np.array(inputs + [0] * len(_OUTPUTS), np.int64).astype(np.uint32)
        data, out = np.frombuffer(packet or b"\0", np.uint8), np.zeros(max(capacity, 1), np.uint8)
        size = np.zeros(1, np.int64)
        memory = np.ascontiguousarray(matrix)
        addresses = np.array([memory.ctypes.data], np.uint64)
        self.csim.call(
            "vitforge_sim", data, c_longlong(len(packet)), out, c_longlong(capacity), size, registers, addresses
        )
        outputs = dict(zip(_OUTPUTS, registers[len(inputs) :].tolist(), strict=True))
        return out[: int(size[0])].tobytes(), outputs

    def multiply(
        self, activations: NDArray[np.int8], matrix: PackedMatrix
    ) -> tuple[NDArray[np.signedinteger], dict[str, int]]:
        """Results (rows, n) of activations (rows, k), and the output registers."""
        rows = len(activations)
        packet = pack_activations(activations, self.format).tobytes()
        capacity = result_bytes(matrix, rows, self.format)
        done, registers = self.launch(matrix.data, matrix.head_beats, rows, packet, capacity)
        return unpack_results(np.frombuffer(done, np.uint8), matrix, rows, self.format), registers
