# SPDX-License-Identifier: Apache-2.0
"""Streams and memories of the interpreter: bytes with a cursor, and arrays of garbage in their physical layout."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from vitforge.design.design import Design

Array = np.ndarray
STORE, MARK, END_OF_STEP, FEATURE = range(4)
WHOLE_ENTRY = 255
BLOB, IMAGES, KEEP, RECALL = range(1, 5)


class Store:
    """Beats that stay on chip for a launch, and how many of the blob follow each: garbage before."""

    def __init__(self, entries: int, beat: int, rng: np.random.Generator) -> None:
        self.beat = beat
        self.entries = [(rng.bytes(beat), int(count)) for count in rng.integers(0, 4, entries)]

    def keep(self, data: bytes, first: int, count: int) -> None:
        """By turns a beat of counts, 16 bits each, and the beats that they belong to."""
        beats = iter(batched(data, self.beat))
        counts: list[int] = []
        for entry in range(first, first + count):
            if not counts:
                counts = np.frombuffer(next(beats), "<u2").tolist()
            self.entries[entry] = next(beats), counts.pop(0)
        assert next(beats, None) is None and not any(counts)

    def recall(self, data: bytes, first: int, count: int) -> bytes:
        found, at = [], 0
        for beat, words in self.entries[first : first + count]:
            found += [beat, data[at : at + words * self.beat]]
            at += words * self.beat
        assert at == len(data)
        return b"".join(found)


class Stream:
    """What a fetcher pushes into its unit, as bytes with a cursor."""

    def __init__(self, chunks: Array, blob: bytes, images: bytes, beat: int, store: Store) -> None:
        parts = []
        for at, beats, kind, place in chunks.tolist():
            source = images if kind == IMAGES else blob
            part = source[at * beat : (at + beats) * beat]
            assert len(part) == beats * beat
            if kind == KEEP:
                store.keep(part, place & 0xFFFF, place >> 16)
            else:
                parts.append(store.recall(part, place & 0xFFFF, place >> 16) if kind == RECALL else part)
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


def batched(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@dataclass(frozen=True)
class Word:
    """A word from a layer norm to the array behind it: what it is, where it goes, tk values."""

    kind: int
    entry: int = 0
    row: int = 0
    group: int = 0
    lanes: Array | None = None


class WeightBuffer:
    """Two column tiles of weights, one working while the other fills; what a job brings for the next one stays."""

    def __init__(self, design: Design, max_k_tiles: int, rng: np.random.Generator) -> None:
        f = design.folding
        self.f, self.max_k_tiles = f, max_k_tiles
        self.words = rng.integers(-127, 128, (2, 2 * max_k_tiles, f.tc, f.tk)).astype(np.int64)
        self.targets = rng.integers(0, 5, (2, 4)).tolist()
        self.params = rng.integers(1 << 15, 1 << 16, (2, 3, f.tc)).astype(np.int64)
        self.channels = rng.integers(0, 5, (2, 3, f.tc))  # word, lane and pass of each column

    def load(self, stream: Stream, half: int, steps: int, sparse: bool) -> None:
        """A column tile of the stream; 2:4 weights are kept as the dense ones that they stand for."""
        f = self.f
        head = stream.take(8 + f.tc)
        self.targets[half] = list(struct.unpack("<4H", head[:8]))
        places = np.frombuffer(head[8:], np.uint8).astype(np.int64)
        records = [struct.unpack("<iHBB", part) for part in batched(stream.take(8 * f.tc), 8)]
        bias, mult, shift, word = (np.array(part, np.int64) for part in zip(*records, strict=True))
        assert (mult >= 1 << 15).all()
        self.params[half] = bias, mult, shift
        self.channels[half] = word | places >> 7 << 8, places & 15, places >> 4 & 7
        assert steps <= self.max_k_tiles
        if sparse:
            parts = [self.sparse_step(stream) for _ in range(steps)]
            self.words[half, : 2 * steps] = np.concatenate(parts)
        else:
            weight = np.frombuffer(stream.take(steps * f.tc * f.tk), np.int8).reshape(steps, f.tc, f.tk)
            assert weight.min() >= -127
            self.words[half, :steps] = weight

    def sparse_step(self, stream: Stream) -> Array:
        """(2, tc, tk): two k tiles, of which each four weights along the reduction have two."""
        f = self.f
        values = np.frombuffer(stream.take(f.tc * f.tk), np.int8).reshape(f.tc, f.tk)
        bits = np.frombuffer(stream.take(f.tc * f.tk // 4), np.uint8)
        places = (bits[:, None] >> np.array([0, 2, 4, 6]) & 3).reshape(f.tc, f.tk)
        dense = np.zeros((f.tc, 2 * f.tk), np.int64)
        for column in range(f.tc):
            for lane in range(f.tk):
                dense[column, lane // 2 * 4 + places[column, lane]] += values[column, lane]
        return dense.reshape(f.tc, 2, f.tk).transpose(1, 0, 2)

    def matrix(self, half: int, k_tiles: int) -> Array:
        """(k_tiles * tk, tc) of a half."""
        return self.words[half, :k_tiles].transpose(0, 2, 1).reshape(-1, self.f.tc)


class Memories:
    """All on-chip memories, in garbage."""

    def __init__(self, design: Design, rng: np.random.Generator) -> None:
        def fill(limit: int, *shape: int) -> Array:
            return rng.integers(-limit, limit + 1, shape).astype(np.int64)

        f, d = design.folding, design
        engines = {"nsa": (d.nsa, d.max_k_tiles_nsa), "nmp": (d.nmp, d.max_k_tiles_nmp)}
        self.left = {unit: fill(127, engine.left_depth, engine.tt, f.tk) for unit, (engine, _) in engines.items()}
        self.weights = {unit: WeightBuffer(d, k_tiles, rng) for unit, (_, k_tiles) in engines.items()}
        self.residual = [fill(32767, d.residual_depth, f.tr, f.tc) for _ in range(4)]
        self.key = fill(127, d.key_depth, d.key_banks, f.tk)
        self.value = fill(127, d.value_depth, d.value_banks, f.tc)
        self.attention = [fill(127, d.attention_depth, f.tt_nsa, f.tk) for _ in range(2)]
        self.reciprocal = [fill(127, 2, d.nsa.token_tiles * f.tt_nsa) for _ in range(2)]
