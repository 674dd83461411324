# SPDX-License-Identifier: Apache-2.0
"""Runs a blob by its chunk lists in plain numpy, as docs/architecture.md describes the hardware.

Independent of `vitforge.quantize` (which writes the streams), of the golden model and of the C++: it decodes the bytes,
keeps the memories in their physical layout, and starts with garbage in all of them, so that whatever is read without
having been written shows in the logits. What a layer norm sends is stored by the array behind it at random: before or
after any job that allows it, for the hardware does it at some time in between.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from blob.norms import NormUnit
from blob.streams import END_OF_STEP, FEATURE, MARK, STORE, WHOLE_ENTRY, Array, Memories, Store, Stream, Word, halves
from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry

END, LINEAR, SCORE, CONTEXT = range(4)
LEFT, KEY, VALUE, RESIDUAL, LOGITS = range(5)
FLAGS = ("gelu", "ends_step", "by_token", "replaces", "spares", "loads", "waits", "has_first", "first_half", "fast")
FLAGS += ("sparse", "next_sparse")


class Job(NamedTuple):
    """A descriptor of an array, decoded."""

    op: int
    flags: dict[str, bool]
    k_tiles: int
    columns: int
    tiles: int
    seq_len: int
    src: tuple[int, int]
    scale: tuple[int, int]
    right: tuple[int, int]
    dst: tuple[int, int]  # of a linear job: 0, cycles in which a tile drains
    last: tuple[int, int]  # of a linear job: k tiles of the next weight tile, 0

    @classmethod
    def decode(cls, words: list[int]) -> Job:
        flags = {name: bool(words[0] >> 8 + bit & 1) for bit, name in enumerate(FLAGS)}
        return cls(words[0] & 0xFF, flags, *halves(words[1]), *halves(words[2]), *map(halves, words[3:]))


def requantize(acc: Array, mult: Array | int, shift: Array | int) -> Array:
    """(acc * mult + 2^(shift-1)) >> shift."""
    shift = np.asarray(shift, np.int64)
    return (acc * mult + (np.int64(1) << (shift - 1))) >> shift


def product(left: Array, right: Array) -> Array:
    """Integer left @ right, exact in float64."""
    return np.rint(left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)


class ArrayUnit:
    """A MAC array with its drain and its left memory; on the attention side with softmax."""

    def __init__(self, name: str, design: Design, memories: Memories, rng: np.random.Generator) -> None:
        self.name, self.design, self.memories, self.rng = name, design, memories, rng
        self.engine: EngineGeometry = getattr(design, name)
        self.left, self.weights = memories.left[name], memories.weights[name]
        self.results: list[int] = []

    def step(self, stream: Stream, activations: list[Word], residual: Array) -> None:
        """Jobs up to the one that ends the step, and all that its layer norm sends."""
        self.arriving, self.residual = deque(activations), residual
        self.at_mark, slot = False, 0
        while True:
            job = Job.decode(stream.header())
            if job.op == END:
                slot += 1
                if job.flags["ends_step"] or self.name == "nmp":
                    break
                continue
            self.receive(job.flags)
            {LINEAR: self.linear, SCORE: self.score, CONTEXT: self.context}[job.op](job, stream, slot)
            self.receive({**job.flags, "waits": False})
        while self.arriving:
            self.at_mark = False
            self.take(len(self.arriving))

    # --- what arrives --------------------------------------------------------------------------------
    def receive(self, flags: dict[str, bool]) -> None:
        """A job may wait for the rest of a section; it may store any number of words of the next one, or none."""
        if flags["waits"]:
            self.take(len(self.arriving))
            assert self.at_mark, "the array waits for a section that never ends"
            self.at_mark = False
        if flags["loads"]:
            count = len(self.arriving)
            self.take(int(self.rng.choice([0, count, self.rng.integers(count + 1)])))

    def take(self, count: int) -> None:
        """At most ``count`` words, no further than the end of a section."""
        for _ in range(count):
            if self.at_mark or not self.arriving:
                return
            word = self.arriving.popleft()
            if word.kind in (STORE, FEATURE):
                lanes = slice(None) if word.group == WHOLE_ENTRY else self.lanes(word.group)
                if word.kind == STORE:
                    self.left[word.entry, word.row, lanes] = word.lanes[lanes]
                else:
                    self.results += word.lanes[lanes].tolist()
            self.at_mark = word.kind == MARK
            assert word.kind != END_OF_STEP or not self.arriving

    def lanes(self, group: int) -> slice:
        tc = self.design.folding.tc
        return slice(group * tc, (group + 1) * tc)

    # --- linear layers ---------------------------------------------------------------------------------
    def operand(self, memory: Array, src: tuple[int, int], tiles: int, k_tiles: int) -> Array:
        """(tiles * tt, k_tiles * tk): the left operand of all tokens."""
        entries = src[0] + np.arange(tiles)[:, None] * src[1] + np.arange(k_tiles)
        return memory[entries].transpose(0, 2, 1, 3).reshape(tiles * self.engine.tt, -1)

    def linear(self, job: Job, stream: Stream, slot: int) -> None:
        gelu = np.frombuffer(stream.take(256), np.int8) if job.flags["gelu"] else None
        half = int(job.flags["first_half"])
        if not job.flags["has_first"]:
            self.weights.load(stream, half, job.k_tiles, job.flags["sparse"])
        k_tiles = job.k_tiles * (2 if job.flags["sparse"] else 1)
        left = self.operand(self.left, job.src, job.tiles, k_tiles)
        for column in range(job.columns):
            bias, mult, shift = self.weights.params[half].copy()
            target, matrix = self.weights.targets[half], self.weights.matrix(half, k_tiles)
            channels = self.weights.channels[half].copy()
            following = job.k_tiles if column < job.columns - 1 else job.last[0]
            if following:
                sparse = job.flags["sparse" if column < job.columns - 1 else "next_sparse"]
                self.weights.load(stream, 1 - half, following, sparse)
            acc = product(left, matrix) + bias
            assert np.abs(acc).max() < 1 << 26
            self.drain(job, requantize(acc, mult, shift), target, gelu, channels)
            half = 1 - half

    def drain(
        self, job: Job, values: Array, target: list[int], gelu: Array | None, channels: Array | None = None
    ) -> None:
        """values (tokens, tc) to one of the five destinations."""
        (destination, passes), (group, stride, base) = (target[0] & 255, target[0] >> 8), target[1:]
        rows, lanes = self.drained(job, destination, passes), self.lanes(group)
        values, token = values[rows], np.arange(len(rows))
        small = np.clip(values, -127, 127)
        if gelu is not None:
            small = gelu[small + 128].astype(np.int64)
        assert job.flags["by_token"] == (destination in (RESIDUAL, LOGITS))
        if destination == LEFT:
            self.left[base + rows // self.engine.tt * stride, rows % self.engine.tt, lanes] = small
        elif destination == KEY:
            banks = self.design.key_banks
            self.memories.key[base + token // banks * stride, token % banks, lanes] = small
        elif destination == VALUE:
            banks = self.design.value_banks
            self.memories.value[base + token // banks * stride, token % banks] = small
        elif destination == RESIDUAL:
            self.add_residual(job, values[: job.seq_len], base, channels, passes)
        else:
            assert destination == LOGITS and self.name == "nsa"
            self.results += values[: job.seq_len].reshape(-1).tolist()

    def drained(self, job: Job, destination: int, passes: int) -> Array:
        """Rows of the left operand whose results leave: some of the first of each token tile, or all."""
        drains = job.dst[1] if job.op == LINEAR else self.engine.drain_groups
        each = drains if job.flags["by_token"] else drains * self.engine.td
        if destination == RESIDUAL:
            assert drains % passes == 0
            each = min(drains // passes * self.design.folding.tr, self.engine.tt)
        assert each <= self.engine.tt
        return (np.arange(job.tiles)[:, None] * self.engine.tt + np.arange(each)).reshape(-1)

    def add_residual(self, job: Job, values: Array, base: int, channels: Array, passes: int) -> None:
        """tr tokens share channel_tiles rows; the spare rows are those before token 0. A column is added to its word
        and lane. In a pass a lane has one column at most, and one address for all lanes where they share it."""
        f, token = self.design.folding, np.arange(len(values))
        at = base + token // f.tr * self.design.channel_tiles
        to = at - self.design.channel_tiles if job.flags["spares"] else at
        branch, seen = np.clip(values, -32767, 32767), set()
        if not f.lane_banks:  # the other lanes of a word move with it
            for word in {word for word, lane, _ in channels.T.tolist() if lane < f.tc}:
                self.residual[to + word, token % f.tr] = self.residual[at + word, token % f.tr]
        for column, (word, lane, number) in enumerate(channels.T.tolist()):
            if lane >= f.tc:
                continue  # a column that pads the tile
            assert number < passes and (lane, number) not in seen
            seen.add((lane, number))
            before = 0 if job.flags["replaces"] else self.residual[at + word, token % f.tr, lane]
            assert (to >= 0).all() and word < self.design.channel_tiles
            self.residual[to + word, token % f.tr, lane] = np.clip(before + branch[:, column], -32767, 32767)
        if not f.lane_banks:
            used = [(word, n) for word, lane, n in channels.T.tolist() if lane < f.tc]
            words = [{word for word, n in used if n == number} for number in range(passes)]
            assert all(len(some) <= 1 for some in words)

    # --- attention -------------------------------------------------------------------------------------
    def score(self, job: Job, stream: Stream, slot: int) -> None:
        """All scores of a head, and the softmax of each row."""
        f, d = self.design.folding, self.design
        left = self.operand(self.left, job.src, job.tiles, job.k_tiles)
        keys = np.arange(job.columns * f.tc)
        entries = job.right[0] + keys[:, None] // d.key_banks * job.right[1] + np.arange(job.k_tiles)
        right = self.memories.key[entries, keys[:, None] % d.key_banks].reshape(len(keys), -1)
        scores = np.clip(requantize(product(left, right.T), *job.scale), -32767, 32767)
        self.softmax(scores, job.seq_len, *job.last, slot)

    def softmax(self, scores: Array, seq_len: int, mult: int, shift: int, slot: int) -> None:
        f, tiles = self.design.folding, len(scores) // self.engine.tt
        u = scores[:, :seq_len].max(axis=1, keepdims=True) - scores
        high = [round(4096 * math.exp(-i / 8)) for i in range(64)]
        low = [round(4096 * math.exp(-j / 256)) for j in range(32)]
        inside = np.clip(u, 0, 2047)
        exponent = (np.array(high)[inside >> 5] * np.array(low)[inside & 31] + (1 << 16)) >> 17
        weight = np.where((u < 2048) & (np.arange(scores.shape[1]) < seq_len), np.minimum(exponent, 127), 0)
        words = weight.reshape(tiles, self.engine.tt, -1, f.tk).transpose(0, 2, 1, 3).reshape(-1, self.engine.tt, f.tk)
        self.memories.attention[slot % 2][: len(words)] = words
        totals = [int(total) for total in weight.sum(axis=1)]
        inverse = [((mult << total.bit_length()) // total, shift + total.bit_length()) for total in totals]
        self.memories.reciprocal[slot % 2][:, : len(totals)] = np.array(inverse).T

    def context(self, job: Job, stream: Stream, slot: int) -> None:
        """score x V of a head, with what softmax wrote in the slot before; it overwrites the queries of the head."""
        f, d = self.design.folding, self.design
        left = self.operand(self.memories.attention[(slot + 1) % 2], job.src, job.tiles, job.k_tiles)
        mult, shift = (part[: len(left), None] for part in self.memories.reciprocal[(slot + 1) % 2])
        keys, groups = np.arange(job.k_tiles * f.tk), f.tk // f.tc
        for column in range(job.columns):
            entries = job.right[0] + keys // d.value_banks * job.right[1] + column
            acc = product(left, self.memories.value[entries, keys % d.value_banks])
            target = [LEFT, column % groups, job.dst[1], job.dst[0] + column // groups]
            self.drain(job, requantize(acc, mult, shift), target, None)


def run(design: Design, blob: bytes, images: bytes, lists: Mapping[str, Array], n_steps: int, seed: int = 0) -> Array:
    """All words that leave for the host, in order. The two halves of a step share nothing: they run in any order."""
    rng = np.random.default_rng(seed)
    memories = Memories(design, rng)
    norms = {unit: NormUnit(unit, design, rng) for unit in ("ln1", "ln2")}
    arrays = {unit: ArrayUnit(unit, design, memories, rng) for unit in ("nsa", "nmp")}
    order = ("ln1", "nsa", "ln2", "nmp")
    beat, entries = design.beat_bytes, {"nsa": design.folding.resident_nsa, "nmp": design.folding.resident_nmp}
    stores = {unit: Store(entries.get(unit, 0), beat, rng) for unit in order}
    streams = {unit: Stream(lists[unit][:-1], blob, images, beat, stores[unit]) for unit in order}
    for number in range(n_steps):
        residual = {unit: memories.residual[(number - place) % 4] for place, unit in enumerate(order)}
        for norm, array in rng.permutation([("ln1", "nsa"), ("ln2", "nmp")]).tolist():
            sent = norms[norm].step(streams[norm], residual[norm])
            arrays[array].step(streams[array], sent, residual[array])
    for unit, stream in streams.items():
        assert stream.at == len(stream.data), f"{unit} has unread beats after the last step"
    assert not arrays["nmp"].results
    return np.array(arrays["nsa"].results, np.int64)
