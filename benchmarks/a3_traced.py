# SPDX-License-Identifier: Apache-2.0
"""Simulated cycles of the generated A3 kernel on heads of the encoder: csim with the recorder on, then replayed.

Every result of csim is compared with the golden model on the way.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from a3_heads import Setting
from bert import Bert, encode, float_attention
from numpy.typing import NDArray

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import A3Config, ProjectConfig
from vitforge.csim.project import load_a3_project
from vitforge.design.a3_numbers import A3Numbers
from vitforge.timing.a3_simulate import Simulator, solve_launch

BOARD = "zcu104"
Launch = tuple[int, int, str]  # tokens, layer, setting


def traced(
    model: Bert, cut: Sequence[Sequence[int]], settings: Mapping[str, Setting], advance: Callable[[int, int], None]
) -> dict[str, Any]:
    """Setting -> simulated throughput as a multiple of that of "exact", over all queries of one head of each layer.

    cut : passages of tokens; settings : those with numbers of another design are left out
    advance : called with (done, total)

    A launch takes all queries of a passage; keys and values are loaded. Raises ToolError without a compiler and
    CheckError if csim differs from the golden model.
    """
    fitting = {name: setting for name, setting in settings.items() if setting.numbers == A3Numbers()}
    fitting = {"exact": Setting(), **fitting}
    d = model.head_dim
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch:
        sizes = A3Config(n_max=max(map(len, cut)), d_max=d, units=1)
        config = ProjectConfig(kernel="a3", a3=sizes)
        generate_a3(board=load_board(BOARD), output=Path(scratch) / "a3", config=config)
        simulator = Simulator.of(load_a3_project(Path(scratch) / "a3"))
        cycles: dict[Launch, int] = {}

        def watch(layer: int, queries: NDArray, keys: NDArray, values: NDArray) -> NDArray:
            head = layer * model.heads // model.depth
            for name, setting in fitting.items():
                advance(len(cycles), len(cut) * model.depth * len(fitting))
                cycles[len(keys[head]), layer, name] = _launch(
                    simulator, setting, queries[head], keys[head], values[head]
                )
            return float_attention(layer, queries, keys, values)

        for tokens in cut:
            encode(model, tokens, watch)
    return {
        "heads": f"one of each layer, on passages of {', '.join(str(len(tokens)) for tokens in cut)} tokens",
        "board": BOARD,
        "speedup": {name: _ratio(cycles, name) for name in fitting},
        "speedup_by_tokens": {
            name: {len(tokens): _ratio(cycles, name, len(tokens)) for tokens in cut} for name in fitting
        },
    }


def _launch(simulator: Simulator, setting: Setting, query: NDArray, key: NDArray, value: NDArray) -> int:
    """Simulated cycles from the first query to the last result."""
    (queries, _), (keys, _), (values, _) = setting.encode(query, key, value)
    n, d = key.shape
    simulator.load(keys, values)
    run = simulator.run(keys, values, queries, scale=1 / math.sqrt(d), m=setting.iterations(n), t=setting.t)
    return solve_launch(run.recording, simulator.capacities(run.recording)).cycles


def _ratio(cycles: Mapping[Launch, int], name: str, tokens: int | None = None) -> float:
    """Of "exact" to the setting."""

    def total(setting: str) -> float:
        chosen = [count for (n, _, each), count in cycles.items() if each == setting and tokens in (None, n)]
        return float(np.sum(chosen))

    return round(total("exact") / total(name), 3)
