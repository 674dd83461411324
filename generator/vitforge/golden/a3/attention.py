# SPDX-License-Identifier: Apache-2.0
"""The A3 pipeline on integers: dot product, exponent, output (section III), and the same on candidates alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge.design.a3_numbers import A3Numbers
from vitforge.golden.a3.select import select_batch
from vitforge.golden.arith import Float64, Int64, context_reciprocal, exact_matmul, requantize
from vitforge_host.a3_scale import scale_registers, threshold_register

RECIPROCAL_ONE = 1 << 15  # numerator of the deferred division, before it is shifted by the length of the sum


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What a batch of b queries gives.

    result : (b, d) codes with ``numbers.result_fraction`` fraction bits
    scores : (b, n) exponents in [0, score_limit], 0 where a row was not kept
    candidates, kept : (b,) rows that greedy selection, and then post-scoring, left
    """

    result: Int64
    scores: Int64
    candidates: Int64
    kept: Int64


def attend(
    keys: NDArray,
    values: NDArray,
    queries: NDArray,
    *,
    numbers: A3Numbers,
    scale: float = 1.0,
    m: int | None = None,
    t: float | None = None,
) -> Attention:
    """Attention of queries (b, d) over keys and values (n, d), all integer codes of ``numbers``.

    scale : of the dot product, applied to its distance from the maximum; 1 / sqrt(d) in a transformer
    m : iterations of candidate selection; None takes all rows
    t : threshold of post-scoring in percent; None keeps all candidates

    Formulas: dot = query . key; raw = max(dot of candidates) - dot; kept if raw <= `threshold_register`;
    u = (raw * mult + half) >> shift; score = `exponent` of u; sum = sum of scores. Then
    deferred: (sum(score * value) * mq + half) >> (rq - result_shift), (mq, rq) = `context_reciprocal` of sum;
    divide_first: sum(weight * value) with weight = min((score << score_bits) // sum, score_limit).
    Raises InputError for a scale or t out of range.
    """
    keys, values, queries = (np.asarray(x, np.int64) for x in (keys, values, queries))
    registers = scale_registers(scale)
    threshold = threshold_register(t, registers, numbers.fraction_bits)
    bound = numbers.limit**2 * keys.shape[1]
    dot = exact_matmul(queries, keys.T, bound)
    chosen = np.ones(dot.shape, bool) if m is None else select_batch(keys, queries, m)
    raw = np.where(chosen, dot, -bound).max(axis=1, keepdims=True) - dot
    kept = chosen & (raw <= threshold)
    scores = np.where(kept, exponent(requantize(np.where(kept, raw, 0), *registers), numbers), 0)
    return Attention(
        result=output(scores, values, numbers), scores=scores, candidates=chosen.sum(axis=1), kept=kept.sum(axis=1)
    )


def exponent(u: ArrayLike, numbers: A3Numbers) -> Int64:
    """Score of the scaled distance u >= 0 [2f fraction bits]: 0 if u >= exp_range, else
    ``min(score_limit, (high[u / low entries] * low[u % low entries] + half) >> exp_shift)``.

    Within 1 of 2**score_bits * exp(-u / 2**score_bits) rounded to nearest and saturated.
    """
    u = np.asarray(u, np.int64)
    high, low = (np.array(table, np.int64) for table in numbers.exp_tables)
    index = np.minimum(u, numbers.exp_range - 1)
    product = high[index // numbers.exp_low_entries] * low[index % numbers.exp_low_entries]
    score = np.minimum((product + (1 << (numbers.exp_shift - 1))) >> numbers.exp_shift, numbers.score_limit)
    return np.where(u >= numbers.exp_range, 0, score)


def output(scores: Int64, values: Int64, numbers: A3Numbers) -> Int64:
    """scores (b, n), values (n, d) -> results (b, d), by the policy of ``numbers``."""
    total = scores.sum(axis=1, keepdims=True)
    bound = numbers.score_limit * numbers.limit * len(values)
    if numbers.is_deferred:
        mult, shift = context_reciprocal(RECIPROCAL_ONE, 15, total)
        return requantize(exact_matmul(scores, values, bound), mult, shift - numbers.result_shift)
    weights = np.minimum((scores << numbers.score_bits) // total, numbers.score_limit)
    return exact_matmul(weights, values, bound)


def attend_float(keys: ArrayLike, values: ArrayLike, queries: ArrayLike, scale: float = 1.0) -> Float64:
    """softmax(scale * queries keys^T) values in the reals: what `attend` approximates."""
    keys, values, queries = (np.asarray(x, np.float64) for x in (keys, values, queries))
    dot = scale * (queries @ keys.T)
    weights = np.exp(dot - dot.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)) @ values
