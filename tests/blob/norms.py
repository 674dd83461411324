# SPDX-License-Identifier: Apache-2.0
"""The layer-norm units of the interpreter: exact integers, one token after the other."""

from __future__ import annotations

import math
import struct

import numpy as np

from blob.streams import END_OF_STEP, FEATURE, MARK, STORE, WHOLE_ENTRY, Array, Stream, Word, batched, halves
from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry

END, NORM, LOAD, FEATURES = range(4)


class NormUnit:
    """Layer norm, and the patches of images; what it sends goes to the array behind it."""

    def __init__(self, name: str, design: Design, rng: np.random.Generator) -> None:
        self.design, self.rng = design, rng
        self.engine: EngineGeometry = design.nsa if name == "ln1" else design.nmp

    def step(self, stream: Stream, residual: Array) -> list[Word]:
        """Operations up to the end mark; returns what it sends."""
        self.residual = residual
        sent: list[Word] = []
        while True:
            words = stream.header()
            op = words[0] & 0xFF
            if op == END:
                return [*sent, Word(END_OF_STEP)]
            sent += self.load(words, stream) if op == LOAD else self.norm(words, stream)

    def place(self, words: list[int], token: int) -> tuple[int, int]:
        """(first entry, row) of a token."""
        (base, stride), row = halves(words[3]), words[7] + token
        return base + row // self.engine.tt * stride, row % self.engine.tt

    def load(self, words: list[int], stream: Stream) -> list[Word]:
        (tokens, k_tiles), tk = halves(words[1]), self.design.folding.tk
        sent = []
        for token in range(tokens):
            row = np.frombuffer(stream.take(k_tiles * tk), np.uint8).astype(np.int64)
            entry, place = self.place(words, token)
            parts = np.maximum(row - 128, -127).reshape(-1, tk)
            sent += [Word(STORE, entry + k, place, WHOLE_ENTRY, part) for k, part in enumerate(parts)]
        return [*sent, Word(MARK)]

    def norm(self, words: list[int], stream: Stream) -> list[Word]:
        f, d = self.design.folding, self.design
        (tokens, channels), base = halves(words[1]), words[2]
        shift, eps = words[4], words[5] | words[6] << 32
        records = [struct.unpack("<hHi", part) for part in batched(stream.take(8 * d.channel_tiles * f.tc), 8)]
        gamma, flags, beta = (np.array(part, np.int64) for part in zip(*records, strict=True))
        assert not flags[channels:].any()
        rows = self.residual[base : base + -(-tokens // f.tr) * d.channel_tiles]
        if words[0] >> 8 & 1:
            table = [np.frombuffer(stream.take(2 * f.tc), "<i2") for _ in range(len(rows) * f.tr)]
            rows[:] = np.clip(rows + np.array(table).reshape(rows.shape), -32767, 32767)
        kept, sent = np.flatnonzero(flags & 1), []
        by_token = rows.reshape(-1, d.channel_tiles, f.tr, f.tc).transpose(0, 2, 1, 3)
        for token, row in enumerate(by_token.reshape(by_token.shape[0] * f.tr, -1)[:tokens]):
            values = normalized(row, gamma, beta, channels, shift, eps)[kept]
            kind = FEATURE if words[0] & 0xFF == FEATURES else STORE
            sent += self.words(kind, values, self.place(words, token))
        return sent

    def words(self, kind: int, values: Array, place: tuple[int, int]) -> list[Word]:
        """tc values a word; those beyond the last one are garbage."""
        f = self.design.folding
        sent = []
        for number in range(-(-len(values) // f.tc)):
            part = values[number * f.tc : (number + 1) * f.tc]
            group = number % (f.tk // f.tc)
            lanes = self.rng.integers(-127, 128, f.tk).astype(np.int64)
            lanes[group * f.tc : group * f.tc + len(part)] = part
            sent.append(Word(kind, place[0] + number // (f.tk // f.tc), place[1], group, lanes))
        return sent


def normalized(row: Array, gamma: Array, beta: Array, channels: int, shift: int, eps: int) -> Array:
    """Layer norm of one token in Python's integers."""
    x = [int(value) for value in row[:channels]]
    total = sum(x)
    std = max(1, math.isqrt(channels * sum(v * v for v in x) - total * total + eps))
    length = std.bit_length()
    inverse, right = ((1 << (length + 16)) - 1) // std, length + 6
    out = np.zeros(len(row), np.int64)
    for c, value in enumerate(x):
        yhat = ((channels * value - total) * inverse + (1 << (right - 1))) >> right
        affine = max(-32767, min(32767, yhat)) * int(gamma[c]) + int(beta[c])
        out[c] = max(-127, min(127, (affine + (1 << (shift - 1))) >> shift))
    return out
