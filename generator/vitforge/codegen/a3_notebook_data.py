# SPDX-License-Identifier: Apache-2.0
"""What the notebook of an A3 overlay shows: stories for the memory network that ships, or random rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.design.a3 import A3Design
from vitforge.golden.a3 import attend
from vitforge.stories import KINDS, GoldenAttention, MemoryNetwork, Story, held_out
from vitforge.stories.attention import iterations
from vitforge_host.fixed_point import encode

Settings = Mapping[str, tuple[float | None, float | None]]  # M as a share of the rows, T in percent
STORIES = 8
_SHOWN_OF_A_KIND = 2  # questions whose statements are shown
_ROWS, _QUERIES, _SEED = 48, 12, 20261123  # of random attention, as far as the design holds them
_NOISE = 0.3  # deviation of a query's elements from those of its row, which lie in [-1, 1]


@dataclass(frozen=True, kw_only=True)
class StoryData:
    """``arrays`` of the .npz file, and what the text of the notebook says of them."""

    arrays: dict[str, NDArray]
    hops: int
    words: int
    shown: list[int]  # questions of the first story


def misfit(design: A3Design) -> str:
    """Why the memory network that ships does not fit ``design``; empty if it does."""
    network = MemoryNetwork.load()
    n, d = network.most_statements, network.width
    if design.n_max < n or design.d_max < d:
        return f"it needs {n} rows of {d} elements, and the overlay holds {design.n_max} of {design.d_max}"
    golden = GoldenAttention(numbers=design.numbers)
    for story in held_out(STORIES):
        network.answer(network.memory(story), [one.text for one in story.questions], golden)
    if golden.saturated:
        most = design.numbers.limit / (1 << design.numbers.fraction_bits)
        return f"some of its numbers are larger than {most:g}, the largest of this overlay"
    return ""


def story_data(design: A3Design, settings: Settings) -> StoryData:
    """Stories, the network's tables, and of the first story what the golden model is asked for and gives.

    queries, results : (settings, hops * questions, d) codes
    support : (questions, 2) statements that hold the answer; those of one twice the same
    """
    network, stories = MemoryNetwork.load(), held_out(STORIES)
    first = stories[0]
    queries, results = zip(*(_checked(network, first, design, *setting) for setting in settings.values()), strict=True)
    content: dict[str, NDArray] = {
        "tables": np.array(list(network.tensors)),
        **{name: table.astype(np.float32) for name, table in network.tensors.items()},  # as they are stored
        "vocabulary": np.array(network.vocabulary),
        "statements": _texts([[one.text for one in story.statements] for story in stories]),
        "questions": _texts([[one.text for one in story.questions] for story in stories]),
        "answers": _texts([[one.answer for one in story.questions] for story in stories]),
        "support": np.array([(one.support[0], one.support[-1]) for one in first.questions], np.int64),
        "queries": np.array(queries, np.int16),
        "results": np.array(results, np.int32),
    }
    shown = [first.questions.index(one) for kind in KINDS for one in first.of_kind(kind)[:_SHOWN_OF_A_KIND]]
    return StoryData(arrays=content, hops=network.hops, words=len(network.vocabulary), shown=shown)


def random_data(design: A3Design, settings: Settings) -> dict[str, NDArray]:
    """Rows, queries near some of them, and what the golden model gives: results (settings, queries, d) codes."""
    rng = np.random.default_rng(_SEED)
    n = min(_ROWS, design.n_max, design.d_max)  # the unit matrix of n columns is loaded too
    keys, values = rng.uniform(-1, 1, (2, n, design.d_max))
    rows = rng.integers(0, n, _QUERIES)
    queries = np.clip(keys[rows] + rng.normal(0, _NOISE, (_QUERIES, design.d_max)), -1, 1)
    key, value, codes = (_codes(part, design) for part in (keys, values, queries))
    results = [
        attend(key, value, codes, numbers=design.numbers, m=None if share is None else iterations(n, share), t=t).result
        for share, t in settings.values()
    ]
    return {
        "keys": keys,
        "values": values,
        "queries": queries,
        "rows": rows,
        "codes": codes,
        "results": np.array(results, np.int32),
    }


def _checked(
    network: MemoryNetwork, story: Story, design: A3Design, share: float | None, t: float | None
) -> tuple[NDArray, NDArray]:
    """Codes of all queries that the questions of ``story`` lead to, hop after hop, and of their results."""
    golden = GoldenAttention(share, t, design.numbers)
    found = network.answer(network.memory(story), [one.text for one in story.questions], golden)
    return _codes(found.queries.reshape(-1, network.width), design), np.concatenate([c.result for c in golden.calls])


def _codes(reals: NDArray, design: A3Design) -> NDArray[np.int16]:
    return encode(reals, design.numbers.integer_bits, design.numbers.fraction_bits)[0]


def _texts(rows: Sequence[Sequence[str]]) -> NDArray[np.str_]:
    """Rows of texts, of the length of the longest one, filled up with empty texts."""
    longest = max(map(len, rows))
    return np.array([[*row, *[""] * (longest - len(row))] for row in rows])
