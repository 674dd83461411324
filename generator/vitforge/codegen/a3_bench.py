# SPDX-License-Identifier: Apache-2.0
"""What the generated test bench of an A3 project runs: seeded keys, values and queries, and the golden results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.codegen.a3_packets import load_packet, load_registers, query_registers, results_packet, rows_packet
from vitforge.design.a3 import LANES, A3Design
from vitforge.golden.a3 import attend

_SEED = 20261123
_ROWS = 50  # of a story, or of an image of 7 x 7 patches; fewer if the design holds fewer
_T = 5.0  # percent: the paper's conservative setting, with M = n / 2


@dataclass(frozen=True, kw_only=True)
class BenchLaunch:
    """One launch of queries and what must come out."""

    name: str  # of the file of its results
    registers: list[int]
    results: bytes
    candidates: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class BenchData:
    """All packets of the test bench."""

    load: bytes
    load_registers: list[int]
    queries: bytes
    vectors: int
    launches: list[BenchLaunch]


@dataclass(frozen=True, kw_only=True)
class BenchInputs:
    """Codes of keys and values (n, d) and of queries (b, d), and M and T of each launch by name."""

    keys: NDArray[np.int64]
    values: NDArray[np.int64]
    queries: NDArray[np.int64]
    settings: dict[str, tuple[int | None, float | None]]


def bench_inputs(design: A3Design) -> BenchInputs:
    """A load and an odd number of queries, of all rows and (if the design can) of candidates alone."""
    n, d, vectors = min(design.n_max, _ROWS), design.d_max, 2 * LANES * design.units + 1
    rng = np.random.default_rng(_SEED)
    one = 1 << design.numbers.fraction_bits
    limit = design.numbers.limit
    keys, values, queries = (
        np.clip(np.rint(rng.normal(scale=one, size=(rows, d))), -limit, limit).astype(np.int64)
        for rows in (n, n, vectors)
    )
    settings: dict[str, tuple[int | None, float | None]] = {"results": (None, None)}
    if design.approximate:
        settings["results_approximate"] = (max(1, n // 2), _T)
    return BenchInputs(keys=keys, values=values, queries=queries, settings=settings)


def bench_data(design: A3Design) -> BenchData:
    """Packets and registers of `bench_inputs`, and what must come out."""
    inputs = bench_inputs(design)
    (n, d), vectors = inputs.keys.shape, len(inputs.queries)
    launches = []
    for name, (m, t) in inputs.settings.items():
        scale = d**-0.5
        golden = attend(inputs.keys, inputs.values, inputs.queries, numbers=design.numbers, scale=scale, m=m, t=t)
        launches.append(
            BenchLaunch(
                name=name,
                registers=query_registers(design, n, d, vectors, scale, m, t),
                results=results_packet(design, golden.result),
                candidates=int(golden.candidates.sum()),
                kept=int(golden.kept.sum()),
            )
        )
    return BenchData(
        load=load_packet(design, inputs.keys, inputs.values),
        load_registers=load_registers(n, d, (1 << design.units) - 1),
        queries=rows_packet(design, inputs.queries),
        vectors=vectors,
        launches=launches,
    )
