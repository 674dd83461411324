# SPDX-License-Identifier: Apache-2.0
"""What a matrix for the sparse MAC array must be: every refusal is a sentence, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge_host.errors import InputError
from vitforge_host.sparse_matmul_format import SparseMatmulFormat
from vitforge_host.weight_words import GROUP, ceil_div, crowded_group

WEIGHT_LIMIT = 127
ACCUMULATOR_LIMIT = 1 << 26  # accumulators are 27 bits signed
_MOST_MULT, _MOST_SHIFT = (1 << 16) - 1, 62


@dataclass(frozen=True, eq=False)
class Tensors:
    """A matrix and what belongs to it: weights (n, k), bias, mult and shift (n,), masks (k,) and (n,)."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    mult: NDArray[np.int64] | None
    shift: NDArray[np.int64] | None
    keep_inputs: NDArray[np.bool_]
    keep_outputs: NDArray[np.bool_]

    def kept(self) -> NDArray[np.int8]:
        """What the masks leave of the weights."""
        return self.weights[self.keep_outputs][:, self.keep_inputs].astype(np.int8)


def check_tensors(
    weights: ArrayLike,
    bias: ArrayLike | None,
    mult: ArrayLike | None,
    shift: ArrayLike | None,
    keep_inputs: ArrayLike | None,
    keep_outputs: ArrayLike | None,
    format_: SparseMatmulFormat,
    sparse: bool,
) -> Tensors:
    """All as arrays that belong together and fit the overlay. Raises InputError otherwise."""
    matrix = _weights(weights, format_)
    outputs, inputs = matrix.shape
    if (mult is None) != (shift is None):
        given, missing = ("mult", "shift") if shift is None else ("shift", "mult")
        raise InputError(f"{given} is given and {missing} is not; give both for int8 results, or none for int32 sums")
    tensors = Tensors(
        weights=matrix,
        bias=_numbers("bias", 0 if bias is None else bias, outputs, -ACCUMULATOR_LIMIT, ACCUMULATOR_LIMIT),
        mult=None if mult is None else _numbers("mult", mult, outputs, 0, _MOST_MULT),
        shift=None if shift is None else _numbers("shift", shift, outputs, 1, _MOST_SHIFT),
        keep_inputs=mask_of("keep_inputs", keep_inputs, inputs, "inputs"),
        keep_outputs=mask_of("keep_outputs", keep_outputs, outputs, "outputs"),
    )
    _check_pruned(tensors, is_bias_given=bias is not None and np.ndim(bias) > 0)
    _check_reach(tensors)
    if sparse:
        _check_groups(tensors)
    return tensors


def array_of(name: str, values: ArrayLike) -> NDArray:
    """``values`` as an array. Raises InputError if they are none, as lists of different lengths."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} cannot be read as an array ({error})") from None


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    array = array_of(name, values)
    if array.dtype.kind not in "iu":
        raise InputError(f"{name} must be integers, not {array.dtype}")
    if array.dtype == np.uint64:  # what int64 does not hold would come out negative
        array = np.minimum(array, np.uint64(np.iinfo(np.int64).max))
    return array.astype(np.int64)


def _weights(weights: ArrayLike, format_: SparseMatmulFormat) -> NDArray[np.int64]:
    matrix = _integers("weights", weights)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(f"weights are {matrix.shape}; expected (n, k) with at least one output and one input")
    for name, size, most in (("n", matrix.shape[0], format_.n_max), ("k", matrix.shape[1], format_.k_max)):
        if size > most:
            raise InputError(
                f"weights are {matrix.shape}; {name} is {size}, and the overlay was built for at most {most}"
            )
    wrong = np.argwhere((matrix < -WEIGHT_LIMIT) | (matrix > WEIGHT_LIMIT))  # the lowest int64 is its own magnitude
    if len(wrong):
        row, column = wrong[0].tolist()
        raise InputError(
            f"weights[{row}, {column}] is {matrix[row, column]}; weights lie in -{WEIGHT_LIMIT} to {WEIGHT_LIMIT}"
        )
    return matrix


def _numbers(name: str, values: ArrayLike, outputs: int, low: int, high: int) -> NDArray[np.int64]:
    array = _integers(name, values)
    if array.shape not in ((), (outputs,)):
        raise InputError(f"{name} has shape {array.shape}; expected one number, or one for each of {outputs} outputs")
    if array.size and not (low <= int(array.min()) and int(array.max()) <= high):
        wrong = array.min() if array.min() < low else array.max()
        raise InputError(f"{name} has the value {wrong}; it lies in {low} to {high}")
    return np.ascontiguousarray(np.broadcast_to(array, outputs))


def mask_of(name: str, mask: ArrayLike | None, size: int, what: str) -> NDArray[np.bool_]:
    """``mask``, or one that keeps all. Raises InputError if it is not (size,) bool; ``what`` says of what."""
    if mask is None:
        return np.ones(size, bool)
    array = array_of(name, mask)
    if array.dtype != np.bool_ or array.shape != (size,):
        raise InputError(f"{name} is {array.shape} {array.dtype}; weights of {size} {what} take ({size},) bool")
    return array


def _check_pruned(tensors: Tensors, is_bias_given: bool) -> None:
    kept = tensors.keep_outputs[:, None] & tensors.keep_inputs[None, :]
    wrong = np.argwhere((tensors.weights != 0) & ~kept)
    if len(wrong):
        row, column = wrong[0].tolist()
        mask = "keep_outputs" if not tensors.keep_outputs[row] else "keep_inputs"
        raise InputError(
            f"weights[{row}, {column}] is {tensors.weights[row, column]}, but {mask} prunes it; set it to 0 or keep it"
        )
    extra = np.flatnonzero((tensors.bias != 0) & ~tensors.keep_outputs)
    if is_bias_given and len(extra):
        raise InputError(
            f"bias[{extra[0]}] is {tensors.bias[extra[0]]}, but keep_outputs prunes it; set it to 0 or keep it"
        )


def _check_reach(tensors: Tensors) -> None:
    reach = np.abs(tensors.weights).sum(axis=1) * 128 + np.abs(tensors.bias)
    row = int(np.argmax(reach))
    if reach[row] >= ACCUMULATOR_LIMIT:
        raise InputError(
            f"output {row} can reach {reach[row]}, beyond the 27 bits of an accumulator; use a smaller bias or weights"
        )


def _check_groups(tensors: Tensors) -> None:
    kept = tensors.kept()
    padded = np.zeros((len(kept), ceil_div(kept.shape[1], GROUP) * GROUP), np.int8)
    padded[:, : kept.shape[1]] = kept
    found = crowded_group(padded)
    if found is None:
        return
    row = int(np.flatnonzero(tensors.keep_outputs)[found[0]])
    inputs = np.flatnonzero(tensors.keep_inputs)[GROUP * found[1] : GROUP * (found[1] + 1)].tolist()
    raise InputError(
        f"weights are no 2:4 matrix: row {row} has more than two weights in group {found[1]} of its kept inputs "
        f"({', '.join(map(str, inputs))}); prune_two_of_four chooses two of them"
    )
