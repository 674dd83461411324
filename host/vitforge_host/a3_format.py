# SPDX-License-Identifier: Apache-2.0
"""Sizes and number formats of an A3 overlay, from the ``.a3.json`` beside its bitstream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitforge_host.format_file import read_format_file
from vitforge_host.identity import A3


@dataclass(frozen=True, kw_only=True)
class A3Format:
    """What the driver must know of a design; the hash ties it to the bitstream."""

    n_max: int  # rows of a key
    d_max: int  # elements of a row
    m_max: int  # iterations of candidate selection; 0 without
    units: int
    approximate: bool
    integer_bits: int  # of keys, values and queries, beside the sign
    fraction_bits: int
    policy: str
    element_bytes: int  # of a code in a packet
    beat_bytes: int  # of the streams
    result_bytes: int
    result_fraction: int  # fraction bits of a result
    design_hash: str

    @property
    def limit(self) -> int:
        """Largest magnitude of a code."""
        return (1 << (self.integer_bits + self.fraction_bits)) - 1

    @property
    def result_dtype(self) -> type[np.signedinteger]:
        return np.int16 if self.result_bytes == 2 else np.int32

    def row_bytes(self, d: int, element_bytes: int) -> int:
        """Bytes of a row of ``d`` elements in a packet: whole beats."""
        return -(-d * element_bytes // self.beat_bytes) * self.beat_bytes


def read_format(path: Path) -> A3Format:
    """The format in the file ``path``. Raises OverlayError if it is missing or not one of ours."""
    return read_format_file(path, A3Format, A3)
