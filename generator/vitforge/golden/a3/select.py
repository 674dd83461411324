# SPDX-License-Identifier: Apache-2.0
"""Greedy candidate selection (A3, sections IV-B and IV-C): which rows of the key can matter to a query.

What the paper leaves open, here and in the hardware alike:

- Columns are sorted ascending, stable on the row. A column is walked from its largest product to its smallest by the
  max pointer and the other way round by the min pointer; a query element of 0 counts as not positive.
- Of equal products the one in the lowest column goes first, within a column the one that its pointer meets first.
- An iteration is used up, and its pointer moves, even if the sign test rejects what was popped.
- The min step of an iteration is skipped while the sum of all products accepted so far, this iteration's max step
  included, is negative. Only accepted products count.
- A column whose pointer has passed its end is never selected again.
- Candidates are the rows with a positive score, in ascending order. If there is none, the row with the largest score
  is the only candidate, the lowest of several.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BATCH_PRODUCTS = 1 << 22  # of a batch of queries at a time


class Selection(NamedTuple):
    """greedy (n,) scores, and candidates (c,) rows in ascending order."""

    greedy: NDArray
    candidates: NDArray[np.int64]


def candidate_select(key: ArrayLike, query: ArrayLike, m: int, *, skip: bool = True) -> Selection:
    """Pointer machine of Fig. 7, with the skip heuristic of section IV-C unless ``skip`` is False.

    key (n, d) and query (d,), integers or floats; m : iterations, at least 1. Raises ValueError for other shapes.
    """
    key, query = _wide(key), _wide(query)
    if key.ndim != 2 or query.shape != key.shape[1:] or not key.size or m < 1:
        raise ValueError(
            f"candidate_select takes key (n, d), query (d,) and m >= 1, not {key.shape}, {query.shape}, {m}"
        )
    order = np.argsort(key, axis=0, kind="stable")
    highest = _merged(key, query, order, 1)
    lowest = _merged(key, query, order, -1)
    greedy = np.zeros(len(key), np.result_type(key, query))
    total: Any = 0
    for _ in range(m):
        value, row = next(highest, (0, 0))
        if value > 0:
            greedy[row] += value
            total += value
        if skip and total < 0:
            continue
        value, row = next(lowest, (0, 0))
        if value > 0:
            greedy[row] -= value
            total -= value
    return Selection(greedy, _candidates(greedy))


def _wide(values: ArrayLike) -> NDArray:
    """Codes may come in a type that is too narrow for their products."""
    array = np.asarray(values)
    return array.astype(np.int64) if array.dtype.kind in "iub" else array


def _merged(key: NDArray, query: NDArray, order: NDArray, sign: int) -> Iterator[tuple[Any, int]]:
    """(sign * product, row) of all columns, largest first: a priority queue over one pointer a column."""
    n, d = key.shape
    down = sign * query > 0
    heap: list[tuple[Any, int, int]] = []  # (-value, column, steps of the pointer)

    def push(column: int, steps: int) -> None:
        if steps < n:
            row = order[n - 1 - steps if down[column] else steps, column]
            heapq.heappush(heap, (-sign * key[row, column] * query[column], column, steps))

    for column in range(d):
        push(column, 0)
    while heap:
        value, column, steps = heapq.heappop(heap)
        yield -value, int(order[n - 1 - steps if down[column] else steps, column])
        push(column, steps + 1)


def _candidates(greedy: NDArray) -> NDArray[np.int64]:
    rows = np.flatnonzero(greedy > 0)
    return rows if rows.size else np.array([np.argmax(greedy)])


def select_batch(key: NDArray[np.integer], queries: NDArray[np.integer], m: int) -> NDArray[np.bool_]:
    """Candidates (b, n) of integer queries (b, d), the same as `candidate_select` of each, for many at once.

    The k-th product that a pointer machine pops is the k-th largest (smallest) of all, in the order of ties that the
    machine has: so the products are sorted instead.
    """
    key, queries = _wide(key), _wide(queries)
    n, d = key.shape
    order = np.argsort(key, axis=0, kind="stable")
    steps = min(n, m)
    chunk = max(1, _BATCH_PRODUCTS // (steps * d))
    parts = [_select_chunk(key, order, part, m) for part in np.split(queries, range(chunk, len(queries), chunk))]
    return np.concatenate(parts)


def _select_chunk(key: NDArray, order: NDArray, queries: NDArray, m: int) -> NDArray[np.bool_]:
    count, n = len(queries), len(key)
    greedy = np.zeros((count, n), np.int64)
    total, taken, each = np.zeros(count, np.int64), np.zeros(count, np.int64), np.arange(count)
    high_values, high_rows = _largest(key, order, queries, m, 1)
    low_values, low_rows = _largest(key, order, queries, m, -1)
    for k in range(high_values.shape[1]):
        value = np.maximum(high_values[:, k], 0)
        greedy[each, high_rows[:, k]] += value
        total += value
        value = np.where(total < 0, 0, np.maximum(low_values[each, taken], 0))
        greedy[each, low_rows[each, taken]] -= value
        taken += total >= 0
        total -= value
    mask = greedy > 0
    none = ~mask.any(axis=1)
    mask[none, np.argmax(greedy[none], axis=1)] = True
    return mask


def _largest(
    key: NDArray, order: NDArray, queries: NDArray, m: int, sign: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The m largest of sign * products, (b, m) values and rows; fewer if there are no more."""
    n, d = key.shape
    steps = min(n, m)
    size, count = d * steps, min(m, d * steps)
    down = sign * queries > 0
    rows = np.stack([order[:steps].T, order[::-1][:steps].T])  # (2, d, steps): from the smallest up, from the largest
    ends = np.take_along_axis(key.T[None], rows, axis=2) * -size
    # Unique ranks: larger products first, then lower columns, then fewer steps.
    rank = np.where(down[:, :, None], ends[1], ends[0])
    rank *= (sign * queries)[:, :, None]
    rank = rank.reshape(len(queries), size)
    rank += np.arange(size)
    rank.partition(count - 1, axis=1)
    value, place = np.divmod(np.sort(rank[:, :count], axis=1), size)
    column, step = np.divmod(place, steps)
    side = np.take_along_axis(down, column, axis=1).astype(np.int64)
    return -value, rows[side, column, step]
