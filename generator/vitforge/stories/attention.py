# SPDX-License-Identifier: Apache-2.0
"""The A3 kernel's integers as the attention of a memory network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vitforge.design.a3_numbers import A3Numbers
from vitforge.golden.a3 import Attention, attend
from vitforge.golden.arith import Int64
from vitforge.stories.network import Float64, attention_weights
from vitforge_host.fixed_point import decode, encode

SETTINGS: dict[str, tuple[float | None, float | None]] = {  # M as a share of the rows, T in percent; as in the paper
    "exact": (None, None),
    "conservative": (0.5, 5.0),
    "aggressive": (0.125, 10.0),
}


def iterations(n: int, fraction: float) -> int:
    """M for n statements: ``fraction`` of n rounded down, at least 1."""
    return max(1, int(n * fraction))


@dataclass
class GoldenAttention:
    """To be called as ``attention`` of `MemoryNetwork.answer`: encodes, runs the golden model, decodes.

    m_fraction : iterations of candidate selection by the number of statements; None takes all statements
    t : threshold of post-scoring in percent; None keeps all candidates
    calls : what each call found, in order; a hop is a call
    weights_kept : of each call, (b,): exact softmax weight of the rows that have a score, 1 where none is lost
    saturated : elements so far that were out of the range of a code
    """

    m_fraction: float | None = None
    t: float | None = None
    numbers: A3Numbers = field(default_factory=A3Numbers)
    calls: list[Attention] = field(default_factory=list)
    weights_kept: list[Float64] = field(default_factory=list)
    saturated: int = 0

    def __call__(self, keys: Float64, values: Float64, queries: Float64) -> Float64:
        """keys, values (n, d), queries (b, d) -> (b, d)"""
        key, value, query = (self._encode(part) for part in (keys, values, queries))
        m = None if self.m_fraction is None else iterations(len(keys), self.m_fraction)
        found = attend(key, value, query, numbers=self.numbers, m=m, t=self.t)
        exact = attention_weights(*(decode(part, self.numbers.fraction_bits) for part in (key, query)))
        self.calls.append(found)
        self.weights_kept.append(np.where(found.scores > 0, exact, 0).sum(axis=1))
        return decode(found.result, self.numbers.result_fraction)

    def _encode(self, part: Float64) -> Int64:
        codes, saturated = encode(part, self.numbers.integer_bits, self.numbers.fraction_bits)
        self.saturated += saturated
        return codes.astype(np.int64)
