# SPDX-License-Identifier: Apache-2.0
"""Packets of the A3 kernel: keys, values and queries as it takes them, results as it gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge_host.a3_format import A3Format

Codes = NDArray[np.int16]


def pad_columns(codes: Codes, d: int) -> Codes:
    """(..., columns) with columns of 0 up to ``d``: they change no dot product."""
    missing = d - codes.shape[-1]
    return np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, missing)]) if missing else codes


def sort_columns(keys: Codes) -> NDArray[np.uint32]:
    """Keys (n, d) -> (n, d) entries row << 16 | code, every column in ascending order, equal ones by row."""
    order = np.argsort(keys, axis=0, kind="stable")
    codes = np.take_along_axis(keys, order, axis=0)
    return (order.astype(np.uint32) << 16 | codes.astype(np.uint16)).astype(np.uint32)


def packet_bytes(n: int, d: int, format_: A3Format) -> int:
    """Of the packet of a load."""
    entries = format_.row_bytes(d, 4) if format_.approximate else 0
    return n * (2 * format_.row_bytes(d, format_.element_bytes) + entries)


def load_packet(keys: Codes, values: Codes, entries: NDArray[np.uint32] | None, format_: A3Format) -> NDArray[np.uint8]:
    """Keys and values (n, d), then ``entries`` of `sort_columns` if the design selects: the packet, (bytes,)."""
    parts = [pack_rows(keys, format_), pack_rows(values, format_)]
    if entries is not None:
        parts.append(_in_beats(entries, format_))
    return np.concatenate([part.reshape(-1) for part in parts])


def pack_rows(codes: Codes, format_: A3Format) -> NDArray[np.uint8]:
    """Codes (rows, d) -> (rows, row bytes), each row in whole beats."""
    return _in_beats(codes.astype(np.int8 if format_.element_bytes == 1 else np.int16), format_)


def _in_beats(rows: NDArray, format_: A3Format) -> NDArray[np.uint8]:
    packed = np.zeros((len(rows), format_.row_bytes(rows.shape[1], rows.itemsize)), np.uint8)
    packed[:, : rows.shape[1] * rows.itemsize] = np.ascontiguousarray(rows).view(np.uint8)
    return packed


@dataclass(frozen=True)
class QueryPlan:
    """How ``count`` queries lie in a packet: in pairs, which the units take in turn; both of a pair go to one unit.

    ``heads`` is 0 if all units hold the same key; else each unit holds one head's, and gets that head of every query.
    """

    count: int
    heads: int

    @property
    def _each(self) -> int:
        return max(self.heads, 1)

    @property
    def vectors(self) -> int:
        return self.count * self._each

    @property
    def pairs(self) -> int:
        return (self.count + 1) // 2 * self._each

    @property
    def single_from(self) -> int:
        """Pairs from this one on have one query."""
        return self.count // 2 * self._each

    def in_order(self, queries: NDArray) -> NDArray:
        """(count, d) or (count, heads, d) -> (vectors, d) as they lie in the packet."""
        if not self.heads:
            return queries
        d, even = queries.shape[-1], self.count // 2 * 2
        pairs = queries[:even].reshape(-1, 2, self.heads, d).swapaxes(1, 2)
        return np.concatenate([pairs.reshape(-1, d), queries[even:].reshape(-1, d)])

    def by_query(self, vectors: NDArray) -> NDArray:
        """The inverse of `in_order`."""
        if not self.heads:
            return vectors
        d, even = vectors.shape[-1], self.count // 2 * 2
        pairs = vectors[: even * self.heads].reshape(-1, self.heads, 2, d).swapaxes(1, 2)
        last = vectors[even * self.heads :].reshape(-1, self.heads, d)
        return np.concatenate([pairs.reshape(-1, self.heads, d), last])


def unpack_results(packet: NDArray[np.uint8], columns: int, format_: A3Format) -> NDArray[np.signedinteger]:
    """(vectors, row bytes) as they came -> (vectors, columns) result codes."""
    return np.ascontiguousarray(packet).view(format_.result_dtype)[:, :columns]
