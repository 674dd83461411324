# SPDX-License-Identifier: Apache-2.0
"""Keys and values on their way to an A3 accelerator: checked, quantised, padded and sorted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge_host.a3_checks import keys_and_values
from vitforge_host.a3_format import A3Format
from vitforge_host.a3_packets import load_packet, packet_bytes, pad_columns, sort_columns
from vitforge_host.a3_scale import scale_registers
from vitforge_host.a3_slots import Loaded
from vitforge_host.fixed_point import encode


@dataclass(frozen=True)
class LoadReport:
    """What a load cost on the host, and what did not fit the number format.

    quantise_s, sort_s, copy_s : seconds; copy is packing and transfer
    packet_bytes : bytes sent to the accelerator
    saturated_keys, saturated_values : elements that were clipped
    """

    quantise_s: float
    sort_s: float
    copy_s: float
    packet_bytes: int
    saturated_keys: int
    saturated_values: int


@dataclass(frozen=True)
class Prepared:
    """keys, values (heads or 1, n, d) codes, and the sorted key of each head; ``elements`` is how many were given."""

    loaded: Loaded
    keys: NDArray[np.int16]
    values: NDArray[np.int16]
    entries: list[NDArray[np.uint32] | None]
    elements: int
    saturated: tuple[int, int]  # of keys, of values
    seconds: tuple[float, float]  # quantising, sorting

    def packet_bytes(self, format_: A3Format) -> int:
        """Of each packet."""
        return packet_bytes(self.loaded.n, self.loaded.d, format_)

    def packets(self, format_: A3Format) -> Iterator[NDArray[np.uint8]]:
        """One for all units, or one for each."""
        for keys, values, entries in zip(self.keys, self.values, self.entries, strict=True):
            yield load_packet(keys, values, entries, format_)

    def report(self, copy_s: float, format_: A3Format) -> LoadReport:
        sent = self.packet_bytes(format_) * len(self.keys)
        return LoadReport(*self.seconds, copy_s, sent, *self.saturated)


def prepare(
    keys: ArrayLike, values: ArrayLike, scale: float | None, format_: A3Format, *, centre: bool = False
) -> Prepared:
    """As `A3.load` takes them. Raises InputError for what does not fit."""
    started = time.perf_counter()
    reals = list(keys_and_values(keys, values, format_))
    if centre:
        reals[0] = reals[0] - reals[0].mean(axis=-2, keepdims=True)
    columns = [array.shape[-1] for array in reals]
    loaded = Loaded(
        n=reals[0].shape[-2],
        query_columns=columns[0],
        result_columns=columns[1],
        heads=len(reals[0]) if reals[0].ndim == 3 else 0,
        scale=scale_registers(columns[0] ** -0.5 if scale is None else scale),
    )
    encoded = [encode(array, format_.integer_bits, format_.fraction_bits) for array in reals]
    quantised = time.perf_counter()
    heads = [pad_columns(codes.reshape(-1, *codes.shape[-2:]), loaded.d) for codes, _ in encoded]
    entries = [sort_columns(head) if format_.approximate else None for head in heads[0]]
    return Prepared(
        loaded=loaded,
        keys=heads[0],
        values=heads[1],
        entries=entries,
        elements=reals[0].size + reals[1].size,
        saturated=(encoded[0][1], encoded[1][1]),
        seconds=(quantised - started, time.perf_counter() - quantised),
    )
