# SPDX-License-Identifier: Apache-2.0
"""Keys, values and queries of a user, checked before anything is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge.errors import ConfigError
from vitforge.golden.arith import Float64

Source = Path | str | ArrayLike
LEAST = 2  # queries of either part


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """keys, values (H, n, d) and queries (H, b, d), finite; ``has_heads`` is False if the user gave no axis H."""

    keys: Float64
    values: Float64
    queries: Float64
    has_heads: bool


def load_arrays(keys: Source, values: Source, queries: Source) -> Arrays:
    """Arrays or .npy files, (n, d) and (b, d), or (H, n, d) and (H, b, d) of H heads.

    Raises ConfigError if one is no array of finite numbers, or their shapes do not go together.
    """
    given = {"keys": keys, "values": values, "queries": queries}
    found = {name: _checked(_read(source, name), name) for name, source in given.items()}
    k, v, q = found.values()
    shapes = ", ".join(f"{name} {array.shape}" for name, array in found.items())
    if k.ndim not in (2, 3) or k.shape != v.shape or q.ndim != k.ndim or q.shape[-1] != k.shape[-1]:
        raise ConfigError(f"{shapes} do not go together; they must be (n, d), (n, d) and (b, d), or all by head")
    if k.ndim == 3 and len(q) != len(k):
        raise ConfigError(f"{shapes} are not of the same number of heads")
    by_head = [array if array.ndim == 3 else array[None] for array in (k, v, q)]
    return Arrays(keys=by_head[0], values=by_head[1], queries=by_head[2], has_heads=k.ndim == 3)


def split(count: int, held_out: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of ``count`` queries to search with, and those to hold out, each ascending.

    Raises ConfigError if ``held_out`` is no fraction, or leaves fewer than `LEAST` queries to either part.
    """
    if not 0 < held_out < 1:
        raise ConfigError(f"held_out is {held_out:g}; it must be a fraction of the queries, between 0 and 1")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; it must be at least 0")
    aside = round(count * held_out)
    if not LEAST <= aside <= count - LEAST:
        raise ConfigError(
            f"{count} queries with {held_out:g} of them held out leave {count - aside} to search with and {aside} "
            f"held out; each part needs at least {LEAST}"
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[aside:]), np.sort(order[:aside])


def _read(source: Source, name: str) -> NDArray:
    if not isinstance(source, (str, Path)):
        return np.asarray(source)
    try:
        content = np.load(source, allow_pickle=False)
    except OSError as error:
        raise ConfigError(f"{source} cannot be read ({error.strerror or error}); give a .npy file of {name}") from None
    except Exception as error:  # a damaged header raises what its parser happens to raise
        what = "holds Python objects" if "Object arrays" in str(error) else "is not a .npy file"
        raise ConfigError(f"{source} {what}; save {name} as numbers with numpy.save") from None
    if not isinstance(content, np.ndarray):
        content.close()
        raise ConfigError(f"{source} is an archive of arrays; save {name} alone, with numpy.save")
    return content


def _checked(array: NDArray, name: str) -> Float64:
    if array.dtype.kind not in "fiu":
        raise ConfigError(f"{name} are of type {array.dtype}; they must be real numbers")
    if not array.size:
        raise ConfigError(f"{name} {array.shape} are empty")
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise ConfigError(f"{name} have {bad:,} of {array.size:,} elements that are no finite number")
    return array.astype(np.float64)
