# SPDX-License-Identifier: Apache-2.0
"""Packets of the sparse matrix product: rows of activations as it takes them, results as it gives them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vitforge_host.sparse_matmul_format import SparseMatmulFormat
from vitforge_host.sparse_matrix import PackedMatrix


def pack_activations(rows: NDArray[np.int8], format_: SparseMatmulFormat) -> NDArray[np.uint8]:
    """(rows, k) -> (rows, row bytes): each row in whole beats, pruned inputs included."""
    packed = np.zeros((len(rows), format_.row_bytes(rows.shape[1])), np.uint8)
    packed[:, : rows.shape[1]] = np.ascontiguousarray(rows, np.int8).view(np.uint8)
    return packed


def result_bytes(matrix: PackedMatrix, rows: int, format_: SparseMatmulFormat) -> int:
    """Of the packet that ``rows`` rows give."""
    return format_.result_bytes(rows, matrix.column_tiles, matrix.wide)


def unpack_results(
    packet: NDArray[np.uint8], matrix: PackedMatrix, rows: int, format_: SparseMatmulFormat
) -> NDArray[np.signedinteger]:
    """A packet, [block of rows][column tile][row][column], as (rows, n) int8 or int32; outputs not kept are 0."""
    numbers = np.ascontiguousarray(packet).view(matrix.dtype)
    kept = np.zeros((rows, matrix.column_tiles * format_.tc), matrix.dtype)
    for first, size in _blocks(rows, format_):
        row_numbers = matrix.column_tiles * format_.tc
        block = numbers[first * row_numbers : (first + -(-size // format_.td) * format_.td) * row_numbers]
        tiles = block.reshape(matrix.column_tiles, -1, format_.tc)[:, :size]
        kept[first : first + size] = tiles.transpose(1, 0, 2).reshape(size, -1)
    results = np.zeros((rows, len(matrix.keep_outputs)), matrix.dtype)
    results[:, matrix.keep_outputs] = kept[:, : int(matrix.keep_outputs.sum())]
    return results


def pack_results(
    results: NDArray[np.signedinteger], matrix: PackedMatrix, format_: SparseMatmulFormat
) -> NDArray[np.uint8]:
    """The inverse: the packet of ``results`` (rows, n), with 0 for what pads it."""
    parts = [np.zeros(0, np.uint8)]
    for first, size in _blocks(len(results), format_):
        kept = results[first : first + size, matrix.keep_outputs]
        padded = np.zeros((-(-size // format_.td) * format_.td, matrix.column_tiles * format_.tc), results.dtype)
        padded[:size, : kept.shape[1]] = kept
        tiles = padded.reshape(len(padded), matrix.column_tiles, format_.tc).transpose(1, 0, 2)
        parts.append(np.ascontiguousarray(tiles).reshape(-1).view(np.uint8))
    return np.concatenate(parts)


def _blocks(rows: int, format_: SparseMatmulFormat) -> Iterator[tuple[int, int]]:
    """(first row, rows) of each block."""
    for first in range(0, rows, format_.block_rows):
        yield first, min(format_.block_rows, rows - first)
