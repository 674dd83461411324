# SPDX-License-Identifier: Apache-2.0
"""One attention head through the integer model of the A3 kernel: settings, what is measured, cycles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.boards import load_board
from vitforge.design.a3 import LANES, A3Design
from vitforge.design.a3_numbers import A3Numbers
from vitforge.golden.a3 import Attention, attend, select_batch
from vitforge.model.float_vit import softmax
from vitforge.timing.a3_estimate import a3_cycles
from vitforge_host.fixed_point import decode, encode

TOP = 5  # rows that matter most to a query, as the paper counts them for BERT


@dataclass(frozen=True, kw_only=True)
class Setting:
    """share : of the rows, the iterations of candidate selection; None takes all rows
    t : threshold of post-scoring in percent; None keeps all candidates
    centred : whether the host subtracts the mean row from the key. Every dot product of a query then changes by the
        same amount, which softmax ignores, but selection does not: it goes by the sign
    """

    share: Fraction | None = None
    t: float | None = None
    centred: bool = False
    numbers: A3Numbers = field(default_factory=A3Numbers)

    def iterations(self, n: int) -> int | None:
        """M for a key of n rows."""
        return None if self.share is None else max(1, math.floor(self.share * n))

    def encode(self, query: NDArray, key: NDArray, value: NDArray) -> list[tuple[NDArray[np.int64], int]]:
        """(codes, saturated elements) of each."""
        parts = {"queries": query, "keys": key - key.mean(axis=0) if self.centred else key, "values": value}
        bits = self.numbers.integer_bits, self.numbers.fraction_bits
        coded = (encode(part, *bits, name) for name, part in parts.items())
        return [(codes.astype(np.int64), saturated) for codes, saturated in coded]  # products need more than int16

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        numbers = self.numbers
        return {
            "m": None if self.share is None else f"{self.share} n",
            "t": self.t,
            "centred_keys": self.centred,
            "integer_bits": numbers.integer_bits,
            "fraction_bits": numbers.fraction_bits,
            "normalisation": numbers.policy,
        }


SETTINGS = {
    "exact": Setting(),
    "conservative": Setting(share=Fraction(1, 2), t=5),
    "aggressive": Setting(share=Fraction(1, 8), t=10),
    "conservative_centred": Setting(share=Fraction(1, 2), t=5, centred=True),
    "aggressive_centred": Setting(share=Fraction(1, 8), t=10, centred=True),
    "selection_only": Setting(share=Fraction(1, 2)),
    "post_scoring_only": Setting(t=5),
    "exact_divide_first": Setting(numbers=A3Numbers(policy="divide_first")),
    "exact_i3f5": Setting(numbers=A3Numbers(integer_bits=3, fraction_bits=5)),
}


@dataclass(frozen=True, kw_only=True)
class HeadFigures:
    """One head on one passage, whose tokens are the queries.

    error : ||out - reference|| / ||reference|| over all queries
    candidates, kept : of the rows, mean over the queries
    weight_kept : of the float attention weights, what falls on rows that are kept
    top5_kept : of the 5 largest float weights of a query
    cycles, exact_cycles : of all queries in a unit, and of the same without approximation
    saturated : of the elements of queries, keys and values together
    """

    queries: int
    error: float
    candidates: float
    kept: float
    weight_kept: float
    top5_kept: float
    cycles: int
    exact_cycles: int
    saturated: float


def attention_by_a3(setting: Setting, layer: int, queries: NDArray, keys: NDArray, values: NDArray) -> NDArray:
    """All heads of a layer: queries, keys, values (heads, n, d) -> context (heads, n, d), float64."""
    heads = zip(queries, keys, values, strict=True)
    codes = ([codes for codes, _ in setting.encode(*head)] for head in heads)
    return np.stack([decode(_attend(setting, *head).result, setting.numbers.result_fraction) for head in codes])


def _attend(setting: Setting, query: NDArray, key: NDArray, value: NDArray) -> Attention:
    """Of codes."""
    n, d = key.shape
    scale, m = 1 / math.sqrt(d), setting.iterations(n)
    return attend(key, value, query, numbers=setting.numbers, scale=scale, m=m, t=setting.t)


def effective_rows(query: NDArray, key: NDArray) -> float:
    """exp(entropy) of the float attention weights, of the n rows, mean over the queries: 1 if attention is flat."""
    weights = softmax((query @ key.T) / math.sqrt(key.shape[1]))
    entropy = -(weights * np.log(np.maximum(weights, np.finfo(weights.dtype).tiny))).sum(axis=1)
    return float(np.exp(entropy).mean() / len(key))


def measure_head(
    settings: Mapping[str, Setting], query: NDArray, key: NDArray, value: NDArray
) -> dict[str, HeadFigures]:
    """query, key, value (n, d) of the float model -> figures by the name of a setting."""
    weights = softmax((query @ key.T) / math.sqrt(key.shape[1]))
    selections: dict[Any, NDArray[np.bool_]] = {}  # settings that differ in other things select alike
    return {name: _figures(setting, query, key, value, weights, selections) for name, setting in settings.items()}


def _figures(
    setting: Setting, query: NDArray, key: NDArray, value: NDArray, weights: NDArray, selections: dict[Any, NDArray]
) -> HeadFigures:
    (n, d), m = key.shape, setting.iterations(len(key))
    (query_codes, _), (key_codes, _), (value_codes, _) = parts = setting.encode(query, key, value)
    found = _attend(setting, query_codes, key_codes, value_codes)
    which = (m, setting.centred, setting.numbers)
    if which not in selections:
        selections[which] = np.ones((n, n), bool) if m is None else select_batch(key_codes, query_codes, m)
    chosen = selections[which]
    # A kept row scores at least t percent of the largest score, which does not round to 0.
    kept = chosen if setting.t is None else found.scores > 0
    top = np.argpartition(-weights, min(TOP, n) - 1, axis=1)[:, :TOP]
    expected = weights @ value
    error = decode(found.result, setting.numbers.result_fraction) - expected
    return HeadFigures(
        queries=n,
        error=float(np.linalg.norm(error) / np.linalg.norm(expected)),
        candidates=float(found.candidates.mean() / n),
        kept=float(found.kept.mean() / n),
        weight_kept=float((weights * kept).sum(axis=1).mean()),
        top5_kept=float(np.take_along_axis(kept, top, axis=1).mean()),
        cycles=cycles(d, m, chosen, found.kept),
        exact_cycles=cycles(d, None, np.ones((n, n), bool), np.full(n, n)),
        saturated=sum(count for _, count in parts) / (3 * key.size),
    )


def cycles(d: int, m: int | None, chosen: NDArray[np.bool_], kept: NDArray[np.int64]) -> int:
    """Of a unit in steady state for all queries, by the closed form; keys are loaded and sorted.

    chosen : (queries, n) rows that selection left; kept : (queries,) how many post-scoring left of them

    A unit selects for two queries at a time, of which the mean counts; an odd last one takes as long as two.
    """
    n, starts = chosen.shape[1], np.arange(0, len(chosen), LANES)
    counts = np.stack([chosen.sum(axis=1), kept])
    means = np.add.reduceat(counts, starts, axis=1) / np.diff(np.append(starts, len(chosen)))
    return sum(_interval(n, d, m, c, k) for c, k in means.T.tolist())


@cache
def _design() -> A3Design:
    """Of the default size, whose row of 64 elements takes a cycle, as a shorter one does."""
    return A3Design(name="minilm", board=load_board("zcu104"), clock_mhz=300)


@cache
def _interval(n: int, d: int, m: int | None, candidates: float, kept: float) -> int:
    """Cycles from one pair to the next."""
    return a3_cycles(_design(), n, d, m, candidates, kept).interval
