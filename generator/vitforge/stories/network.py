# SPDX-License-Identifier: Apache-2.0
"""An end-to-end memory network (Sukhbaatar et al., NeurIPS 2015) in numpy, around any implementation of attention.

A statement is the sum of its words and of its age, once as a key and once as a value. The tables are the same in all
hops (the paper's layer-wise tying), so a story is loaded into an accelerator once, for all questions and all hops:

    query(0) = sum of the question's words
    query(k + 1) = query(k) @ turn + attention(keys, values, query(k))
    answer = the word whose row of ``answer_words`` has the largest dot product with query(hops)

Attention is softmax(query . key), not scaled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from vitforge.errors import ConfigError, ModelError
from vitforge.resources import data_dir
from vitforge.stories.words import word_counts
from vitforge.stories.world import Story

SHIPPED = "memory_network"
TENSORS = ("key_words", "key_ages", "value_words", "value_ages", "question_words", "turn", "answer_words")
Float64 = NDArray[np.float64]
AttentionFunction = Callable[[Float64, Float64, Float64], Float64]  # keys, values (n, d), queries (b, d) -> (b, d)


@dataclass(frozen=True)
class Memory:
    """What an accelerator is loaded with: keys and values (n, d). Row i is statement i of the story."""

    keys: Float64
    values: Float64


@dataclass(frozen=True)
class Answers:
    """To a batch of b questions.

    words : b words
    logits : (b, vocabulary)
    queries : (hops, b, d) what attention was asked for
    outputs : (hops, b, d) what it gave
    """

    words: tuple[str, ...]
    logits: Float64
    queries: Float64
    outputs: Float64


@dataclass(frozen=True, kw_only=True)
class MemoryNetwork:
    """``tensors`` by the names `TENSORS`, of width d: words (vocabulary, d), ages (most statements, d), turn (d, d).

    Row a of the ages belongs to a statement with a statements after it.
    """

    vocabulary: tuple[str, ...]
    hops: int
    tensors: dict[str, Float64]

    @classmethod
    def load(cls, path: str | Path | None = None) -> MemoryNetwork:
        """From a safetensors file of ``models/memory_network/train.py``; None takes the one that ships.

        Raises ModelError where it cannot be read, or is no memory network.
        """
        file = data_dir("models") / SHIPPED / "model.safetensors" if path is None else Path(path)
        try:
            with safe_open(str(file), "numpy") as content:
                facts = json.loads((content.metadata() or {}).get("vitforge", "{}"))
            tensors = {name: value.astype(np.float64) for name, value in safetensors.numpy.load_file(file).items()}
        except (OSError, SafetensorError, ValueError) as error:
            raise ModelError(f"{file} cannot be read as safetensors ({error}); train or copy it again") from None
        vocabulary, hops = facts.get("vocabulary", ()), facts.get("hops", 0)
        shapes = {name: value.shape for name, value in tensors.items()}
        if not isinstance(hops, int) or hops < 1 or shapes != _shapes(tensors, len(vocabulary)):
            raise ModelError(f"{file} is no whole memory network; models/memory_network/train.py writes one")
        return cls(vocabulary=tuple(vocabulary), hops=hops, tensors=tensors)

    @property
    def width(self) -> int:
        """d"""
        return self.tensors["turn"].shape[0]

    @property
    def most_statements(self) -> int:
        """That a story may have."""
        return len(self.tensors["key_ages"])

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.vocabulary)}

    def memory(self, statements: Story | Sequence[str]) -> Memory:
        """Keys and values of a story, or of its sentences. Raises ConfigError for unknown words or too long a story."""
        texts = [one.text for one in statements.statements] if isinstance(statements, Story) else list(statements)
        if not 1 <= len(texts) <= self.most_statements:
            raise ConfigError(f"the story has {len(texts)} statements; the network takes 1 to {self.most_statements}")
        counts, ages = word_counts(texts, self._index), slice(len(texts) - 1, None, -1)
        keys, values = (
            counts @ self.tensors[f"{part}_words"] + self.tensors[f"{part}_ages"][ages] for part in ("key", "value")
        )
        return Memory(keys, values)

    def queries(self, questions: Sequence[str]) -> Float64:
        """(b, d) of the first hop."""
        return word_counts(questions, self._index) @ self.tensors["question_words"]

    def answer(self, memory: Memory, questions: Sequence[str], attention: AttentionFunction | None = None) -> Answers:
        """All questions at once, with ``attention`` (exact, in floating point, if None) in place of the accelerator."""
        attention = attention or attend_exactly
        query, queries, outputs = self.queries(questions), [], []
        for _ in range(self.hops):
            queries.append(query)
            outputs.append(attention(memory.keys, memory.values, query))
            query = query @ self.tensors["turn"] + outputs[-1]
        logits = query @ self.tensors["answer_words"].T
        words = tuple(self.vocabulary[best] for best in logits.argmax(axis=1))
        return Answers(words, logits, np.stack(queries), np.stack(outputs))


def _shapes(tensors: Mapping[str, Float64], words: int) -> dict[str, tuple[int, ...]]:
    """Those of a memory network with the ``turn`` and the ages of ``tensors``."""
    width, ages = (len(tensors[name]) if name in tensors and tensors[name].ndim else 0 for name in ("turn", "key_ages"))
    rows = {"turn": width, "key_ages": ages, "value_ages": ages}
    return {name: (rows.get(name, words), width) for name in TENSORS}


def attention_weights(keys: Float64, queries: Float64) -> Float64:
    """softmax(queries . keys): queries (..., b, d) -> (..., b, n)"""
    dot = queries @ keys.T
    weights = np.exp(dot - dot.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def attend_exactly(keys: Float64, values: Float64, queries: Float64) -> Float64:
    """softmax(queries . keys) values in floating point."""
    return attention_weights(keys, queries) @ values
