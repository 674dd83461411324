# SPDX-License-Identifier: Apache-2.0
"""How often a memory network answers right, with exact and with approximate attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitforge.design.a3_numbers import A3Numbers
from vitforge.errors import ConfigError
from vitforge.stories.attention import GoldenAttention
from vitforge.stories.network import AttentionFunction, MemoryNetwork
from vitforge.stories.world import KINDS, Story, make_stories

HELD_OUT_SEED = 20_260_000  # neither training nor validation draws from it
HELD_OUT_STORIES = 400


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """accuracy by kind of question; fractions of the statements, and share of the exact softmax weight, that were left
    on average over all queries; elements out of the range of a code."""

    accuracy: dict[str, float]
    candidates_fraction: float
    kept_fraction: float
    weight_kept: float
    saturated: int


def held_out(stories: int = HELD_OUT_STORIES) -> list[Story]:
    """The first ``stories`` held-out ones, of 50 to 64 statements. Raises ConfigError if there are not as many."""
    if not 1 <= stories <= HELD_OUT_STORIES:
        raise ConfigError(f"{stories} held-out stories were asked for; there are 1 to {HELD_OUT_STORIES}")
    return make_stories(HELD_OUT_SEED, HELD_OUT_STORIES)[:stories]


def count_questions(stories: Sequence[Story]) -> dict[str, int]:
    """By kind."""
    return {kind: sum(len(story.of_kind(kind)) for story in stories) for kind in KINDS}


def accuracy(
    network: MemoryNetwork, stories: Sequence[Story], attention: AttentionFunction | None = None
) -> dict[str, float]:
    """Share of right answers by kind of question, with ``attention`` as in `MemoryNetwork.answer`."""
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for story in stories:
        found = network.answer(network.memory(story), [one.text for one in story.questions], attention)
        for question, word in zip(story.questions, found.words, strict=True):
            right[question.kind].append(word == question.answer)
    return {kind: float(np.mean(answers)) for kind, answers in right.items()}


def evaluate(
    network: MemoryNetwork,
    stories: Sequence[Story],
    *,
    m_fraction: float | None = None,
    t: float | None = None,
    numbers: A3Numbers | None = None,
) -> Evaluation:
    """The golden model's answers to all questions of ``stories``; settings as in `GoldenAttention`."""
    attention = GoldenAttention(m_fraction, t, numbers or A3Numbers())
    right = accuracy(network, stories, attention)
    rows = [(call.candidates / call.scores.shape[1], call.kept / call.scores.shape[1]) for call in attention.calls]
    return Evaluation(
        accuracy=right,
        candidates_fraction=float(np.concatenate([candidates for candidates, _ in rows]).mean()),
        kept_fraction=float(np.concatenate([kept for _, kept in rows]).mean()),
        weight_kept=float(np.concatenate(attention.weights_kept).mean()),
        saturated=attention.saturated,
    )
