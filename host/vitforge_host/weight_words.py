# SPDX-License-Identifier: Apache-2.0
"""Weights as the arrays read them: steps of (column, lane) int8, dense or two of every four along the reduction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP, GROUP_KEPT = 4, 2  # weights of a group along the reduction, and how many of them may be other than 0
ZERO_MULT, ZERO_SHIFT = 1 << 15, 16  # parameters of a padding column: 0 stays 0
COLUMN = np.dtype([("bias", "<i4"), ("mult", "<u2"), ("shift", "u1"), ("word", "u1")])  # record of a column


def ceil_div(value: int, divisor: int) -> int:
    """``value / divisor``, rounded up."""
    return -(-value // divisor)


def dense_words(weight: NDArray[np.int8], tc: int, tk: int) -> NDArray[np.uint8]:
    """(columns, inputs), in whole tiles -> (column tiles, bytes): k tiles of (column, lane) weights."""
    parts = weight.reshape(-1, tc, weight.shape[1] // tk, tk).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(parts).reshape(len(parts), -1).view(np.uint8)


def crowded_group(weight: NDArray[np.int8]) -> tuple[int, int] | None:
    """(row, group) of the first group of four of ``weight`` (columns, 4 * groups) with more than two, or None."""
    rows, inputs = weight.shape
    crowded = np.argwhere((weight.reshape(rows, inputs // GROUP, GROUP) != 0).sum(axis=-1) > GROUP_KEPT)
    return (int(crowded[0][0]), int(crowded[0][1])) if len(crowded) else None


def sparse_words(weight: NDArray[np.int8], tc: int, tk: int, beat_bytes: int) -> NDArray[np.uint8]:
    """The same of a 2:4 matrix: steps of (column, lane) weights, two of each four, with a beat of their places behind.

    A matrix with more than two weights in a group loses some: `crowded_group` finds it.
    """
    groups = weight.reshape(len(weight), -1, GROUP)
    places = np.sort(np.argsort(groups == 0, axis=-1, kind="stable")[..., :GROUP_KEPT], axis=-1)
    values = np.take_along_axis(groups, places, axis=-1)

    def steps(part: NDArray) -> NDArray[np.uint8]:
        lanes = part.reshape(-1, tc, weight.shape[1] // (2 * tk), tk).transpose(0, 2, 1, 3)
        return lanes.reshape(*lanes.shape[:2], -1).astype(np.int8).view(np.uint8)

    four = steps(places).reshape(len(weight) // tc, -1, tc * tk // 4, 4)
    picks = (four << np.array([0, 2, 4, 6], np.uint8)).sum(axis=-1).astype(np.uint8)
    beat = np.zeros((*picks.shape[:2], beat_bytes), np.uint8)
    beat[..., : picks.shape[2]] = picks
    return np.concatenate([steps(values), beat], axis=-1).reshape(len(weight) // tc, -1)
