# SPDX-License-Identifier: Apache-2.0
"""Runs a blob by its chunk lists in plain numpy, as docs/architecture.md describes the hardware.

Independent of `vitforge.quantize` (which writes the streams), of the golden model and of the C++: it decodes the bytes,
keeps the memories in their physical layout, and starts with garbage in all of them, so that whatever is read without
having been written shows in the logits.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

import numpy as np

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry

Array = np.ndarray
END, LINEAR, SCORE, CONTEXT = range(4)
NORM, LOAD = 1, 2
SCRATCH, KEY, VALUE, BRANCH, LOGITS = range(5)


def requantize(acc: Array, mult: Array | int, shift: Array | int) -> Array:
    """(acc * mult + 2^(shift-1)) >> shift."""
    shift = np.asarray(shift, np.int64)
    return (acc * mult + (np.int64(1) << (shift - 1))) >> shift


def product(left: Array, right: Array) -> Array:
    """Integer left @ right, exact in float64."""
    return np.rint(left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)


class Stream:
    """What a fetcher pushes into its unit, as bytes with a cursor."""

    def __init__(self, chunks: Array, blob: bytes, images: bytes, beat: int) -> None:
        sources = (blob, images)
        parts = [sources[source][at * beat : (at + beats) * beat] for at, beats, source, _ in chunks.tolist()]
        assert all(len(part) == beats * beat for part, beats in zip(parts, chunks[:, 1].tolist(), strict=True))
        self.data, self.at, self.beat = b"".join(parts), 0, beat

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, and the padding of their last beat."""
        part = self.data[self.at : self.at + count]
        assert len(part) == count, "the stream ends inside a job"
        self.at += -(-count // self.beat) * self.beat
        return part

    def header(self) -> list[int]:
        return list(struct.unpack("<8I", self.take(32)))


def halves(word: int) -> tuple[int, int]:
    return word & 0xFFFF, word >> 16


class Memories:
    """All on-chip memories, in garbage. ``pair`` memories are written in one step and read in the next."""

    def __init__(self, design: Design, rng: np.random.Generator) -> None:
        def fill(limit: int, *shape: int) -> Array:
            return rng.integers(-limit, limit + 1, shape).astype(np.int64)

        f, d = design.folding, design
        self.xn = {
            unit: [fill(127, engine.xn_depth, engine.tt, f.tk) for _ in range(2)]
            for unit, engine in (("nsa", d.nsa), ("nmp", d.nmp))
        }
        self.scratch = {
            unit: fill(127, engine.scratch_depth, engine.tt, f.tk) for unit, engine in (("nsa", d.nsa), ("nmp", d.nmp))
        }
        depths = {"nsa": d.branch_nsa_depth, "nmp": d.branch_nmp_depth}
        self.branch = {unit: [fill(32767, n, f.td, f.tc) for _ in range(2)] for unit, n in depths.items()}
        self.residual = [fill(32767, d.residual_depth, f.td, f.tc) for _ in range(4)]
        self.key = fill(127, d.key_depth, d.key_banks, f.tk)
        self.value = fill(127, d.value_depth, d.value_banks, f.tc)
        self.weights = [fill(127, d.weights_depth, f.tt_nsa, f.tk) for _ in range(2)]
        self.reciprocal = [fill(127, 2, d.nsa.token_tiles * f.tt_nsa) for _ in range(2)]


class ArrayUnit:
    """A MAC array with its drain; on the attention side with softmax."""

    def __init__(self, name: str, design: Design, memories: Memories) -> None:
        self.name, self.design, self.memories = name, design, memories
        self.engine: EngineGeometry = getattr(design, name)
        self.logits: list[int] = []

    def step(self, stream: Stream, number: int) -> None:
        """Jobs up to the one that ends the step."""
        self.xn = self.memories.xn[self.name][(number + 1) % 2]  # what its layer norm wrote a step ago
        self.branch = self.memories.branch[self.name][number % 2]
        slot = 0
        while True:
            words = stream.header()
            op, last = words[0] & 0xFF, words[0] >> 24
            if op == END:
                slot += 1
                if last:
                    return
                continue
            run = {LINEAR: self.linear, SCORE: self.score, CONTEXT: self.context}[op]
            run(words, stream, slot)

    def left(self, memory: Array, base: int, stride: int, tiles: int, k_tiles: int) -> Array:
        """(tiles * tt, k_tiles * tk): the left operand of all tokens."""
        entries = base + np.arange(tiles)[:, None] * stride + np.arange(k_tiles)
        return memory[entries].transpose(0, 2, 1, 3).reshape(tiles * self.engine.tt, -1)

    def linear(self, words: list[int], stream: Stream, slot: int) -> None:
        f, beat = self.design.folding, stream.beat
        (k_tiles, columns), (tiles, _), (base, stride) = halves(words[1]), halves(words[2]), halves(words[3])
        gelu = np.frombuffer(stream.take(256), np.int8) if words[0] >> 16 & 1 else None
        source = self.memories.scratch[self.name] if words[0] >> 8 & 1 else self.xn
        left = self.left(source, base, stride, tiles, k_tiles)
        for _ in range(columns):
            dst, group, dst_stride, dst_base = struct.unpack("<4H", stream.take(beat)[:8])
            records = [struct.unpack("<iHBB", part) for part in batched(stream.take(8 * f.tc), 8)]
            bias, mult, shift, zero = (np.array(part, np.int64) for part in zip(*records, strict=True))
            assert not zero.any() and (mult >= 1 << 15).all()
            weight = np.frombuffer(stream.take(k_tiles * f.tc * f.tk), np.int8).reshape(k_tiles, f.tc, f.tk)
            assert weight.min() >= -127
            acc = product(left, weight.transpose(0, 2, 1).reshape(-1, f.tc)) + bias
            assert np.abs(acc).max() < 1 << 26
            self.drain(requantize(acc, mult, shift), dst, dst_base, dst_stride, group, gelu)

    def drain(self, values: Array, dst: int, base: int, stride: int, group: int, gelu: Array | None) -> None:
        """values (tokens, tc) to one of the five destinations."""
        f, memories = self.design.folding, self.memories
        token, lanes = np.arange(len(values)), slice(group * f.tc, (group + 1) * f.tc)
        small = np.clip(values, -127, 127)
        if gelu is not None:
            small = gelu[small + 128].astype(np.int64)
        if dst == SCRATCH:
            memories.scratch[self.name][base + token // self.engine.tt * stride, token % self.engine.tt, lanes] = small
        elif dst == KEY:
            banks = self.design.key_banks
            memories.key[base + token // banks * stride, token % banks, lanes] = small
        elif dst == VALUE:
            banks = self.design.value_banks
            memories.value[base + token // banks * stride, token % banks] = small
        elif dst == BRANCH:
            self.branch[base + token // f.td * stride, token % f.td] = np.clip(values, -32767, 32767)
        else:
            assert dst == LOGITS and self.name == "nsa"
            self.logits += values[0].tolist()

    def score(self, words: list[int], stream: Stream, slot: int) -> None:
        """All scores of a head, and the softmax of each row."""
        f, d = self.design.folding, self.design
        (k_tiles, columns), (tiles, seq_len), (base, stride) = halves(words[1]), halves(words[2]), halves(words[3])
        (mult, shift), (right_base, right_stride) = halves(words[4]), halves(words[5])
        left = self.left(self.memories.scratch[self.name], base, stride, tiles, k_tiles)
        keys = np.arange(columns * f.tc)
        entries = right_base + keys[:, None] // d.key_banks * right_stride + np.arange(k_tiles)
        right = self.memories.key[entries, keys[:, None] % d.key_banks].reshape(len(keys), -1)
        scores = np.clip(requantize(product(left, right.T), mult, shift), -32767, 32767)
        self.softmax(scores, seq_len, *halves(words[7]), slot)

    def softmax(self, scores: Array, seq_len: int, mult: int, shift: int, slot: int) -> None:
        f, tiles = self.design.folding, len(scores) // self.engine.tt
        u = scores[:, :seq_len].max(axis=1, keepdims=True) - scores
        high = [round(4096 * math.exp(-i / 8)) for i in range(64)]
        low = [round(4096 * math.exp(-j / 256)) for j in range(32)]
        inside = np.clip(u, 0, 2047)
        exponent = (np.array(high)[inside >> 5] * np.array(low)[inside & 31] + (1 << 16)) >> 17
        weight = np.where((u < 2048) & (np.arange(scores.shape[1]) < seq_len), np.minimum(exponent, 127), 0)
        words = weight.reshape(tiles, self.engine.tt, -1, f.tk).transpose(0, 2, 1, 3)
        self.memories.weights[slot % 2][:] = words.reshape(-1, self.engine.tt, f.tk)
        totals = [int(total) for total in weight.sum(axis=1)]
        inverse = [((mult << total.bit_length()) // total, shift + total.bit_length()) for total in totals]
        self.memories.reciprocal[slot % 2][:] = np.array(inverse).T

    def context(self, words: list[int], stream: Stream, slot: int) -> None:
        """score x V of a head, with what softmax wrote in the slot before."""
        f, d = self.design.folding, self.design
        (k_tiles, columns), (tiles, _) = halves(words[1]), halves(words[2])
        (right_base, right_stride), (dst_base, dst_stride) = halves(words[5]), halves(words[6])
        left = self.left(self.memories.weights[(slot + 1) % 2], 0, k_tiles, tiles, k_tiles)
        mult, shift = (part[:, None] for part in self.memories.reciprocal[(slot + 1) % 2])
        keys = np.arange(k_tiles * f.tk)
        for column in range(columns):
            entries = right_base + keys // d.value_banks * right_stride + column
            acc = product(left, self.memories.value[entries, keys % d.value_banks])
            groups = f.tk // f.tc
            at = dst_base + column // groups
            self.drain(requantize(acc, mult, shift), SCRATCH, at, dst_stride, column % groups, None)


class NormUnit:
    """Residual add and layer norm; the one before the MLP also loads images."""

    def __init__(self, name: str, design: Design, memories: Memories) -> None:
        self.name, self.design, self.memories = name, design, memories
        self.target, self.source = ("nsa", "nmp") if name == "ln1" else ("nmp", "nsa")

    def step(self, stream: Stream, number: int) -> None:
        """Operations up to the end mark."""
        self.residual = self.memories.residual[(number if self.name == "ln1" else number + 2) % 4]
        self.branch = self.memories.branch[self.source][(number + 1) % 2]
        self.xn = self.memories.xn[self.target][number % 2]
        while True:
            words = stream.header()
            op = words[0] & 0xFF
            if op == END:
                return
            (self.norm if op == NORM else self.load)(words, stream)

    def store(self, values: Array, base: int, stride: int) -> None:
        """values (tokens, channels) to the input memory of the array."""
        tt, tk = getattr(self.design, self.target).tt, self.design.folding.tk
        token, channel = np.arange(len(values))[:, None], np.arange(values.shape[1])
        self.xn[base + token // tt * stride + channel // tk, token % tt, channel % tk] = values

    def load(self, words: list[int], stream: Stream) -> None:
        (tokens, k_tiles), (base, stride) = halves(words[1]), halves(words[3])
        width = k_tiles * self.design.folding.tk
        rows = [np.frombuffer(stream.take(width), np.uint8) for _ in range(tokens)]
        self.store(np.maximum(np.array(rows).astype(np.int64) - 128, -127), base, stride)

    def words(self, tokens: Array, stride: int) -> tuple[Array, Array]:
        """(word, token in word) of each token, ``stride`` words a drain group."""
        td = self.design.folding.td
        return (tokens // td * stride)[:, None] + np.arange(self.design.channel_tiles), (tokens % td)[:, None]

    def norm(self, words: list[int], stream: Stream) -> None:
        f, d = self.design.folding, self.design
        (tokens, channels), (branch_base, branch_stride) = halves(words[1]), halves(words[2])
        (out_base, out_stride), shift, eps = halves(words[3]), words[4], words[5] | words[6] << 32
        records = [struct.unpack("<hHi", part) for part in batched(stream.take(8 * d.channel_tiles * f.tc), 8)]
        gamma, flags, beta = (np.array(part, np.int64) for part in zip(*records, strict=True))
        assert not flags[channels:].any()
        token = np.arange(-(-tokens // f.lt) * f.lt)
        word, place = self.words(token, d.channel_tiles)
        if words[0] >> 8 & 1:
            for group in range(len(token) // f.lt):
                for tile in range(d.channel_tiles):
                    table = np.frombuffer(stream.take(2 * f.lt * f.tc), "<i2").reshape(f.lt, f.tc)
                    rows = slice(group * f.lt, (group + 1) * f.lt)
                    self.residual[word[rows, tile], place[rows, 0]] = table
        x = self.residual[word, place].reshape(len(token), -1)
        branch_word, _ = self.words(token, branch_stride)
        kept = np.flatnonzero(flags & 2)
        branch = self.branch[branch_base + branch_word, place].reshape(len(token), -1)
        x[:, kept] = np.clip(x[:, kept] + branch[:, : len(kept)], -32767, 32767)
        self.residual[word, place] = x.reshape(len(token), d.channel_tiles, f.tc)
        emitted = np.flatnonzero(flags & 1)
        rows = [normalized(row, gamma, beta, channels, shift, eps)[emitted] for row in x[:tokens]]
        self.store(np.array(rows), out_base, out_stride)


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


def batched(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def run(design: Design, blob: bytes, images: bytes, lists: Mapping[str, Array], n_steps: int, seed: int = 0) -> Array:
    """Logits (images, logits_words) of a batch. Units of a step run in random order: they share nothing within it."""
    rng = np.random.default_rng(seed)
    memories = Memories(design, rng)
    units = {
        "ln1": NormUnit("ln1", design, memories),
        "nsa": ArrayUnit("nsa", design, memories),
        "ln2": NormUnit("ln2", design, memories),
        "nmp": ArrayUnit("nmp", design, memories),
    }
    streams = {unit: Stream(lists[unit][:-1], blob, images, design.beat_bytes) for unit in units}
    for number in range(n_steps):
        for unit in rng.permutation(list(units)):
            units[unit].step(streams[unit], number)
    for unit, stream in streams.items():
        assert stream.at == len(stream.data), f"{unit} has unread beats after the last step"
    return np.array(units["nsa"].logits).reshape(-1, design.logits_words)
