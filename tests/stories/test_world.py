# SPDX-License-Identifier: Apache-2.0
"""Generated stories: what their sentences say is what their questions ask."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from vitforge.errors import ConfigError
from vitforge.stories import make_stories, make_story
from vitforge.stories.evaluate import HELD_OUT_SEED, held_out
from vitforge.stories.words import VOCABULARY, tokenise, word_counts
from vitforge.stories.world import PEOPLE, PLACES, THINGS

STORIES = make_stories(5, 200, 1, 64)
MOVES, TAKES, LEAVES = {"goes", "walks"}, {"takes", "grabs"}, {"drops", "leaves"}


def read(sentences: list[str]) -> dict[str, str]:
    """Where everyone and everything is, from the sentences alone: the whole world after each of them."""
    at: dict[str, str] = {}
    hands: dict[str, set[str]] = {}
    for sentence in sentences:
        who, verb, *_, what = sentence.removesuffix(".").split()
        if verb in MOVES:
            assert at.get(who) != what  # nobody walks to where they are
            at[who] = what
            at.update(dict.fromkeys(hands.get(who, ()), what))
        elif verb in TAKES:
            assert not any(what in held for held in hands.values())
            assert at.get(what, at[who]) == at[who]  # it lay here, or had not been seen yet
            hands.setdefault(who, set()).add(what)
            at[what] = at[who]
        else:
            assert verb in LEAVES
            hands[who].remove(what)
    return at


def sentences_of(story) -> list[str]:
    return [statement.text for statement in story.statements]


def test_answers_are_what_the_sentences_say():
    for story in STORIES:
        where = read(sentences_of(story))
        assert {question.subject: question.answer for question in story.questions} == where
        for question in story.questions:
            assert (question.kind == "one") == (question.subject in PEOPLE)


def test_support_suffices_and_nothing_later_contradicts_it():
    for story in STORIES:
        texts = sentences_of(story)
        for question in story.questions:
            assert len(question.support) == {"one": 1, "two": 2}[question.kind]
            assert list(question.support) == sorted(set(question.support))
            about = [i for i, text in enumerate(texts) if question.subject in text.removesuffix(".").split()]
            last = story.statements[question.support[-1]]
            if question.kind == "one":
                moves = [i for i in about if story.statements[i].action == "move"]
                assert question.support == (moves[-1],) and last.target == question.answer
                continue
            assert about[-1] in question.support  # the last word on the thing
            (other,) = set(question.support) - {about[-1]}
            move, word = story.statements[other], story.statements[about[-1]]
            assert move.action == "move" and move.person == word.person and move.target == question.answer
            until = len(texts) if word.action == "take" else about[-1]
            between = story.statements[other + 1 : until]
            assert not any(one.person == word.person and one.action == "move" for one in between)


def test_same_seed_same_stories():
    assert make_stories(11, 3) == make_stories(11, 3) != make_stories(12, 3)
    rng = np.random.default_rng(3)
    assert make_story(rng, 20) != make_story(rng, 20)
    text = "\n".join(text for story in held_out(3) for text in sentences_of(story))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "268c91a4f81ad090"


def test_held_out_stories_are_long_and_need_every_kind_of_reasoning():
    stories = held_out()
    assert (len(stories), min(map(len, stories)), max(map(len, stories))) == (400, 50, 64)
    assert held_out(7) == stories[:7]
    assert make_stories(HELD_OUT_SEED, 400) == stories
    found: Counter[str] = Counter()
    for story in stories:
        for question in story.questions:
            actions = [story.statements[i].action for i in question.support]
            found["-".join(actions)] += 1
            if actions[-1] == "leave":  # a later move of the same person must not mislead
                later = story.statements[question.support[1] + 1 :]
                who = story.statements[question.support[1]].person
                found["walked on"] += any(one.person == who and one.action == "move" for one in later)
    assert found["move"] >= 1000 and sum(found[pair] for pair in ("move-take", "take-move", "move-leave")) >= 1000
    assert min(found[pair] for pair in ("move-take", "take-move", "move-leave", "walked on")) >= 150
    answers = Counter(question.answer for story in stories for question in story.questions)
    assert set(answers) == set(PLACES) and max(answers.values()) < 1.3 * min(answers.values())


@pytest.mark.parametrize("count", [0, -1, 401])
def test_more_held_out_stories_than_there_are(count):
    with pytest.raises(ConfigError, match="there are 1 to 400"):
        held_out(count)


def test_words():
    assert tokenise("Ada goes to the attic.") == ["ada", "goes", "to", "the", "attic"]
    assert tokenise("Where is the violin?") == ["where", "is", "the", "violin"]
    words = {word for story in STORIES for text in sentences_of(story) for word in tokenise(text)}
    words |= {word for story in STORIES for question in story.questions for word in tokenise(question.text)}
    assert words == set(VOCABULARY) and len(VOCABULARY) == len(PEOPLE) + len(PLACES) + len(THINGS) + 10
    counts = word_counts(["the the attic"], {"attic": 1, "the": 0})
    assert counts.tolist() == [[2, 1]]


@pytest.mark.parametrize("text", ["Where is the elephant?", "", "?"])
def test_unknown_words_are_named(text):
    with pytest.raises(ConfigError, match="elephant" if "elephant" in text else "no words"):
        word_counts([text], {word: i for i, word in enumerate(VOCABULARY)})


@pytest.mark.parametrize(("count", "shortest", "longest"), [(1, 0, 5), (1, 6, 5), (-1, 5, 6)])
def test_impossible_lengths(count, shortest, longest):
    with pytest.raises(ConfigError, match="at least 1 statement"):
        make_stories(1, count, shortest, longest)


def test_no_statements():
    with pytest.raises(ConfigError, match="at least 1"):
        make_story(np.random.default_rng(1), 0)
