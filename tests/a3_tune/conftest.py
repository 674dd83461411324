# SPDX-License-Identifier: Apache-2.0
"""A small A3 project, and data that makes its approximation easy or hard."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import A3Config, ProjectConfig

SIZES = A3Config(n_max=24, d_max=8, width=8)
N, D = 20, 8


class Data(NamedTuple):
    """Keys, values (n, d) and queries (b, d)."""

    keys: NDArray
    values: NDArray
    queries: NDArray


def make_data(kind: str, seed: int = 0, n: int = N, d: int = D, count: int = 12) -> Data:
    """peaky: each query resembles a key; flat: none does; shifted: all dot products are positive."""
    rng = np.random.default_rng(seed)
    keys, values = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    queries = rng.normal(size=(count, d))
    if kind == "peaky":
        queries = 3 * keys[rng.integers(0, n, count)] + 0.3 * queries
    elif kind == "shifted":
        keys, queries = np.abs(keys), np.abs(queries)
    else:
        queries *= 0.3
    return Data(keys, values, queries)


def save(data: Data, directory: Path) -> list[str]:
    """As files; returns the options that name them."""
    options = []
    for name, array in data._asdict().items():
        np.save(directory / f"{name}.npy", array)
        options += [f"--{name}", str(directory / f"{name}.npy")]
    return options


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled once: the cache goes by content."""
    output = tmp_path_factory.mktemp("a3-tune") / "a3"
    config = ProjectConfig(kernel="a3", a3=SIZES)
    return generate_a3(board=load_board("zcu104"), output=output, config=config).directory
