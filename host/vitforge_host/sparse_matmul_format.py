# SPDX-License-Identifier: Apache-2.0
"""Sizes of a sparse_matmul overlay, from the ``.sparse_matmul.json`` beside its bitstream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vitforge_host.format_file import read_format_file
from vitforge_host.identity import SPARSE_MATMUL
from vitforge_host.weight_words import ceil_div

_WIDE_PARTS = 4  # an int32 takes four times the room of an int8


@dataclass(frozen=True, kw_only=True)
class SparseMatmulFormat:
    """What the driver must know of a design; the hash ties it to the bitstream."""

    tc: int  # output columns of a tile
    tk: int  # lanes of the reduction
    td: int  # rows of activations whose results leave together
    block_rows: int  # multiplied at a time
    k_max: int
    n_max: int
    sparse: bool  # takes 2:4 matrices
    activation_lowest: int  # -128, or -127 where a DSP does not hold a pair with -128
    beat_bytes: int
    design_hash: str

    def row_bytes(self, inputs: int) -> int:
        """Of a row of activations: whole beats."""
        return ceil_div(inputs, self.beat_bytes) * self.beat_bytes

    def result_bytes(self, rows: int, column_tiles: int, wide: bool) -> int:
        """Of the results of ``rows`` rows; blocks of rows but the last are whole groups of td."""
        return column_tiles * ceil_div(rows, self.td) * self.beat_bytes * (_WIDE_PARTS if wide else 1)


def read_format(path: Path) -> SparseMatmulFormat:
    """The format in the file ``path``. Raises OverlayError if it is missing or not one of ours."""
    return read_format_file(path, SparseMatmulFormat, SPARSE_MATMUL)
