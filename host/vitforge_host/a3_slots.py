# SPDX-License-Identifier: Apache-2.0
"""What is loaded on an A3 accelerator, and the device buffers of a batch of queries over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge_host.a3_format import A3Format
from vitforge_host.a3_packets import QueryPlan, pack_rows, pad_columns, unpack_results
from vitforge_host.a3_runner import QUERY, Launch

Allocate = Callable[[Any, Any], Any]  # (shape, dtype) -> pynq buffer


@dataclass(frozen=True)
class Loaded:
    """Shape of the keys and values on the accelerator: ``n`` rows of ``d`` elements, padding included.

    query_columns, result_columns : what of ``d`` a query has, and a result
    heads : 0 if all units hold the same
    scale : (mult, shift) of the dot products
    """

    n: int
    query_columns: int
    result_columns: int
    heads: int
    scale: tuple[int, int]

    @property
    def d(self) -> int:
        return max(self.query_columns, self.result_columns)

    @property
    def query_shape(self) -> tuple[int, ...]:
        return (self.heads, self.query_columns) if self.heads else (self.query_columns,)


class QuerySlot:
    """Buffers for up to ``batch`` queries over ``loaded``, and the launch of those that are in it."""

    def __init__(self, allocate: Allocate, loaded: Loaded, format_: A3Format, batch: int) -> None:
        self._format = format_
        self._loaded = loaded
        vectors = batch * max(loaded.heads, 1)
        self._row_bytes, self._result_bytes = _row_sizes(loaded, format_)
        self._packet = allocate((vectors, self._row_bytes), np.uint8)
        self._results = allocate((vectors, self._result_bytes), np.uint8)
        self._plan = QueryPlan(0, loaded.heads)
        self.launch = Launch("no queries", {})

    @staticmethod
    def most_bytes(loaded: Loaded, format_: A3Format, batch: int) -> int:
        """Of the larger packet of a batch."""
        return batch * max(loaded.heads, 1) * max(_row_sizes(loaded, format_))

    @property
    def buffers(self) -> list[Any]:
        return [self._packet, self._results]

    def fits(self, loaded: Loaded) -> bool:
        """Whether the buffers do for queries over ``loaded`` too; they are then for those."""
        same = (loaded.heads, *_row_sizes(loaded, self._format))
        if same != (self._loaded.heads, self._row_bytes, self._result_bytes):
            return False
        self._loaded = loaded
        return True

    def put(self, codes: NDArray[np.int16], arguments: Mapping[str, int]) -> None:
        """Pack codes (N, columns) or (N, heads, columns); ``arguments`` are those of all launches over this load."""
        self._plan = QueryPlan(len(codes), self._loaded.heads)
        vectors = self._plan.in_order(codes)
        self._packet[: len(vectors)] = pack_rows(pad_columns(vectors, self._loaded.d), self._format)
        self.launch = Launch(
            what=f"{self._plan.count} queries",
            arguments={"op": QUERY, **arguments, "pairs": self._plan.pairs, "single_from": self._plan.single_from},
            packet=self._packet,
            packet_bytes=len(vectors) * self._row_bytes,
            results=self._results,
            result_bytes=len(vectors) * self._result_bytes,
        )

    def results(self) -> NDArray[np.signedinteger]:
        """Result codes of the finished launch, (N, columns) or (N, heads, columns)."""
        received = np.array(self._results[: self._plan.vectors], subok=False)
        return self._plan.by_query(unpack_results(received, self._loaded.result_columns, self._format))


def _row_sizes(loaded: Loaded, format_: A3Format) -> tuple[int, int]:
    """Bytes of a query, and of a result."""
    return format_.row_bytes(loaded.d, format_.element_bytes), format_.row_bytes(loaded.d, format_.result_bytes)
