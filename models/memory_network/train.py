# SPDX-License-Identifier: Apache-2.0
"""Trains the memory network that ships with vitforge on generated stories.

    pip install 'vitforge[train]'
    python train.py --output .        # about 10 minutes on one core

Writes model.safetensors and expected.npz: the logits of this script for the first held-out story, for a test.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from vitforge.stories.evaluate import held_out
from vitforge.stories.network import TENSORS
from vitforge.stories.words import VOCABULARY, word_counts
from vitforge.stories.world import PEOPLE, PLACES, THINGS, VERBS, Question, Statement, Story, make_stories

SEED, VALIDATION_SEED = 1, 1_000_000  # stories of step s come from the seeds (SEED, s), below the held-out ones
DIM, HOPS, MOST_STATEMENTS = 64, 3, 64
FRACTION_BITS, LIMIT = 4, 255  # of the codes that keys, values and queries are rounded to
FIRST_STATEMENTS, LENGTHEN_AT = 6, 0.9  # stories grow by a sixth while 90 % of the "two" questions are answered
LINEAR_STEPS, WARM_UP_STEPS, DECAY_FROM = 500, 200, 0.6
POOL, POOL_STEPS = 2000, 200  # fresh stories, and steps that draw from them

_INDEX = {word: i for i, word in enumerate(VOCABULARY)}
_TARGETS = {"move": PLACES, "take": THINGS, "leave": THINGS}
STATEMENTS = [
    Statement(person, action, verb, target).text
    for person in PEOPLE
    for action, verbs in VERBS.items()
    for verb in verbs
    for target in _TARGETS[action]
]
QUESTIONS = [
    Question(kind, subject, "", ()).text for kind, all_ in (("one", PEOPLE), ("two", THINGS)) for subject in all_
]


@dataclass(frozen=True)
class Batch:
    """statements (b, n): index into STATEMENTS, the latest first, len(STATEMENTS) where the story has no more;
    answers (b, questions): word that answers each of QUESTIONS, -1 where the story does not answer it."""

    statements: torch.Tensor
    answers: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> Batch:
        return Batch(self.statements[rows], self.answers[rows])


def encode(stories: Sequence[Story]) -> Batch:
    """Stories as numbers."""
    statement = {text: i for i, text in enumerate(STATEMENTS)}
    question = {text: i for i, text in enumerate(QUESTIONS)}
    statements = np.full((len(stories), max(map(len, stories))), len(STATEMENTS))
    answers = np.full((len(stories), len(QUESTIONS)), -1)
    for row, story in enumerate(stories):
        statements[row, : len(story)] = [statement[one.text] for one in reversed(story.statements)]
        for one in story.questions:
            answers[row, question[one.text]] = _INDEX[one.answer]
    return Batch(torch.from_numpy(statements), torch.from_numpy(answers))


def fixed_point(x: torch.Tensor) -> torch.Tensor:
    """``x`` rounded to the codes of an A3 unit; the gradient is that of the saturation alone."""
    one = 1 << FRACTION_BITS
    inside = x.clamp(-LIMIT / one, LIMIT / one)
    return inside + ((inside * one + 0.5).floor() / one - inside).detach()


class Network(nn.Module):
    """vitforge.stories.network, to be trained. All QUESTIONS are asked of every story."""

    def __init__(self) -> None:
        super().__init__()
        rows = {"key_ages": MOST_STATEMENTS, "value_ages": MOST_STATEMENTS, "turn": DIM}
        self.tensors = nn.ParameterDict(
            {name: nn.Parameter(0.1 * torch.randn(rows.get(name, len(VOCABULARY)), DIM)) for name in TENSORS}
        )
        with torch.no_grad():
            self.tensors["turn"].copy_(torch.eye(DIM))
        self.register_buffer("statements", torch.from_numpy(word_counts([*STATEMENTS], _INDEX)))
        self.register_buffer("questions", torch.from_numpy(word_counts(QUESTIONS, _INDEX)))
        self.rounded = True

    def rows(self, part: str, statements: torch.Tensor) -> torch.Tensor:
        """Keys or values (b, n, DIM)."""
        table = functional.pad(self.statements @ self.tensors[f"{part}_words"], (0, 0, 0, 1))
        rows = table[statements] + self.tensors[f"{part}_ages"][: statements.shape[1]]
        return fixed_point(rows) if self.rounded else rows

    def forward(self, statements: torch.Tensor, linear: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """(logits (b, questions, words), penalty); ``linear`` leaves out the softmax of attention.

        The penalty is sum over columns of mean |query| * mean |key|, over all hops: how large the products are whose
        sums the scores are. It does nothing to exact attention but to make products cancel less, and scores smaller.
        """
        absent = statements == len(STATEMENTS)
        keys, values = self.rows("key", statements), self.rows("value", statements)
        size = (keys.abs() * ~absent[:, :, None]).mean((0, 1))
        query = (self.questions @ self.tensors["question_words"]).expand(len(statements), -1, -1)
        penalty = torch.zeros(())
        for _ in range(HOPS):
            penalty = penalty + query.abs().mean((0, 1)) @ size
            score = (fixed_point(query) if self.rounded else query) @ keys.transpose(1, 2)
            if linear:
                weights = score * ~absent[:, None] / 10
            else:
                weights = score.masked_fill(absent[:, None], -1e9).softmax(-1)
            query = query @ self.tensors["turn"] + weights @ values
        return query @ self.tensors["answer_words"].T, penalty


def accuracy(network: Network, batch: Batch) -> tuple[float, float]:
    """Of "one" and of "two" questions."""
    with torch.no_grad():
        logits = torch.cat([network(part)[0] for part in batch.statements.split(100)])
    return right(logits, batch, slice(0, len(PEOPLE))), right(logits, batch, slice(len(PEOPLE), None))


def right(logits: torch.Tensor, batch: Batch, columns: slice) -> float:
    """Share of right answers to the questions in ``columns``."""
    answers, found = batch.answers[:, columns], logits[:, columns].argmax(-1)
    return (found == answers)[answers >= 0].float().mean().item()


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up, constant, then half a cosine to 0."""
    decay = max(0.0, (step / steps - DECAY_FROM) / (1 - DECAY_FROM))
    return peak * min(1, step / WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * decay))


