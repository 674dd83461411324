# SPDX-License-Identifier: Apache-2.0
"""Packets and registers of an A3 launch, for test bench and csim; written apart from the driver, which must agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.design.a3 import A3_ARGUMENTS, LANES, OPERATIONS, A3Design
from vitforge.design.geometry import ceil_div
from vitforge_host.a3_scale import scale_registers, threshold_register


def rows_packet(design: A3Design, rows: NDArray) -> bytes:
    """Codes (rows, d): each row in whole beats."""
    kind = np.int8 if design.element_bytes == 1 else np.int16
    return _padded(np.asarray(rows).astype(kind), design.beat_bytes)


def sorted_packet(design: A3Design, keys: NDArray) -> bytes:
    """Entries (row << 16 | code) of every column at each position of its ascending order."""
    order = np.argsort(keys, axis=0, kind="stable")
    codes = np.take_along_axis(np.asarray(keys), order, axis=0).astype(np.int64)
    return _padded((order << 16 | (codes & 0xFFFF)).astype(np.uint32), design.beat_bytes)


def load_packet(design: A3Design, keys: NDArray, values: NDArray) -> bytes:
    """Keys and values (n, d)."""
    packet = rows_packet(design, keys) + rows_packet(design, values)
    return packet + sorted_packet(design, keys) if design.approximate else packet


def results_packet(design: A3Design, results: NDArray) -> bytes:
    """Results (b, d) as they come back; what pads a row is 0."""
    return _padded(np.asarray(results).astype(_result_type(design)), design.beat_bytes)


def read_results(design: A3Design, packet: bytes, d: int) -> NDArray[np.int64]:
    """The inverse: (b, d)."""
    width = ceil_div(d * design.numbers.result_bytes, design.beat_bytes) * design.result_per_beat
    return np.frombuffer(packet, _result_type(design)).reshape(-1, width)[:, :d].astype(np.int64)


def load_registers(n: int, d: int, unit_mask: int) -> list[int]:
    """Registers of a load, in the order of the arguments that are inputs."""
    return _registers(op=OPERATIONS["load"], n=n, d=d, unit_mask=unit_mask)


def query_registers(
    design: A3Design, n: int, d: int, queries: int, scale: float, m: int | None, t: float | None
) -> list[int]:
    """Registers of a launch of ``queries`` over one key: pairs, and one alone if their number is odd."""
    mult, shift = scale_registers(scale)
    return _registers(
        op=OPERATIONS["query"],
        n=n,
        d=d,
        m=m or 0,
        threshold=threshold_register(t, (mult, shift), design.numbers.fraction_bits),
        scale_mult=mult,
        scale_shift=shift,
        pairs=ceil_div(queries, LANES),
        single_from=queries // LANES,
    )


def _registers(**values: int) -> list[int]:
    return [values.get(argument.name, 0) for argument in A3_ARGUMENTS if argument.kind == "i32"]


def _padded(rows: NDArray, beat_bytes: int) -> bytes:
    row = rows.shape[1] * rows.itemsize
    padded = np.zeros((len(rows), ceil_div(row, beat_bytes) * beat_bytes), np.uint8)
    padded[:, :row] = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), row)
    return padded.tobytes()


def _result_type(design: A3Design) -> type[np.signedinteger]:
    return np.int16 if design.numbers.result_bytes == 2 else np.int32
