# SPDX-License-Identifier: Apache-2.0
"""Multi-head attention: scores, softmax weights, and the context with its division deferred to the output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.arith import (
    INT8_LIMIT,
    INT16_LIMIT,
    Float64,
    Int64,
    context_reciprocal,
    exact_matmul,
    requantize,
    requantize_float,
)
from vitforge.golden.softmax import WEIGHT_LIMIT, softmax_weights, softmax_weights_float
from vitforge.quantize.model import QuantBlock

Observe = Callable[[str, NDArray], None]


def split_heads(x: NDArray, num_heads: int) -> NDArray:
    """(n, N, H * head_dim) -> (n, H, N, head_dim)."""
    images, tokens, width = x.shape
    return x.reshape(images, tokens, num_heads, width // num_heads).transpose(0, 2, 1, 3)


def merge_heads(x: NDArray) -> NDArray:
    """(n, H, N, head_dim) -> (n, N, H * head_dim)."""
    images, heads, tokens, head_dim = x.shape
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(images, tokens, heads * head_dim)


def attention_scores(q: NDArray[np.int8], k: NDArray[np.int8], mult: int, shift: int) -> NDArray[np.int16]:
    """``clamp(requantize(q . k, mult, shift), +-32767)`` in units of 1/256; 1/sqrt(head_dim) is part of mult.

    q, k : (..., N, head_dim) int8. Returns (..., N queries, N keys).
    """
    bound = q.shape[-1] * 128 * 128
    scores = requantize(exact_matmul(q, np.swapaxes(k, -1, -2), bound), mult, shift)
    return np.clip(scores, -INT16_LIMIT, INT16_LIMIT, out=scores).astype(np.int16)


def attention_scores_float(q: NDArray, k: NDArray, mult: int, shift: int) -> Float64:
    """q . k * mult / 2**shift in the reals: saturates, never rounds."""
    products = np.asarray(q, dtype=np.float64) @ np.swapaxes(np.asarray(k, dtype=np.float64), -1, -2)
    return np.clip(requantize_float(products, mult, shift), -INT16_LIMIT, INT16_LIMIT)


def context(
    weights: NDArray[np.uint8], total: Int64, v: NDArray[np.int8], context_mult: int, context_shift: int
) -> NDArray[np.int8]:
    """``clamp((sum(p * v) * mq + (1 << (rq - 1))) >> rq, +-127)``, (mq, rq) the reciprocal of the row's weight sum.

    weights : (..., N queries, N keys); total : (..., N queries); v : (..., N keys, head_dim) int8
    """
    mult, shift = context_reciprocal(context_mult, context_shift, total)
    sums = exact_matmul(weights, v, v.shape[-2] * WEIGHT_LIMIT * 128)
    scaled = requantize(sums, mult[..., np.newaxis], shift[..., np.newaxis])
    return np.clip(scaled, -INT8_LIMIT, INT8_LIMIT, out=scaled).astype(np.int8)


def context_float(weights: NDArray, v: NDArray, context_mult: int, context_shift: int) -> Float64:
    """rho * (weights @ v) for weights that sum to one: saturates, never rounds."""
    mixed = np.asarray(weights, dtype=np.float64) @ np.asarray(v, dtype=np.float64)
    return np.clip(requantize_float(mixed, context_mult, context_shift), -INT8_LIMIT, INT8_LIMIT)


def attention(
    q: NDArray[np.int8],
    k: NDArray[np.int8],
    v: NDArray[np.int8],
    block: QuantBlock,
    num_heads: int,
    observe: Observe | None = None,
) -> NDArray[np.int8]:
    """Context of all heads: scores, softmax weights, weighted sum of v with one reciprocal per (query, head).

    q, k, v : (n, N, H * head_dim) int8, head-major. ``observe`` is given "score" (n, H, N, N).
    """
    q, k, v = (split_heads(x, num_heads) for x in (q, k, v))
    scores = attention_scores(q, k, block.score_mult, block.score_shift)
    if observe is not None:
        observe("score", scores)
    weights, total = softmax_weights(scores)
    return merge_heads(context(weights, total, v, block.context_mult, block.context_shift))


def attention_float(q: NDArray, k: NDArray, v: NDArray, block: QuantBlock, num_heads: int) -> Float64:
    """The same attention in the reals, in units of the int8 context."""
    q, k, v = (split_heads(np.asarray(x, dtype=np.float64), num_heads) for x in (q, k, v))
    weights = softmax_weights_float(attention_scores_float(q, k, block.score_mult, block.score_shift))
    return merge_heads(context_float(weights, v, block.context_mult, block.context_shift))
