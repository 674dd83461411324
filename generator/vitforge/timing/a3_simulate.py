# SPDX-License-Identifier: Apache-2.0
"""Simulated cycles of launches of an A3 kernel: csim with the recorder on, replayed with the intervals of the kernels.

A DMA engine that moves a beat a cycle, on either side, is part of what is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.a3_library import A3Library
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.project import A3Project
from vitforge.design.a3 import LANES, A3Design
from vitforge.design.loops import A3_LOOPS, CALL_CYCLES
from vitforge.errors import CheckError
from vitforge.golden.a3 import Attention, attend
from vitforge.timing.blocks import DEFAULT_DEPTH, declared_depths
from vitforge.timing.flushable import Flushed, flush
from vitforge.timing.recording import Recording, begin_recording, end_recording
from vitforge.timing.solution import Solution
from vitforge.timing.solver import LoopTiming, solve

ROUNDS = (12, 24)  # pairs a unit of the two launches whose difference is the steady state
# Of a launch beside those between its ports: its start and end, and a beat's way from the DMA engine and to it.
LAUNCH_CYCLES = 2 * CALL_CYCLES + A3_LOOPS["feed_beat"].depth + A3_LOOPS["drain_beat"].depth
_TIMINGS = {name: LoopTiming(loop.interval, loop.depth, loop.memory) for name, loop in A3_LOOPS.items()}
_FLUSHING = frozenset(name for name, loop in A3_LOOPS.items() if loop.flushes)

Capacities = Mapping[str, int | None]


@dataclass(frozen=True)
class Run:
    """A launch: what its processes did, and what it computed."""

    recording: Recording
    golden: Attention


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """A traced csim library of a project, and the depths that its sources declare."""

    kernel: A3Library
    depths: Mapping[str, int]
    name: str  # of the project, for people

    @classmethod
    def of(cls, project: A3Project) -> Simulator:
        """Raises ToolError if the project cannot be compiled."""
        compiled = CsimLibrary(project.compile(defines=("VITFORGE_TRACE",)))
        return cls(
            kernel=A3Library(csim=compiled, design=project.design),
            depths=declared_depths(Path(project.directory) / "hls"),
            name=str(project.directory),
        )

    @property
    def design(self) -> A3Design:
        return self.kernel.design

    def load(self, keys: NDArray, values: NDArray) -> Recording:
        """Keys and values (n, d) into all units."""
        begin_recording(self.kernel.csim)
        self.kernel.load(keys, values)
        return end_recording(self.kernel.csim)

    def run(
        self, keys: NDArray, values: NDArray, queries: NDArray, *, scale: float, m: int | None, t: float | None
    ) -> Run:
        """Queries (b, d) over the keys and values that are loaded. Raises CheckError if the results are wrong."""
        golden = attend(keys, values, queries, numbers=self.design.numbers, scale=scale, m=m, t=t)
        begin_recording(self.kernel.csim)
        result, _ = self.kernel.query(queries, len(keys), scale=scale, m=m, t=t)
        run = Run(end_recording(self.kernel.csim), golden)
        wrong = int(np.count_nonzero(result != golden.result))
        if wrong:
            raise CheckError(
                f"csim of {self.name} differs from the golden model in {wrong:,} of {result.size:,} results, so that "
                f"its times mean nothing; vitforge csim {self.name} shows where"
            )
        return run

    def steady_interval(
        self, keys: NDArray, values: NDArray, queries: NDArray, *, scale: float, m: int | None, t: float | None
    ) -> float:
        """Simulated cycles between two groups of queries that all units take at once, keys and values being loaded.

        queries (b, d), of which the first 24 groups are used, again from the first if there are fewer.
        """
        ends = []
        for rounds in ROUNDS:
            some = queries[np.arange(rounds * LANES * self.design.units) % len(queries)]
            run = self.run(keys, values, some, scale=scale, m=m, t=t)
            ends.append(solve_launch(run.recording, self.capacities(run.recording)).cycles)
        return (ends[1] - ends[0]) / (ROUNDS[1] - ROUNDS[0])

    def latency(self, recording: Recording) -> int:
        """Simulated cycles of a lone query, from its first beat at the kernel to the last one of its result."""
        return solve_launch(recording, self.capacities(recording)).cycles - LAUNCH_CYCLES

    def capacities(self, recording: Recording) -> dict[str, int | None]:
        """Depth of each stream of a recording, by its path, as declared."""
        return {path: self.depths.get(path.rsplit("/", 1)[-1], DEFAULT_DEPTH) for path in recording.stream_paths}


def flushed(recording: Recording, capacities: Capacities) -> Flushed:
    """With all that the solver takes: its capacities include those inside of pipelines."""
    parts = flush(recording, _TIMINGS, _FLUSHING)
    known = {path: capacities[path] for path in recording.stream_paths}
    return replace(parts, capacities=parts.capacities | known)


def solve_launch(recording: Recording, capacities: Capacities) -> Solution:
    """Times of one launch."""
    parts = flushed(recording, capacities)
    return solve(parts.recording, parts.timings, parts.capacities, None, CALL_CYCLES)
