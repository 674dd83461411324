# SPDX-License-Identifier: Apache-2.0
"""Attention: against plain integers, against float within a derived bound, and at its extremes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitforge.golden.arith import dyadic
from vitforge.golden.attention import (
    attention,
    attention_float,
    attention_scores,
    attention_scores_float,
    context,
    merge_heads,
    split_heads,
)
from vitforge.golden.random_model import random_quant_model
from vitforge.golden.softmax import softmax_weights
from vitforge.model.vit import ViTShape
from vitforge.quantize.model import QuantBlock

UNIT_RHO = (1 << 15, 15)  # context at the scale of v


def block_of(rng: np.random.Generator, width: int, heads: int) -> QuantBlock:
    shape = ViTShape(
        image_size=(8, 8), channels=1, patch_size=4, embed_dim=width, depth=1, num_heads=heads, hidden_dim=8,
        num_classes=2,
    )  # fmt: skip
    return random_quant_model(rng, shape).blocks[0]


def operands(rng: np.random.Generator, *shape: int) -> list[np.ndarray]:
    return [np.clip(rng.normal(0, 40, shape), -127, 127).astype(np.int8) for _ in range(3)]


@pytest.mark.parametrize(("images", "tokens", "heads", "head_dim"), [(2, 5, 1, 3), (1, 17, 3, 8), (2, 50, 4, 16)])
def test_attention_equals_python_integers(images, tokens, heads, head_dim):
    rng = np.random.default_rng(tokens)
    block = block_of(rng, heads * head_dim, heads)
    q, k, v = operands(rng, images, tokens, heads * head_dim)
    seen = {}
    got = attention(q, k, v, block, heads, seen.__setitem__)
    assert got.dtype == np.int8
    assert seen["score"].shape == (images, heads, tokens, tokens)
    for n, h, i in np.ndindex(images, heads, tokens):
        lanes = slice(h * head_dim, (h + 1) * head_dim)
        scores = []
        for j in range(tokens):
            dot = sum(int(a) * int(b) for a, b in zip(q[n, i, lanes], k[n, j, lanes], strict=True))
            score = (dot * block.score_mult + (1 << (block.score_shift - 1))) >> block.score_shift
            scores.append(max(-32767, min(32767, score)))
        assert seen["score"][n, h, i].tolist() == scores
        weights, total = softmax_weights(np.array(scores, dtype=np.int16))
        total = int(total)
        length = total.bit_length()
        mult, shift = (block.context_mult << length) // total, block.context_shift + length
        for c in range(head_dim):
            mixed = sum(int(p) * int(x) for p, x in zip(weights, v[n, :, lanes][:, c], strict=True))
            expected = (mixed * mult + (1 << (shift - 1))) >> shift
            assert int(got[n, i, h * head_dim + c]) == max(-127, min(127, expected))


@pytest.mark.parametrize("spread", [10, 40, 100])
@pytest.mark.parametrize(("tokens", "head_dim"), [(3, 5), (50, 16), (197, 64)])
def test_attention_against_float(tokens, head_dim, spread):
    """|context - real| <= 1/2 + rho * 254 * sum|p - w| / S + 127 * 2**-15, w the real weights in units of 1/128.

    The average of v moves by at most its range (254) times the weight that is misplaced; the reciprocal is short by
    less than 2**-15 of a context that saturates at 127.
    """
    rng = np.random.default_rng(spread)
    block = block_of(rng, head_dim, 1)
    q, k, v = (np.clip(rng.normal(0, spread, (4, tokens, head_dim)), -127, 127).astype(np.int8) for _ in range(3))
    scores = attention_scores(q, k, block.score_mult, block.score_shift)
    real = attention_scores_float(q, k, block.score_mult, block.score_shift)
    assert np.abs(scores - real).max() <= 0.5
    weights, total = softmax_weights(scores)
    exact = 128 * np.exp((real - scores.max(axis=-1, keepdims=True)) / 256)
    misplaced = np.abs(weights - exact).sum(axis=-1) / total
    rho = block.context_mult / (1 << block.context_shift)
    bound = 0.5 + rho * 254 * misplaced + rho * 127 * 2.0**-15
    error = np.abs(attention(q, k, v, block, 1) - attention_float(q, k, v, block, 1))
    assert np.all(error <= bound[..., None])
    assert error.mean() < 0.5, "mean error of a context code"


@settings(deadline=None, max_examples=100)
@given(st.integers(-127, 127), st.integers(1, 300), st.integers(0, 3000), st.integers(0, 1 << 30))
def test_weights_sum_to_one_after_the_division(value, keys, spread, seed):
    """Where all keys hold the same v, the context is that v, however flat or peaked the row is."""
    scores = np.clip(np.random.default_rng(seed).normal(0, spread, (4, keys)), -32767, 32767).astype(np.int16)
    weights, total = softmax_weights(scores)
    v = np.full((keys, 3), value, dtype=np.int8)
    assert np.all(np.abs(context(weights, total, v, *UNIT_RHO).astype(int) - value) <= 1)


@pytest.mark.parametrize("keys", [1, 50, 197, 1040, 1100])
@pytest.mark.parametrize("value", [-127, 127])
def test_context_of_extremes(keys, value):
    """The largest sums there are: full weights on values of one sign, saturated where rho is large."""
    weights, total = softmax_weights(np.zeros((2, keys), dtype=np.int16))
    v = np.full((keys, 2), value, dtype=np.int8)
    assert np.all(np.abs(context(weights, total, v, *UNIT_RHO).astype(int) - value) <= 1)
    assert np.all(context(weights, total, v, (1 << 16) - 1, 10) == value)
    assert np.all(context(weights, total, np.zeros_like(v), *UNIT_RHO) == 0)


def test_scores_saturate_symmetrically():
    q = np.array([[127] * 64, [-127] * 64], dtype=np.int8)
    scores = attention_scores(q, q, (1 << 16) - 1, 16)
    assert scores.tolist() == [[32767, -32767], [-32767, 32767]]


def test_a_peaked_row_copies_its_key():
    """A query that matches one key alone reads that key's value."""
    rng = np.random.default_rng(10)
    mult, shift = dyadic(8.0)
    keys = (np.eye(32) * 127).astype(np.int8)
    v = rng.integers(-127, 128, (32, 32)).astype(np.int8)
    weights, total = softmax_weights(attention_scores(keys, keys, mult, shift))
    assert np.array_equal(context(weights, total, v, *UNIT_RHO), v)


def test_heads_do_not_mix():
    rng = np.random.default_rng(11)
    block = block_of(rng, 24, 3)
    q, k, v = operands(rng, 2, 9, 24)
    whole = attention(q, k, v, block, 3)
    for h in range(3):
        lanes = slice(8 * h, 8 * h + 8)
        assert np.array_equal(whole[..., lanes], attention(q[..., lanes], k[..., lanes], v[..., lanes], block, 1))
    assert np.array_equal(merge_heads(split_heads(q, 3)), q)
