# SPDX-License-Identifier: Apache-2.0
"""Real numbers to codes and back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitforge_host import InputError
from vitforge_host.fixed_point import decode, encode

FORMATS = st.tuples(st.integers(1, 7), st.integers(2, 8))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20), FORMATS)
def test_codes_are_rounded_half_up_and_clipped_symmetrically(values: list[float], form: tuple[int, int]) -> None:
    i, f = form
    codes, saturated = encode(values, i, f)
    limit = 2 ** (i + f) - 1
    exact = [(Fraction(value) * 2**f + Fraction(1, 2)).__floor__() for value in values]
    assert codes.dtype == np.int16
    assert codes.tolist() == [max(-limit, min(limit, code)) for code in exact]
    assert saturated == sum(abs(code) > limit for code in exact)
    again, none = encode(decode(codes, f), i, f)
    assert (again == codes).all() and none == 0


def test_halves_go_up_and_the_last_code_is_no_saturation() -> None:
    codes, saturated = encode([[0.5 / 16, -0.5 / 16, 1.5 / 16], [-1.5 / 16, 15.96, -15.97]], 4, 4)
    assert codes.tolist() == [[1, 0, 2], [-1, 255, -255]] and saturated == 1
    assert decode(codes[1, 1:], 4).tolist() == [15.9375, -15.9375]


def test_integers_of_any_type_are_numbers_too() -> None:
    for dtype in (np.int8, np.uint64, np.float16, np.float32):
        codes, saturated = encode(np.array([0, 3, 100], dtype), 4, 4)
        assert codes.tolist() == [0, 48, 255] and saturated == 1


def test_what_is_no_finite_number_is_named() -> None:
    with pytest.raises(InputError, match=r"^keys have 2 of 4 elements that are no finite number, first at \(0, 1\)$"):
        encode([[0.0, np.inf], [np.nan, 1.0]], 4, 4, "keys")
    for values in (["a"], [None], [1j], [True]):
        with pytest.raises(InputError, match="values are of type .*; they must be real numbers"):
            encode(values, 4, 4)
