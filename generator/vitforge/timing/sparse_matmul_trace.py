# SPDX-License-Identifier: Apache-2.0
"""`vitforge trace` of a sparse_matmul project: simulated cycles of dense and pruned products at the compiled maxima.

Launches of two lengths give the cycles of a block of rows in steady state. DDR, and a DMA engine on either side that
moves a beat a cycle, are part of what is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.project import SparseMatmulProject, load_sparse_matmul_project
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary
from vitforge.design.geometry import ceil_div
from vitforge.design.loops import CALL_CYCLES, SPARSE_MATMUL_LOOPS
from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge.design.sparse_matmul_resources import sparse_matmul_dsp_rows
from vitforge.errors import CheckError
from vitforge.golden.sparse_matmul import sparse_matmul
from vitforge.timing.a3_report import deadlock_facts, fifo_rows, short_name, stall_rows
from vitforge.timing.blocks import DEFAULT_DEPTH, Fifo, declared_depths, with_depths
from vitforge.timing.depths import smallest_depths
from vitforge.timing.flushable import Flushed
from vitforge.timing.recording import Recording, begin_recording, end_recording
from vitforge.timing.report import FifoRow, StallRow
from vitforge.timing.solution import Solution
from vitforge.timing.solver import LoopTiming, MemoryModel, solve
from vitforge.timing.sparse_matmul_cases import MatrixCase, matrix_cases
from vitforge.timing.trace import ddr_model
from vitforge_host.sparse_matrix import DENSE, TWO_OF_FOUR, pack_matrix, prune_two_of_four

BLOCKS = (1, 3)  # of rows, of the two launches whose difference is the steady state
_SEED = 20261123
_ROOT = "top/launch/"
_TIMINGS = {name: LoopTiming(loop.interval, loop.depth, loop.memory) for name, loop in SPARSE_MATMUL_LOOPS.items()}
Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True, kw_only=True)
class ProductCycles:
    """Simulated cycles of one kind of matrix.

    macs : products that count, of a block of rows: pruned ones do not
    ideal_cycles : of a block, if every lane of the array always had one
    cycles : of a block in steady state
    launch_cycles : of a launch of one block, from its start to its end
    macs_per_cycle : in steady state
    busy, stalls : of the longer launch
    """

    kept_inputs: int
    kept_outputs: int
    macs: int
    ideal_cycles: int
    cycles: float
    launch_cycles: int
    macs_per_cycle: float
    array_busy: float  # cycles with products, of those of the block
    speedup: float  # over the dense product
    busy: dict[str, float]
    stalls: list[StallRow]


@dataclass(frozen=True, kw_only=True)
class SparseMatmulTraceReport:
    """Simulated cycles of a sparse_matmul project: rows of ``inputs`` times a matrix for ``outputs``."""

    block_rows: int
    inputs: int
    outputs: int
    clock_mhz: float
    dsp: int
    array_macs_per_cycle: int
    cases: dict[str, ProductCycles] = field(default_factory=dict)
    fifos: list[FifoRow] = field(default_factory=list)
    deadlock: dict[str, object] | None = None
    loops: dict[str, dict[str, object]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return asdict(self)


@dataclass(frozen=True)
class SparseMatmulTrace:
    """The longer launch of the dense product, how to solve it again, and the report on all."""

    recording: Recording
    machine: Machine
    report: SparseMatmulTraceReport


def trace_sparse_matmul(
    directory: Path | str,
    *,
    depths: Mapping[str, int] | None = None,
    clock_mhz: float | None = None,
    smallest: bool = True,
    kept: Sequence[float] = (0.5,),
    progress: Progress | None = None,
) -> SparseMatmulTrace:
    """Simulated cycles of the sparse_matmul project in ``directory``.

    depths : FIFO name -> depth, instead of the generated ones
    clock_mhz : instead of the design's; DDR keeps its bandwidth in bytes a second
    smallest : also search the smallest depth of each FIFO that costs the dense product no cycle
    kept : shares of the weights of pruned matrices, as in `matrix_cases`

    Raises
    ------
    ConfigError
        If ``directory`` is no such project, or an argument is out of range.
    CheckError
        If csim differs from the golden model, or faults.
    ToolError
        If there is no compiler.
    """
    notify = progress or (lambda what, done, total: None)
    project = load_sparse_matmul_project(directory)
    design = project.design
    clock = design.clock_mhz if clock_mhz is None else design.board.legal_clock(clock_mhz)
    library = SparseMatmulLibrary(csim=CsimLibrary(project.compile(defines=("VITFORGE_TRACE",))), design=design)
    machine = Machine(Path(directory) / "hls", ddr_model(design.board, clock), depths or {})
    facts = _facts(design, clock)
    cases = matrix_cases(design, kept)
    all_solved: list[Solution] = []
    products: dict[str, ProductCycles] = {}
    for done, case in enumerate(cases):
        notify("csim and solve", done, len(cases))
        runs = [_record(project, library, case, count) for count in BLOCKS]
        solved = [machine.solve(run) for run in runs]
        stuck = next((pair for pair in zip(runs, solved, strict=True) if pair[1].deadlock is not None), None)
        if stuck is not None:
            return SparseMatmulTrace(stuck[0], machine, replace(facts, deadlock=machine.deadlock(*stuck)))
        all_solved += solved
        products[case.name] = _cycles(design, case, solved, machine.fifos(runs[1]), products)
        if not done:
            dense, longest = runs
    notify("FIFO depths", 0, 1)
    least = machine.smallest(dense, all_solved[0]) if smallest else {}
    fifos = fifo_rows(machine.fifos(dense), all_solved, least, machine.capacities(dense))
    return SparseMatmulTrace(longest, machine, replace(facts, cases=products, fifos=fifos))


@dataclass(frozen=True)
class Machine:
    """What recordings are solved for."""

    hls: Path
    memory: MemoryModel
    depths: Mapping[str, int]

    def fifos(self, recording: Recording) -> list[Fifo]:
        declared = declared_depths(self.hls)
        return [
            Fifo(short_name(path), path, declared.get(path.rsplit("/", 1)[-1], DEFAULT_DEPTH))
            for path in recording.stream_paths
        ]

    def capacities(self, recording: Recording) -> dict[str, int | None]:
        return with_depths(self.fifos(recording), self.depths)

    def solve(self, recording: Recording, *, slices: bool = False) -> Solution:
        return solve(recording, _TIMINGS, self.capacities(recording), self.memory, CALL_CYCLES, slices=slices)

    def smallest(self, recording: Recording, solved: Solution) -> dict[str, int]:
        used = [path for path, use in solved.streams.items() if use.tokens]
        return smallest_depths(recording, _TIMINGS, self.capacities(recording), self.memory, CALL_CYCLES, used)

    def deadlock(self, recording: Recording, solved: Solution) -> dict[str, object]:
        launch = Flushed(recording, dict(_TIMINGS), self.capacities(recording))
        return deadlock_facts(launch, solved, self.fifos(recording))


def _facts(design: SparseMatmulDesign, clock: float) -> SparseMatmulTraceReport:
    """What is known before anything is solved."""
    loops: dict[str, dict[str, Any]] = {
        name: {"interval": loop.interval, "depth": loop.depth, "what": loop.what}
        for name, loop in SPARSE_MATMUL_LOOPS.items()
    }
    return SparseMatmulTraceReport(
        block_rows=design.block_rows,
        inputs=design.k_max,
        outputs=design.n_max,
        clock_mhz=clock,
        dsp=sum(sparse_matmul_dsp_rows(design).values()),
        array_macs_per_cycle=design.macs_per_cycle,
        loops=loops,
    )


def _record(project: SparseMatmulProject, library: SparseMatmulLibrary, case: MatrixCase, blocks: int) -> Recording:
    """What the processes do for so many blocks of rows. Raises CheckError if the results are wrong."""
    design = library.design
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(-127, 128, (design.n_max, design.k_max)).astype(np.int8)
    weights = drawn * (case.outputs[:, None] & case.inputs)
    if case.is_two_of_four:
        weights = prune_two_of_four(weights, case.inputs)
    rows = rng.integers(design.activation_lowest, 128, (blocks * design.block_rows, design.k_max)).astype(np.int8)
    rest: dict[str, Any] = {"mult": 1 << 15, "shift": 23 + design.k_max.bit_length() // 2}
    rest |= {"keep_inputs": case.inputs, "keep_outputs": case.outputs}
    matrix = pack_matrix(weights, library.format, sparsity=TWO_OF_FOUR if case.is_two_of_four else DENSE, **rest)
    begin_recording(library.csim)
    results, _ = library.multiply(rows, matrix)
    recording = end_recording(library.csim)
    wrong = int(np.count_nonzero(results != sparse_matmul(rows, weights, **rest)))
    if wrong:
        raise CheckError(
            f"csim of {project.directory} differs from the golden model in {wrong:,} of {results.size:,} results, so "
            f"that its times mean nothing; vitforge csim {project.directory} shows where"
        )
    return recording


def _cycles(
    design: SparseMatmulDesign,
    case: MatrixCase,
    solved: list[Solution],
    fifos: list[Fifo],
    before: Mapping[str, ProductCycles],
) -> ProductCycles:
    one, many = solved
    cycles = (many.cycles - one.cycles) / (BLOCKS[1] - BLOCKS[0])
    macs = case.macs(design.block_rows)
    working = sum(count for (_, loop, kind), count in one.iterations.items() if loop == "array_cycle" and kind & 1)
    dense = before["dense"].cycles if before else cycles
    return ProductCycles(
        kept_inputs=int(case.inputs.sum()),
        kept_outputs=int(case.outputs.sum()),
        macs=macs,
        ideal_cycles=ceil_div(macs, design.macs_per_cycle),
        cycles=cycles,
        launch_cycles=one.cycles,
        macs_per_cycle=round(macs / cycles, 1),
        array_busy=round(working / cycles, 4),
        speedup=round(dense / cycles, 3),
        busy={
            short_name(node): round(times.busy / many.cycles, 4)
            for node, times in many.nodes.items()
            if times.busy and node.startswith(_ROOT)
        },
        stalls=stall_rows(many, fifos),
    )
