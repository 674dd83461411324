# SPDX-License-Identifier: Apache-2.0
"""host/notebooks/ of an A3 overlay: questions about stories, or plain attention where their network does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vitforge.codegen.a3_notebook_data import STORIES, Settings, misfit, random_data, story_data
from vitforge.codegen.environment import render
from vitforge.codegen.notebook import NOTEBOOKS, arrays, notebook
from vitforge.deploy.handoff import OVERLAY_NAME
from vitforge.design.a3 import A3Design
from vitforge.stories import SETTINGS

NAMES = {"stories": "a3_question_answering", "attention": "a3_attention"}


@dataclass(frozen=True)
class Setting:
    """A line of the notebook's table of settings; ``share`` and ``t`` as Python writes them."""

    name: str
    share: str
    t: str


@dataclass(frozen=True, kw_only=True)
class A3NotebookContext:
    """Context of ``a3_stories.md.jinja`` and ``a3_attention.md.jinja``."""

    board: str
    approximate: bool
    settings: Sequence[Setting]
    samples: str
    why: str = ""  # the network does not fit
    hops: int = 0  # of the network
    words: int = 0
    shown: Sequence[int] = field(default_factory=list)  # questions of the first story whose statements are shown
    stories: int = STORIES
    overlay: str = OVERLAY_NAME
    weights: str = ""
    imports: str = "A3, plots, sim"
    items: str = "queries"


def settings_of(design: A3Design) -> Settings:
    """What the notebook compares: the paper's settings, or without candidate selection their thresholds."""
    if design.approximate:
        return SETTINGS
    return {"exact": (None, None)} | {f"T = {t:g} %": (None, t) for _, t in SETTINGS.values() if t is not None}


def a3_notebook_files(design: A3Design) -> dict[str, bytes]:
    """The notebook and what it shows, by path in the project."""
    settings, why = settings_of(design), misfit(design)
    kind = "attention" if why else "stories"
    plain = A3NotebookContext(
        board=design.board.title,
        approximate=design.approximate,
        settings=[Setting(name, repr(share), repr(t)) for name, (share, t) in settings.items()],
        samples=f"{NAMES[kind]}.npz",
        why=why,
    )
    if why:
        context, shown = plain, random_data(design, settings)
    else:
        data = story_data(design, settings)
        context, shown = replace(plain, hops=data.hops, words=data.words, shown=data.shown), data.arrays
    text = render(f"host/notebooks/a3_{kind}.md.jinja", notebook=context)
    return {f"{NOTEBOOKS}/{NAMES[kind]}.ipynb": notebook(text), f"{NOTEBOOKS}/{context.samples}": arrays(shown)}
