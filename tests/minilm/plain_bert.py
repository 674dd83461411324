# SPDX-License-Identifier: Apache-2.0
"""BERT once more, a token and a head at a time, as the paper and the original code state it; and a small random one."""

from __future__ import annotations

import math

import numpy as np
from bert import Bert
from numpy.typing import NDArray

DIM, HEADS, DEPTH, HIDDEN, VOCABULARY, POSITIONS = 12, 3, 2, 20, 30, 16


def random_bert(seed: int = 0) -> Bert:
    """Weights, biases and norms are all random, so that none can be left out unseen."""
    rng = np.random.default_rng(seed)
    shapes = {
        "embeddings.word_embeddings.weight": (VOCABULARY, DIM),
        "embeddings.position_embeddings.weight": (POSITIONS, DIM),
        "embeddings.token_type_embeddings.weight": (2, DIM),
        **_norm("embeddings.LayerNorm"),
    }
    for layer in range(DEPTH):
        name = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            shapes |= _linear(f"{name}attention.self.{part}", DIM, DIM)
        shapes |= _linear(name + "attention.output.dense", DIM, DIM) | _norm(name + "attention.output.LayerNorm")
        shapes |= _linear(name + "intermediate.dense", HIDDEN, DIM) | _linear(name + "output.dense", DIM, HIDDEN)
        shapes |= _norm(name + "output.LayerNorm")
    return Bert(tensors={name: rng.normal(size=shape) for name, shape in shapes.items()}, heads=HEADS, norm_eps=1e-12)


def _linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {name + ".weight": (outputs, inputs), name + ".bias": (outputs,)}


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {name + ".weight": (DIM,), name + ".bias": (DIM,)}


def plain_encode(model: Bert, tokens: list[int]) -> NDArray[np.float64]:
    """Last hidden states (tokens, dim)."""
    t = model.tensors

    def linear(name: str, vector: NDArray) -> NDArray:
        return np.array([row @ vector for row in t[name + ".weight"]]) + t[name + ".bias"]

    def norm(name: str, vector: NDArray) -> NDArray:
        variance = sum((value - vector.mean()) ** 2 for value in vector) / len(vector)
        return (vector - vector.mean()) / math.sqrt(variance + model.norm_eps) * t[name + ".weight"] + t[name + ".bias"]

    def gelu(value: float) -> float:
        return value * (1 + math.erf(value / math.sqrt(2))) / 2

    words, places, kinds = (t[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type"))
    states = [norm("embeddings.LayerNorm", words[token] + places[i] + kinds[0]) for i, token in enumerate(tokens)]
    for layer in range(DEPTH):
        name = f"encoder.layer.{layer}."
        q, k, v = ([linear(f"{name}attention.self.{part}", x) for x in states] for part in ("query", "key", "value"))
        after = []
        for i, x in enumerate(states):
            context = np.concatenate([_attend(q[i], k, v, head) for head in range(HEADS)])
            branch = linear(name + "attention.output.dense", context)
            after.append(norm(name + "attention.output.LayerNorm", x + branch))
        states = []
        for x in after:
            hidden = np.array([gelu(value) for value in linear(name + "intermediate.dense", x)])
            states.append(norm(name + "output.LayerNorm", x + linear(name + "output.dense", hidden)))
    return np.array(states)


def _attend(query: NDArray, keys: list[NDArray], values: list[NDArray], head: int) -> NDArray:
    part = slice(head * DIM // HEADS, (head + 1) * DIM // HEADS)
    scores = [math.exp(query[part] @ key[part] / math.sqrt(DIM / HEADS)) for key in keys]
    return np.sum([score / sum(scores) * value[part] for score, value in zip(scores, values, strict=True)], axis=0)
