# SPDX-License-Identifier: Apache-2.0
"""Sentences to words to rows of word counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ConfigError
from vitforge.stories.world import PEOPLE, PLACES, THINGS, VERBS


def tokenise(text: str) -> list[str]:
    """Words of a sentence in lower case, without the mark at its end: "Ada goes to the attic." has five."""
    return text.lower().rstrip(" .?!").split()


def _vocabulary() -> tuple[str, ...]:
    verbs = [word for phrases in VERBS.values() for phrase in phrases for word in phrase.split()]
    words = " ".join([*PEOPLE, *PLACES, *THINGS, *verbs, "the", "where", "is"])
    return tuple(dict.fromkeys(tokenise(words)))


VOCABULARY = _vocabulary()  # of all stories and questions


def word_counts(texts: Sequence[str], index: Mapping[str, int]) -> NDArray[np.float32]:
    """(len(texts), len(index)): how often each text has each word; ``index`` says the column of a word.

    Raises ConfigError that names the words without a column.
    """
    counts = np.zeros((len(texts), len(index)), np.float32)
    for row, text in zip(counts, texts, strict=True):
        words = tokenise(text)
        unknown = [word for word in words if word not in index]
        if unknown or not words:
            raise ConfigError(f"{text!r} has {_named(unknown)}; the stories know {', '.join(sorted(index))}")
        for word in words:
            row[index[word]] += 1
    return counts


def _named(unknown: Sequence[str]) -> str:
    return "unknown words: " + ", ".join(unknown) if unknown else "no words"
