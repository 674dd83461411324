# SPDX-License-Identifier: Apache-2.0
"""`vitforge demo a3`: stories through the real pynq package and the generated kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitforge.a3_demo import A3DemoResult, a3_demo
from vitforge.boards import load_board
from vitforge.stories import held_out

STORIES = 6


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> A3DemoResult:
    return a3_demo(output=tmp_path_factory.mktemp("demo") / "a3", board=load_board("zcu104"), stories=STORIES)


def test_driver_and_csim_agree_with_the_golden_model(result: A3DemoResult) -> None:
    assert result.passed
    facts = result.to_json()
    assert [facts[name] for name in ("driver_mismatches", "csim_mismatches", "csim_mismatches_amd")] == [0, 0, 0]


def test_every_question_is_asked_in_every_setting_and_hop(result: A3DemoResult) -> None:
    questions = sum(len(story.questions) for story in held_out(STORIES))
    assert result.questions == questions
    assert result.queries == questions * 3 * 3


def test_exact_attention_answers_best(result: A3DemoResult) -> None:
    facts = result.to_json()
    assert facts["accuracy_exact"] >= 0.9
    assert facts["accuracy_exact"] >= facts["accuracy_aggressive"] > 0.3  # type: ignore[operator]
    assert facts["accuracy_conservative"] > 0.7  # type: ignore[operator]


def test_examples_show_statements_of_the_story_with_their_weight(result: A3DemoResult) -> None:
    assert len(result.examples) == 4
    for example in result.examples:
        assert example.attended
        for one in example.attended:
            assert result.statements[one.statement - 1] == one.text
            assert 0.1 <= one.weight <= 1


def test_the_project_is_left_for_the_user(result: A3DemoResult) -> None:
    directory = Path(str(result.to_json()["directory"]))
    assert (directory / "hls" / "src" / "vitforge_a3.cpp").is_file()
    assert (directory / "overlay" / "vitforge.hwh").is_file()
