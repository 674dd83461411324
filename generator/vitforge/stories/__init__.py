# SPDX-License-Identifier: Apache-2.0
"""Generated stories in the style of the bAbI tasks, and a memory network that answers questions about them."""

from __future__ import annotations

from vitforge.stories.attention import SETTINGS, GoldenAttention
from vitforge.stories.evaluate import Evaluation, accuracy, evaluate, held_out
from vitforge.stories.network import Answers, Memory, MemoryNetwork, attend_exactly, attention_weights
from vitforge.stories.world import KINDS, Question, Statement, Story, make_stories, make_story

__all__ = [
    "KINDS",
    "SETTINGS",
    "Answers",
    "Evaluation",
    "GoldenAttention",
    "Memory",
    "MemoryNetwork",
    "Question",
    "Statement",
    "Story",
    "accuracy",
    "attend_exactly",
    "attention_weights",
    "evaluate",
    "held_out",
    "make_stories",
    "make_story",
]
