# SPDX-License-Identifier: Apache-2.0
"""Packed MAC equals plain MAC: every operand triple, every sum a lane can hold, and the first depth that fails."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vitforge.golden.packed import (
    DSP48E1,
    DSP48E2,
    DSP58,
    FAMILIES,
    native_dot,
    pack_pair,
    packed_mac,
    plain_mac,
    split_sums,
)

INT8 = np.arange(-128, 128)
PACKED = [DSP48E2, DSP48E1]
ids = [family.name for family in PACKED]


def operand_pairs(family) -> tuple[np.ndarray, np.ndarray]:
    """All (a1, a0) of int8 that the family's port holds."""
    a1, a0 = (grid.ravel() for grid in np.meshgrid(INT8, INT8, indexing="ij"))
    fits = (a1 << family.shift) + a0 >= -(1 << (family.port_bits - 1))
    return a1[fits], a0[fits]


def test_only_the_e1_port_is_too_narrow_and_only_for_minus_128_above():
    assert len(operand_pairs(DSP48E2)[0]) == 1 << 16
    a1, a0 = operand_pairs(DSP48E1)
    assert len(a1) == (1 << 16) - 128
    assert np.all(a0[a1 == -128] >= 0)
    with pytest.raises(OverflowError, match="25"):
        pack_pair(DSP48E1, -128, -1)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_operand_triple_once_and_at_full_depth(family):
    a1, a0 = operand_pairs(family) if family.shift else operand_pairs(DSP48E2)
    for w in range(-127, 128):
        for depth in (1, family.depth):
            shape = (len(a1), depth)
            triples = [np.broadcast_to(x, shape) for x in (a1[:, None], a0[:, None], np.int64(w))]
            hi, lo = packed_mac(family, *triples)
            assert np.array_equal(hi, depth * a1 * w)
            assert np.array_equal(lo, depth * a0 * w)


@pytest.mark.parametrize("family", PACKED, ids=ids)
def test_weight_minus_128_is_exact_at_depth_one_but_refused(family):
    a1, a0 = operand_pairs(family)
    hi, lo = split_sums(family, (1 << (family.shift - 1)) + pack_pair(family, a1, a0) * -128)
    assert np.array_equal(hi, a1 * -128)
    assert np.array_equal(lo, a0 * -128)
    with pytest.raises(OverflowError, match="127"):
        packed_mac(family, [1], [1], [-128])


@pytest.mark.parametrize("family", PACKED, ids=ids)
def test_split_is_exact_for_every_lower_sum_a_lane_holds(family):
    half = 1 << (family.shift - 1)
    lower = np.arange(-half, half)
    reach = family.depth * 128 * 127
    for upper in (-reach, -1, 0, 1, reach):
        hi, lo = split_sums(family, half + (upper << family.shift) + lower)
        assert np.all(hi == upper)
        assert np.array_equal(lo, lower)


@pytest.mark.parametrize("family", PACKED, ids=ids)
def test_depth_limit_is_where_the_lower_lane_ends(family):
    half = 1 << (family.shift - 1)
    assert family.depth * 128 * 127 < half
    assert (family.depth + 1) * 128 * 127 >= half
    assert (family.depth + 1) * 127 * 127 >= half, "clipping -128 from the activations buys no depth"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_all_mixtures_of_extremes_at_full_depth(family):
    """A sum does not depend on the order of its products: all multisets of extreme triples are all cases."""
    low = -127 if family is DSP48E1 else -128
    corners = np.array([*itertools.product((low, 127), (-128, 127), (-127, 127)), (0, 0, 0)])
    chosen = np.array(list(itertools.combinations_with_replacement(range(len(corners)), family.depth)))
    a1, a0, w = np.moveaxis(corners[chosen], -1, 0)
    for got, expected in zip(packed_mac(family, a1, a0, w), plain_mac(a1, a0, w), strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("family", PACKED, ids=ids)
def test_one_product_deeper_fails(family):
    deeper = family.depth + 1
    a0 = np.full(deeper, -128)
    w = np.full(deeper, -127)
    total = (1 << (family.shift - 1)) + (pack_pair(family, np.zeros(deeper, dtype=int), a0) * w).sum()
    hi, lo = split_sums(family, total)
    assert (int(hi), int(lo)) != (0, int((a0 * w).sum()))
    with pytest.raises(OverflowError, match=f"{deeper} products"):
        packed_mac(family, a0, a0, w)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_random_cascades(family):
    rng = np.random.default_rng(3)
    for depth in range(1, family.depth + 1):
        a1, a0, w = rng.integers(-127, 128, (3, 20_000, depth))
        for got, expected in zip(packed_mac(family, a1, a0, w), plain_mac(a1, a0, w), strict=True):
            assert np.array_equal(got, expected)


def test_native_dot_refuses_wrong_operands():
    assert int(native_dot([-256, 255, 3], [-128, 127, 1])) == 256 * 128 + 255 * 127 + 3
    for a, w in (([256], [1]), ([1], [128]), ([1] * 4, [1] * 4)):
        with pytest.raises(OverflowError, match="DSP58"):
            native_dot(a, w)
    with pytest.raises(OverflowError, match="int8"):
        packed_mac(DSP58, [200], [0], [1])