def train(steps: int, batch: int, peak: float, penalty_weight: float) -> Network:
    torch.manual_seed(SEED)
    network = Network()
    optimiser = torch.optim.Adam(network.parameters())
    generator = torch.Generator().manual_seed(SEED)
    validation = encode(make_stories(VALIDATION_SEED, 400))
    longest, two, start = FIRST_STATEMENTS, 0.0, time.perf_counter()
    for step in range(steps):
        if step % POOL_STEPS == 0:
            if two > LENGTHEN_AT:
                longest = min(MOST_STATEMENTS, longest + max(2, longest // 6))
            pool = encode(make_stories((SEED, step), POOL, max(4, longest // 2), longest))
        chosen = pool[torch.randint(POOL, (batch,), generator=generator)]
        linear = step < LINEAR_STEPS
        logits, penalty = network(chosen.statements, linear)
        loss = functional.cross_entropy(logits.flatten(0, 1), chosen.answers.flatten(), ignore_index=-1)
        if not linear:
            loss = loss + penalty_weight * penalty
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        two += 0.02 * (right(logits, chosen, slice(len(PEOPLE), None)) - two)
        if (step + 1) % 1000 == 0:
            one_fact, two_facts = accuracy(network, validation)
            seconds = time.perf_counter() - start
            print(
                f"step {step + 1}/{steps}: up to {longest} statements, loss {loss.item():.4f}, penalty "
                f"{penalty.item():.2f}, validation {one_fact:.4f} {two_facts:.4f}, {seconds:.0f} s",
                flush=True,
            )
    return network


def save(network: Network, directory: Path) -> None:
    """Weights, with what they cannot tell as JSON in the header; and logits of unrounded attention."""
    facts = {"name": "memory_network", "vocabulary": VOCABULARY, "hops": HOPS}
    tensors = {name: network.tensors[name].detach().contiguous() for name in TENSORS}
    save_file(tensors, directory / "model.safetensors", metadata={"vitforge": json.dumps(facts, sort_keys=True)})
    network.rounded = False
    with torch.no_grad():
        logits = network(encode(held_out(1)).statements)[0][0].numpy()
    np.savez_compressed(directory / "expected.npz", questions=QUESTIONS, logits=logits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("."), help="directory for the weights")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--batch", type=int, default=64, help="stories a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--penalty", type=float, default=0.005, help="weight of the products' size in the loss")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    save(train(options.steps, options.batch, options.rate, options.penalty), options.output)


if __name__ == "__main__":
    main()
