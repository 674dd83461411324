# SPDX-License-Identifier: Apache-2.0
"""The memory network that ships: its numpy inference, its accuracy, and the attention it is given."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy

from vitforge.design.a3_numbers import A3Numbers
from vitforge.errors import ConfigError, ModelError
from vitforge.golden.a3 import attend
from vitforge.resources import data_dir
from vitforge.stories import (
    GoldenAttention,
    MemoryNetwork,
    accuracy,
    attend_exactly,
    attention_weights,
    evaluate,
    held_out,
)
from vitforge.stories.attention import iterations
from vitforge.stories.evaluate import count_questions

DIRECTORY = data_dir("models") / "memory_network"
NETWORK = MemoryNetwork.load()
STORY = held_out(1)[0]
MEMORY = NETWORK.memory(STORY)
QUESTIONS = [question.text for question in STORY.questions]


def test_shapes():
    assert (NETWORK.width, NETWORK.hops, NETWORK.most_statements) == (64, 3, 64)
    assert MEMORY.keys.shape == MEMORY.values.shape == (len(STORY), 64)
    assert NETWORK.queries(QUESTIONS).shape == (len(QUESTIONS), 64)
    answers = NETWORK.answer(MEMORY, QUESTIONS)
    assert answers.queries.shape == answers.outputs.shape == (3, len(QUESTIONS), 64)
    assert answers.logits.shape == (len(QUESTIONS), len(NETWORK.vocabulary))
    assert (DIRECTORY / "model.safetensors").stat().st_size < 300_000


def test_logits_equal_those_of_the_training_script():
    with np.load(DIRECTORY / "expected.npz") as expected:
        logits = NETWORK.answer(MEMORY, [str(text) for text in expected["questions"]]).logits
        assert np.abs(logits - expected["logits"]).max() < 1e-4 * np.abs(expected["logits"]).max()


def test_every_question_is_answered_by_itself():
    together = NETWORK.answer(MEMORY, QUESTIONS)
    for i, question in enumerate(QUESTIONS):
        np.testing.assert_allclose(NETWORK.answer(MEMORY, [question]).logits[0], together.logits[i], rtol=1e-9)


def test_sentences_are_as_good_as_a_story():
    memory = NETWORK.memory([statement.text for statement in STORY.statements])
    assert (memory.keys == MEMORY.keys).all() and (memory.values == MEMORY.values).all()
    short = NETWORK.memory(["Ada goes to the attic."])
    assert NETWORK.answer(short, ["Where is Ada?"]).words == ("attic",)


def test_age_counts_from_the_end():
    first, second = "Ada goes to the attic.", "Ada goes to the cellar."
    one, other = NETWORK.memory([first, second]), NETWORK.memory([second, first])
    assert NETWORK.answer(one, ["Where is Ada?"]).words == ("cellar",)
    assert NETWORK.answer(other, ["Where is Ada?"]).words == ("attic",)
    longer = NETWORK.memory([second, first, second])
    np.testing.assert_array_equal(longer.keys[1:], one.keys)


def test_accuracy_on_held_out_stories():
    stories = held_out(50)
    asked = count_questions(stories)
    assert min(asked.values()) >= 200
    exact = accuracy(NETWORK, stories)
    integer = evaluate(NETWORK, stories)
    divided_first = evaluate(NETWORK, stories[:25], numbers=A3Numbers(policy="divide_first"))
    for found in (exact, integer.accuracy, divided_first.accuracy):
        assert found["one"] >= 0.97 and found["two"] >= 0.85
    assert (integer.candidates_fraction, integer.kept_fraction, integer.saturated) == (1.0, 1.0, 0)


def test_approximation_costs_little_if_it_is_conservative():
    stories = held_out(25)
    exact, conservative, aggressive = (
        evaluate(NETWORK, stories, m_fraction=m, t=t) for m, t in ((None, None), (0.5, 5.0), (0.125, 10.0))
    )
    for kind in ("one", "two"):
        assert conservative.accuracy[kind] >= exact.accuracy[kind] - 0.03
        assert aggressive.accuracy[kind] >= 0.5  # a guess is right one time in eight
    assert 1 > conservative.candidates_fraction > aggressive.candidates_fraction > 1 / 64
    assert 1 > conservative.weight_kept > aggressive.weight_kept > 0.5
    assert exact.weight_kept > 0.99
    assert conservative.kept_fraction < conservative.candidates_fraction


def test_attention_finds_the_supporting_facts():
    found = total = 0
    for story in held_out(25):
        memory = NETWORK.memory(story)
        answers = NETWORK.answer(memory, [question.text for question in story.questions])
        strongest = attention_weights(memory.keys, answers.queries).argmax(axis=-1)  # (hops, b)
        for rows, question in zip(strongest.T, story.questions, strict=True):
            found += len(set(question.support) & set(rows.tolist()))
            total += len(question.support)
    assert found >= 0.8 * total


def test_attention_is_pluggable_and_sees_one_memory():
    seen = []

    def attention(keys, values, queries):
        seen.append((keys, values))
        return attend_exactly(keys, values, queries)

    answers = NETWORK.answer(MEMORY, QUESTIONS, attention)
    assert [(keys is MEMORY.keys, values is MEMORY.values) for keys, values in seen] == [(True, True)] * NETWORK.hops
    assert answers.words == NETWORK.answer(MEMORY, QUESTIONS).words


def test_golden_attention_is_the_golden_model():
    attention = GoldenAttention(m_fraction=0.5, t=5.0)
    answers = NETWORK.answer(MEMORY, QUESTIONS, attention)
    assert len(attention.calls) == NETWORK.hops and attention.saturated == 0
    codes = [np.floor(16 * part + 0.5).astype(np.int64) for part in (MEMORY.keys, MEMORY.values, answers.queries[1])]
    found = attend(*codes, numbers=A3Numbers(), m=len(STORY) // 2, t=5.0)
    np.testing.assert_array_equal(found.result, attention.calls[1].result)
    np.testing.assert_array_equal(answers.outputs[1], found.result / 2.0**11)
    for call, weight in zip(attention.calls, attention.weights_kept, strict=True):
        assert (call.kept <= call.candidates).all() and (weight > 0).all() and (weight <= 1 + 1e-9).all()


def test_golden_attention_counts_what_does_not_fit():
    attention = GoldenAttention(numbers=A3Numbers(integer_bits=1))
    NETWORK.answer(MEMORY, QUESTIONS, attention)
    assert attention.saturated > 0


def test_iterations():
    assert [iterations(50, part) for part in (1, 0.75, 0.5, 0.25, 0.125)] == [50, 37, 25, 12, 6]
    assert iterations(3, 0.125) == 1


@pytest.mark.parametrize("count", [0, 65])
def test_stories_that_do_not_fit(count):
    with pytest.raises(ConfigError, match=f"the story has {count} statements; the network takes 1 to 64"):
        NETWORK.memory(["Ada goes to the attic."] * count)


def test_unknown_words_are_refused():
    with pytest.raises(ConfigError, match="unknown words: elephant"):
        NETWORK.answer(MEMORY, ["Where is the elephant?"])
    with pytest.raises(ConfigError, match="unknown words: eats"):
        NETWORK.memory(["Ada eats the lantern."])


def test_bad_files(tmp_path):
    whole = (DIRECTORY / "model.safetensors").read_bytes()
    tensors = safetensors.numpy.load(whole)
    metadata = {"vitforge": json.dumps({"vocabulary": NETWORK.vocabulary, "hops": NETWORK.hops})}
    bad = {
        "cut off": whole[:1000],
        "empty": b"",
        "no facts": safetensors.numpy.save(tensors),
        "no tensor": safetensors.numpy.save({"x": tensors["turn"]}, metadata),
        "misshapen": safetensors.numpy.save({**tensors, "key_ages": tensors["key_ages"][:, :5]}, metadata),
        "no hops": safetensors.numpy.save(tensors, {"vitforge": json.dumps({"vocabulary": NETWORK.vocabulary})}),
    }
    for name, content in bad.items():
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read as safetensors|is no whole memory network"):
            MemoryNetwork.load(file)
    with pytest.raises(ModelError, match="cannot be read"):
        MemoryNetwork.load(tmp_path / "absent.safetensors")
    file = tmp_path / "good.safetensors"
    file.write_bytes(safetensors.numpy.save(tensors, metadata))
    assert MemoryNetwork.load(file).vocabulary == NETWORK.vocabulary
