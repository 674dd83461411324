# SPDX-License-Identifier: Apache-2.0
"""What the A3 driver takes: every refusal is a sentence, before anything runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge_host.a3_format import A3Format
from vitforge_host.a3_slots import Loaded
from vitforge_host.errors import InputError
from vitforge_host.fixed_point import real_numbers


def iterations(value: int | None, format_: A3Format) -> int | None:
    """M as an int, or None."""
    if value is None:
        return None
    if not format_.approximate:
        raise InputError(f"m is {value!r}, but this overlay has no candidate selection; leave m at None")
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= format_.m_max:
        raise InputError(
            f"m is {value!r}; it must be a whole number from 1 to {format_.m_max}, or None to take all rows"
        )
    return int(value)


def threshold(value: float | None) -> float | None:
    """T in percent as a float, or None."""
    if value is None:
        return None
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not is_number or not 0 < value <= 100:
        raise InputError(f"t is {value!r}; it must lie in (0, 100] percent, or be None to keep all rows")
    return float(value)


def keys_and_values(keys: ArrayLike, values: ArrayLike, format_: A3Format) -> tuple[NDArray, NDArray]:
    """Both as arrays of finite numbers whose sizes belong together and fit the overlay."""
    keys, values = real_numbers(keys, "keys"), real_numbers(values, "values")
    if keys.ndim not in (2, 3) or values.ndim != keys.ndim:
        raise InputError(
            f"keys are {keys.shape} and values {values.shape}; expected (n, d) and (n, columns), or with heads "
            "(heads, n, d) and (heads, n, columns)"
        )
    if keys.shape[:-1] != values.shape[:-1]:
        raise InputError(f"keys are {keys.shape} and values {values.shape}; all but the last number must be the same")
    if keys.ndim == 3 and len(keys) != format_.units:
        raise InputError(
            f"keys are {keys.shape}, which is {len(keys)} heads; this overlay holds one in each of its units, "
            f"so exactly {format_.units}"
        )
    sizes = {"n": (keys.shape[-2], format_.n_max), "d": (max(keys.shape[-1], values.shape[-1]), format_.d_max)}
    if min(*keys.shape[-2:], values.shape[-1]) < 1:
        raise InputError(f"keys are {keys.shape} and values {values.shape}; there must be at least one row and column")
    for name, (size, most) in sizes.items():
        if size > most:
            raise InputError(
                f"keys are {keys.shape} and values {values.shape}; {name} is {size}, and the overlay "
                f"was built for at most {most}"
            )
    return keys, values


def queries(array: ArrayLike, loaded: Loaded) -> NDArray:
    """Finite numbers in the shape that the loaded keys take."""
    return _shaped(real_numbers(array, "queries"), loaded)


def query_codes(array: ArrayLike, loaded: Loaded, format_: A3Format) -> NDArray[np.integer]:
    """Integers within the number format, in the shape that the loaded keys take."""
    codes = np.asarray(array)
    if codes.dtype.kind not in "iu":
        raise InputError(f"query codes are of type {codes.dtype}; they must be integers, queries() takes real numbers")
    shaped = _shaped(codes, loaded)
    if max(int(shaped.max()), -int(shaped.min())) > format_.limit:
        raise InputError(f"query codes reach from {shaped.min()} to {shaped.max()}; the overlay takes ±{format_.limit}")
    return shaped


def _shaped(array: NDArray, loaded: Loaded) -> NDArray:
    expected = loaded.query_shape
    if array.shape[1:] != expected or array.ndim != len(expected) + 1:
        words = ", ".join(map(str, expected))
        raise InputError(f"queries are {array.shape}; expected (N, {words}), as the keys are loaded")
    if not len(array):
        raise InputError(f"queries are {array.shape}, which is none; give at least one")
    return array
