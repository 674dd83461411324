# SPDX-License-Identifier: Apache-2.0
"""Stories in the style of the bAbI tasks, with words of our own: people walk between places, take things, leave them.

A story is a list of statements. Where a person is takes one of them to know; where a thing is takes two: the last
statement about it, and the one that says where the person in it was or is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vitforge.errors import ConfigError

PEOPLE = ("Ada", "Bruno", "Clara", "Dario", "Elsa")
PLACES = ("attic", "cellar", "garden", "kitchen", "library", "stable", "tower", "workshop")
THINGS = ("compass", "hammer", "kettle", "lantern", "violin")
VERBS = {"move": ("goes to", "walks to"), "take": ("takes", "grabs"), "leave": ("drops", "leaves")}
KINDS = {"one": "one supporting fact", "two": "two supporting facts"}
_WEIGHTS = {"move": 2.0, "take": 1.5, "leave": 1.0}  # of what a person may do next


@dataclass(frozen=True)
class Statement:
    """``person`` does ``action``, one of `VERBS`, to ``target``: a place or a thing. ``verb`` is the word for it."""

    person: str
    action: str
    verb: str
    target: str

    @property
    def text(self) -> str:
        return f"{self.person} {self.verb} the {self.target}."


@dataclass(frozen=True)
class Question:
    """Where is ``subject``? kind : "one" or "two", the number of statements in ``support``, which are indices."""

    kind: str
    subject: str
    answer: str
    support: tuple[int, ...]

    @property
    def text(self) -> str:
        return f"Where is {self.subject}?" if self.kind == "one" else f"Where is the {self.subject}?"


@dataclass(frozen=True)
class Story:
    """Statements in the order of time, and all questions that they answer: people first, then things."""

    statements: tuple[Statement, ...]
    questions: tuple[Question, ...]

    def __len__(self) -> int:
        return len(self.statements)

    def of_kind(self, kind: str) -> tuple[Question, ...]:
        """The questions of ``kind``, one of `KINDS`."""
        return tuple(question for question in self.questions if question.kind == kind)


@dataclass
class _World:
    """What holds after the statements so far. Things lie somewhere from the start, but no statement says where."""

    lies: dict[str, str]
    at: dict[str, str] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)  # index of a person's last move
    holder: dict[str, str] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)  # index of the last statement that gave a thing to its holder
    left: dict[str, tuple[int, int]] = field(default_factory=dict)  # last move of who left a thing, and leaving it

    def choices(self, person: str) -> list[tuple[str, list[str]]]:
        """(action, targets) that ``person`` may do next."""
        place = self.at.get(person)
        moves = [other for other in PLACES if other != place]
        if place is None:
            return [("move", moves)]
        near = [thing for thing in THINGS if thing not in self.holder and self.lies[thing] == place]
        held = [thing for thing in THINGS if self.holder.get(thing) == person]
        return [pair for pair in (("move", moves), ("take", near), ("leave", held)) if pair[1]]

    def apply(self, index: int, person: str, action: str, target: str) -> None:
        """Makes statement ``index`` true."""
        if action == "move":
            self.at[person], self.moved[person] = target, index
        elif action == "take":
            self.holder[target], self.taken[target] = person, index
        else:
            del self.holder[target]
            self.lies[target] = self.at[person]
            self.left[target] = (self.moved[person], index)

    def questions(self) -> tuple[Question, ...]:
        """All that can be answered."""
        found = [Question("one", who, self.at[who], (self.moved[who],)) for who in PEOPLE if who in self.at]
        for thing in THINGS:
            if thing in self.holder:
                who = self.holder[thing]
                pair = (self.moved[who], self.taken[thing])
                found.append(Question("two", thing, self.at[who], (min(pair), max(pair))))
            elif thing in self.left:
                found.append(Question("two", thing, self.lies[thing], self.left[thing]))
        return tuple(found)


def make_story(rng: np.random.Generator, statements: int) -> Story:
    """A story of ``statements`` statements; a generator in the same state gives the same one.

    Raises ConfigError for fewer than one statement.
    """
    if statements < 1:
        raise ConfigError(f"a story of {statements} statements cannot be told; it takes at least 1")
    places = rng.integers(len(PLACES), size=len(THINGS)).tolist()
    world = _World({thing: PLACES[place] for thing, place in zip(THINGS, places, strict=True)})
    told = []
    for index, draw in enumerate(rng.random((statements, 4)).tolist()):  # one call: much faster than one a choice
        person = _pick(PEOPLE, draw[0])
        choices = world.choices(person)
        action, targets = _weighted(choices, draw[1])
        target = _pick(targets, draw[2])
        world.apply(index, person, action, target)
        told.append(Statement(person, action, _pick(VERBS[action], draw[3]), target))
    return Story(tuple(told), world.questions())


def make_stories(seed: int | Sequence[int], count: int, shortest: int = 50, longest: int = 64) -> list[Story]:
    """``count`` stories of ``shortest`` to ``longest`` statements, every length as often, from ``seed``.

    Raises ConfigError unless 1 <= shortest <= longest and count is not negative.
    """
    if not 1 <= shortest <= longest or count < 0:
        raise ConfigError(
            f"{count} stories of {shortest} to {longest} statements cannot be told; they take a count of 0 or more, at "
            "least 1 statement, and the shorter length first"
        )
    rng = np.random.default_rng(seed)
    return [make_story(rng, length) for length in rng.integers(shortest, longest + 1, size=count).tolist()]


def _pick(items: Sequence[str], draw: float) -> str:
    return items[int(draw * len(items))]


def _weighted(choices: list[tuple[str, list[str]]], draw: float) -> tuple[str, list[str]]:
    draw *= sum(_WEIGHTS[action] for action, _ in choices)
    for choice in choices:
        draw -= _WEIGHTS[choice[0]]
        if draw < 0:
            break
    return choice
