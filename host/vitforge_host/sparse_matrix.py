# SPDX-License-Identifier: Apache-2.0
"""A weight matrix as the sparse MAC array reads it from DDR: dense, pruned by keep masks, 2:4, or both.

The record (docs/sparse_matmul.md): a 32-byte header, the keep mask of the inputs, then for each column tile its bias,
multipliers and shifts, and its weights.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge_host.errors import InputError
from vitforge_host.sparse_matmul_format import SparseMatmulFormat
from vitforge_host.sparse_matrix_checks import Tensors, array_of, check_tensors, mask_of
from vitforge_host.weight_words import (
    COLUMN,
    GROUP,
    GROUP_KEPT,
    ZERO_MULT,
    ZERO_SHIFT,
    ceil_div,
    dense_words,
    sparse_words,
)

DENSE, TWO_OF_FOUR = "dense", "2:4"
_SPARSE_FLAG, _WIDE_FLAG = 1 << 0, 1 << 1
_MASKS_PER_BEAT = 8
_TARGET_BYTES = 8  # of a weight tile (`weight_tile.hpp`), and one a column: where results go, of no use here


@dataclass(frozen=True, eq=False)
class PackedMatrix:
    """A matrix record, checked and ready for DDR; made by `pack_matrix`.

    data : (bytes,) uint8
    crc32 : of the record and of all that is said of it here
    inputs : of a row of activations, pruned ones included
    keep_outputs : (n,) bool
    wide : whether int32 sums come out, else requantised int8
    steps : of the reduction, for each column tile and token tile
    """

    data: NDArray[np.uint8] = field(repr=False)
    crc32: int
    head_beats: int
    inputs: int
    keep_outputs: NDArray[np.bool_] = field(repr=False)
    wide: bool
    sparse: bool
    steps: int
    column_tiles: int
    design_hash: str

    @property
    def dtype(self) -> type[np.signedinteger]:
        """Of the results."""
        return np.int32 if self.wide else np.int8

    def checksum(self) -> int:
        """What ``crc32`` must be."""
        numbers = (self.head_beats, self.inputs, self.wide, self.sparse, self.steps, self.column_tiles)
        parts = (self.data.tobytes(), self.keep_outputs.tobytes(), np.array(numbers, "<i8").tobytes())
        return zlib.crc32(b"".join(parts))

    def check(self) -> None:
        """Raise InputError if the record is not as it was packed."""
        if self.checksum() != self.crc32:
            raise InputError("the matrix record is damaged: its CRC-32 does not match; pack the matrix again")


def pack_matrix(
    weights: ArrayLike,
    format_: SparseMatmulFormat,
    *,
    bias: ArrayLike | None = None,
    mult: ArrayLike | None = None,
    shift: ArrayLike | None = None,
    keep_inputs: ArrayLike | None = None,
    keep_outputs: ArrayLike | None = None,
    sparsity: str = DENSE,
) -> PackedMatrix:
    """The record of ``weights`` for overlays of ``format_``; what it computes is `vitforge.golden.sparse_matmul`.

    Parameters
    ----------
    weights : (n, k) integers in -127 ... 127, 0 where a mask prunes
    bias : (n,) integers, or one for all; 0 where a mask prunes
    mult, shift : (n,) integers in 0 ... 65535 and 1 ... 62, or one for all; without both, int32 sums come out
    keep_inputs, keep_outputs : (k,) and (n,) bool; None keeps all
    sparsity : "2:4" if of every four kept inputs in a row no output has more than two weights, which halves the cycles

    Raises
    ------
    InputError
        With a sentence on what does not fit the overlay, or does not belong together.
    """
    if sparsity not in (DENSE, TWO_OF_FOUR):
        raise InputError(f"sparsity is {sparsity!r}; it must be {DENSE!r} or {TWO_OF_FOUR!r}")
    sparse = sparsity == TWO_OF_FOUR
    if sparse and not format_.sparse:
        raise InputError(
            "sparsity is '2:4', and this overlay takes dense matrices alone; generate it with sparse = true"
        )
    tensors = check_tensors(weights, bias, mult, shift, keep_inputs, keep_outputs, format_, sparse)
    unit = 2 * format_.tk if sparse else format_.tk
    steps = max(1, ceil_div(int(tensors.keep_inputs.sum()), unit))  # a matrix of no inputs takes a step of zeros
    column_tiles = ceil_div(int(tensors.keep_outputs.sum()), format_.tc)
    head = _head(tensors, format_, sparse, steps, column_tiles)
    data = np.concatenate([head, _tiles(tensors, format_, sparse, steps * unit)]) if column_tiles else head
    packed = PackedMatrix(
        data=data,
        crc32=0,
        head_beats=len(head) // format_.beat_bytes,
        inputs=tensors.weights.shape[1],
        keep_outputs=tensors.keep_outputs,
        wide=tensors.mult is None,
        sparse=sparse,
        steps=steps,
        column_tiles=column_tiles,
        design_hash=format_.design_hash,
    )
    return replace(packed, crc32=packed.checksum())


def _head(
    tensors: Tensors, format_: SparseMatmulFormat, sparse: bool, steps: int, column_tiles: int
) -> NDArray[np.uint8]:
    """Header and keep mask, a bit an input."""
    inputs, beat = tensors.weights.shape[1], format_.beat_bytes
    flags = (_SPARSE_FLAG if sparse else 0) | (_WIDE_FLAG if tensors.mult is None else 0)
    words = ceil_div(int(tensors.keep_inputs.sum()), beat)
    header = np.array([flags, inputs | steps << 16, column_tiles | words << 16, 0, 0, 0, 0, 0], "<u4").view(np.uint8)
    mask_beats = ceil_div(ceil_div(inputs, beat), _MASKS_PER_BEAT)
    mask = np.zeros(mask_beats * beat * 8, bool)
    mask[:inputs] = tensors.keep_inputs
    return np.concatenate([header, np.packbits(mask, bitorder="little")])


def _tiles(tensors: Tensors, format_: SparseMatmulFormat, sparse: bool, inputs: int) -> NDArray[np.uint8]:
    """All column tiles, of ``inputs`` inputs in whole steps."""
    tc, tk, kept = format_.tc, format_.tk, tensors.kept()
    padded = np.zeros((ceil_div(len(kept), tc) * tc, inputs), np.int8)
    padded[: kept.shape[0], : kept.shape[1]] = kept
    words = sparse_words(padded, tc, tk, format_.beat_bytes) if sparse else dense_words(padded, tc, tk)
    return np.concatenate([_records(tensors, format_, len(words)), words], axis=1).reshape(-1)


def _records(tensors: Tensors, format_: SparseMatmulFormat, column_tiles: int) -> NDArray[np.uint8]:
    """(column tiles, bytes): what precedes the weights of each tile."""
    tc, beat, rows = format_.tc, format_.beat_bytes, tensors.keep_outputs
    records = np.zeros(column_tiles * tc, COLUMN)
    records["mult"], records["shift"] = ZERO_MULT, ZERO_SHIFT
    count = int(rows.sum())
    records["bias"][:count] = tensors.bias[rows]
    if tensors.mult is not None and tensors.shift is not None:
        records["mult"][:count], records["shift"][:count] = tensors.mult[rows], tensors.shift[rows]
    target_bytes = ceil_div(_TARGET_BYTES + tc, beat) * beat
    found = np.zeros((column_tiles, target_bytes + ceil_div(tc * COLUMN.itemsize, beat) * beat), np.uint8)
    found[:, target_bytes : target_bytes + tc * COLUMN.itemsize] = records.view(np.uint8).reshape(column_tiles, -1)
    return found


def prune_two_of_four(weights: ArrayLike, keep_inputs: ArrayLike | None = None) -> NDArray:
    """``weights`` (n, k), 0 but for the two of largest magnitude of every four kept inputs in a row; of their type.

    Of equal ones the first is kept. Groups count the inputs that ``keep_inputs`` (k,) bool keeps, as the array does.
    Raises InputError if the weights are no (n, k) numbers, or hold a NaN, or the mask is of another size.
    """
    matrix = np.array(array_of("weights", weights))
    if matrix.ndim != 2 or matrix.dtype.kind not in "iuf" or np.isnan(matrix).any():
        raise InputError(f"weights are {matrix.shape} {matrix.dtype}; expected (n, k) numbers, and no NaN among them")
    kept = np.flatnonzero(mask_of("keep_inputs", keep_inputs, matrix.shape[1], "inputs"))
    size = ceil_div(len(kept), GROUP) * GROUP
    magnitude = np.full((len(matrix), size), -1.0)
    magnitude[:, : len(kept)] = np.abs(matrix[:, kept].astype(np.float64))
    groups = magnitude.reshape(len(matrix), size // GROUP, GROUP)
    best = np.argsort(-groups, axis=-1, kind="stable")[..., :GROUP_KEPT]
    mask = np.zeros(groups.shape, bool)
    np.put_along_axis(mask, best, True, axis=-1)
    pruned = np.zeros_like(matrix)
    pruned[:, kept] = np.where(mask.reshape(len(matrix), size)[:, : len(kept)], matrix[:, kept], 0)
    return pruned
