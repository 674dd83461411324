# SPDX-License-Identifier: Apache-2.0
"""`vitforge demo a3`: questions about stories, answered by a memory network whose attention is the simulated board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.a3_generate import A3GenerateResult, generate_a3
from vitforge.boards import Board
from vitforge.config import ProjectConfig
from vitforge.csim.checks import OverlayCsimResult
from vitforge.csim.overlay import csim_overlay
from vitforge.csim.project import load_a3_project
from vitforge.deploy.overlay import OVERLAY_NAME, link_library
from vitforge.stories import SETTINGS, GoldenAttention, MemoryNetwork, Question, Story, held_out
from vitforge.stories.attention import iterations
from vitforge_host import A3
from vitforge_host.sim import SimDevice

STORIES = 40
EXAMPLES = 4  # questions of the first story whose attended statements are shown
_SHOWN = 0.1  # least weight of a statement that is shown
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Attended:
    """A statement that a hop of a question attended to, and with what weight."""

    hop: int
    statement: int
    text: str
    weight: float


@dataclass(frozen=True)
class Example:
    """A question, what the simulated board's attention led to, and the statements it looked at."""

    question: str
    answer: str
    expected: str
    attended: tuple[Attended, ...]


@dataclass(frozen=True, kw_only=True)
class A3DemoResult:
    """What the demo found. Cycles are modelled; nothing ran on hardware."""

    generated: A3GenerateResult
    checked: OverlayCsimResult
    accuracy: dict[str, float]  # by setting
    driver_mismatches: int
    queries: int  # of the accelerator: questions times hops times settings
    questions: int
    statements: tuple[str, ...]  # of the story of the examples
    examples: tuple[Example, ...]

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        figures = self.generated.to_json()
        return {
            "board": figures["board"],
            "questions": self.questions,
            **{f"accuracy_{name}": value for name, value in self.accuracy.items()},
            "driver_mismatches": self.driver_mismatches,
            "queries": self.queries,
            "csim_mismatches": self.checked.mismatches_of("vitforge"),
            "csim_mismatches_amd": self.checked.mismatches_of("amd"),
            "dsp": figures["dsp"],
            "dsp_limit": figures["dsp_limit"],
            "directory": str(self.generated.directory),
            "story": list(self.statements),
            "examples": [asdict(example) for example in self.examples],
        }

    @property
    def passed(self) -> bool:
        """Whether csim and driver agree with the golden model everywhere."""
        return self.checked.mismatches == 0 and self.driver_mismatches == 0


class BoardAttention:
    """Attention on the board, each result compared with the golden model's."""

    def __init__(self, driver: A3) -> None:
        self._driver = driver
        self._loaded: NDArray | None = None
        self.golden = GoldenAttention()
        self.mismatches = 0
        self.queries = 0

    def choose(self, m_fraction: float | None, t: float | None) -> None:
        """For the calls from here on; M is a share of the statements."""
        self.golden = GoldenAttention(m_fraction, t)

    def __call__(self, keys: NDArray, values: NDArray, queries: NDArray) -> NDArray[np.float64]:
        """keys, values (n, d), queries (b, d) -> (b, d). A story is loaded once."""
        if self._loaded is not keys:
            self._driver.load(keys, values, scale=1.0)
            self._loaded = keys
        share = self.golden.m_fraction
        self._driver.m = None if share is None else iterations(len(keys), share)
        self._driver.t = self.golden.t
        result = self._driver.queries(queries)
        self.mismatches += int(np.count_nonzero(result != self.golden(keys, values, queries)))
        self.queries += len(queries)
        return result


def a3_demo(*, output: Path, board: Board, stories: int = STORIES, progress: Progress | None = None) -> A3DemoResult:
    """Generates an overlay for the memory network that ships, checks it, and answers all questions of held-out stories.

    output : directory of the project; replaced if a demo wrote it
    Raises ToolError where g++ or the AMD headers are missing, HostError where pynq is.
    """
    notify = progress or (lambda what, done, total: None)
    network, told = MemoryNetwork.load(), held_out(stories)
    notify("generate", 0, 1)
    sizes = {"n_max": network.most_statements, "d_max": network.width}
    config = ProjectConfig(kernel="a3").with_options(a3=sizes)
    generated = generate_a3(board=board, output=output, config=config)
    checked = csim_overlay(output, progress=progress)
    link_library(output / "overlay", load_a3_project(output).compile())
    with A3(output / "overlay" / f"{OVERLAY_NAME}.bit", device=SimDevice()) as driver:
        attention = BoardAttention(driver)
        right, examples = _answer(network, told, attention, notify)
    return A3DemoResult(
        generated=generated,
        checked=checked,
        accuracy={name: float(np.mean(answers)) for name, answers in right.items()},
        driver_mismatches=attention.mismatches,
        queries=attention.queries,
        questions=sum(len(story.questions) for story in told),
        statements=tuple(statement.text for statement in told[0].statements),
        examples=examples,
    )


def _answer(
    network: MemoryNetwork, stories: Sequence[Story], attention: BoardAttention, notify: Progress
) -> tuple[dict[str, list[bool]], tuple[Example, ...]]:
    """Whether each answer is right, by setting, and examples from the first story with exact attention."""
    right: dict[str, list[bool]] = {name: [] for name in SETTINGS}
    examples: tuple[Example, ...] = ()
    for done, story in enumerate(stories):
        notify("answer on the simulated board", done, len(stories))
        memory = network.memory(story)
        for name, (share, t) in SETTINGS.items():
            attention.choose(share, t)
            words = network.answer(memory, [one.text for one in story.questions], attention).words
            right[name] += [word == one.answer for word, one in zip(words, story.questions, strict=True)]
            if not examples:
                examples = _examples(story, words, attention.golden)
    return right, examples


def _examples(story: Story, words: Sequence[str], golden: GoldenAttention) -> tuple[Example, ...]:
    """The first questions of either kind."""
    firsts = [list(story.of_kind(kind))[: EXAMPLES // 2] for kind in ("one", "two")]
    chosen = [question for questions in firsts for question in questions]
    places = [story.questions.index(question) for question in chosen]
    return tuple(_example(story, story.questions[place], words[place], place, golden) for place in places)


def _example(story: Story, question: Question, word: str, place: int, golden: GoldenAttention) -> Example:
    attended = []
    for hop, call in enumerate(golden.calls, 1):
        weights = call.scores[place] / call.scores[place].sum()
        for row in np.argsort(-weights, kind="stable"):
            if weights[row] >= _SHOWN:
                attended.append(Attended(hop, int(row) + 1, story.statements[row].text, round(float(weights[row]), 3)))
    return Example(question.text, word, question.answer, tuple(attended))
