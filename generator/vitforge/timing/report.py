# SPDX-License-Identifier: Apache-2.0
"""The figures of a trace: what each unit does in steady state, who waits for whom, and how deep FIFOs must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from vitforge.design.design import Design
from vitforge.design.loops import LOOPS
from vitforge.quantize.model import QuantModel
from vitforge.timing.blocks import ARRAY_LOOP, ARRAYS, DRAINS, UNITS, WORK, Fifo
from vitforge.timing.estimate import macs_per_image
from vitforge.timing.solution import Deadlock, Solution

IN_FLIGHT = 4


@dataclass(frozen=True, kw_only=True)
class FifoRow:
    """A FIFO: its depth, how full it gets, and the smallest depth that costs no cycle."""

    name: str
    depth: int
    occupancy: int
    smallest: int | None


@dataclass(frozen=True, kw_only=True)
class StallRow:
    """Cycles of the steady state in which a unit stands still, as a fraction, and why."""

    unit: str
    cause: str
    fraction: float


@dataclass(frozen=True, kw_only=True)
class TraceReport:
    """Simulated cycles of a project; fractions are of the steady state."""

    images: int
    in_flight: int
    clock_mhz: float
    cycles_per_image: float | None
    fps: float | None
    latency_cycles: int | None  # of a launch of one image
    dsp: int
    dsp_roof_fraction: float | None  # MACs per image / (2 * device DSPs * cycles)
    macs_per_image: int
    linear_cycles: float | None = None  # an image, of the linear layers of all blocks, both arrays added up
    busy: dict[str, float] = field(default_factory=dict)
    engine_balance: float | None = None  # multiplying cycles of the less loaded array / of the other
    ddr_gbps: float | None = None
    ddr_bytes_per_image: int = 0  # of a further image of a launch, by its chunk lists
    ddr_bytes_per_launch: int = 0  # that are read once and stay on chip
    stalls: list[StallRow] = field(default_factory=list)
    fifos: list[FifoRow] = field(default_factory=list)
    buffers: dict[str, str] = field(default_factory=dict)
    deadlock: dict[str, object] | None = None
    loops: dict[str, dict[str, object]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return asdict(self)

    @classmethod
    def of_deadlock(
        cls,
        design: Design,
        images: int,
        fifos: Sequence[Fifo],
        capacities: Mapping[str, int | None],
        deadlock: Deadlock,
        cure: str,
    ) -> TraceReport:
        """Without times: the processes wait for each other."""
        circle = [
            {"unit": _unit(wait.node), "fifo": _fifo(fifos, wait.stream), "is": wait.state, "depth": wait.capacity}
            for wait in deadlock.circle
        ]
        for fifo in fifos:
            cure = cure.replace(fifo.path, fifo.name)
        return cls(
            images=images,
            in_flight=IN_FLIGHT,
            clock_mhz=design.clock_mhz,
            cycles_per_image=None,
            fps=None,
            latency_cycles=None,
            dsp=0,
            dsp_roof_fraction=None,
            macs_per_image=macs_per_image(design),
            fifos=[
                FifoRow(name=fifo.name, depth=capacities[fifo.path] or 0, occupancy=0, smallest=None) for fifo in fifos
            ],
            deadlock={"cycle": deadlock.cycle, "circle": circle, "cure": cure},
            loops=_loops(),
        )


def _unit(node: str) -> str:
    return UNITS.get(node, node.rsplit("/", 1)[-1])


def _fifo(fifos: Sequence[Fifo], path: str) -> str:
    return next((fifo.name for fifo in fifos if fifo.path == path), path)


def _loops() -> dict[str, dict[str, object]]:
    return {name: {"interval": loop.interval, "depth": loop.depth, "what": loop.what} for name, loop in LOOPS.items()}


def array_cycles(solution: Solution, engine: str) -> tuple[int, int]:
    """(cycles in which the array of ``engine`` multiplies, in which it requantises) within the solution's window."""
    work = drains = 0
    for (node, loop, kind), count in solution.iterations.items():
        if node == ARRAYS[engine] and loop == ARRAY_LOOP:
            work += count if kind & WORK else 0
            drains += count if kind & DRAINS else 0
    return work, drains


def _busy(solution: Solution, cycles: int) -> dict[str, float]:
    """Fractions: arrays by their products, requantisation by its drained groups, the rest by their iterations."""
    busy = {}
    for engine, title in (("nsa", "attention"), ("nmp", "MLP")):
        work, drains = array_cycles(solution, engine)
        busy[f"{engine}_array"] = work / cycles
        busy[f"{title} requantisation"] = drains / cycles
    for node, unit in UNITS.items():
        if node not in ARRAYS.values() and node in solution.nodes:
            used = sum(
                count * LOOPS[loop].interval
                for (where, loop, kind), count in solution.iterations.items()
                if where == node and kind
            )
            busy[unit] = (used or solution.nodes[node].busy) / cycles
    return {name: round(value, 4) for name, value in busy.items()}


def _stalls(solution: Solution, fifos: Sequence[Fifo], cycles: int) -> list[StallRow]:
    rows = [
        StallRow(unit=_unit(node), cause=f"{_fifo(fifos, stream)} {state}", fraction=round(count / cycles, 4))
        for (node, stream, state), count in solution.waits.items()
    ]
    rows += [
        StallRow(unit=unit, cause="DDR", fraction=round(solution.nodes[node].stall_memory / cycles, 4))
        for node, unit in UNITS.items()
        if node in solution.nodes
    ]
    return sorted((row for row in rows if row.fraction > 0), key=lambda row: -row.fraction)


def _buffers(design: Design) -> dict[str, str]:
    """Ping-pong buffers: two of each are the least that lets a unit write while another reads."""
    return {
        "attention weights": f"2 x {design.attention_depth} entries",
        "softmax reciprocals": f"2 x {design.nsa.token_tiles * design.nsa.drain_groups} drain groups",
        "weight tiles, attention": f"2 x {design.max_k_tiles_nsa} k tiles",
        "weight tiles, MLP": f"2 x {design.max_k_tiles_nmp} k tiles",
    }


def steady_report(
    *,
    design: Design,
    model: QuantModel,
    images: int,
    steady: Solution,
    linear: int,
    traffic: tuple[int, int],
    window: tuple[int, int],
    whole: Solution,
    latency: int,
    fifos: Sequence[Fifo],
    smallest: Mapping[str, int] | None,
    dsp: int,
) -> TraceReport:
    """From the whole launch and its steady state, a round of the ring in which four images enter and leave.

    linear : cycles of the linear layers in the steady state
    traffic : bytes of a further image, and those that are read once a launch
    """
    total = window[1] - window[0]
    per_image = total / IN_FLIGHT
    fps = design.clock_mhz * 1e6 / per_image
    macs, (moved, kept) = macs_per_image(design, model.keep), traffic
    loads = sorted(array_cycles(steady, engine)[0] for engine in ARRAYS)
    used = [fifo for fifo in fifos if whole.streams[fifo.path].tokens]
    return TraceReport(
        images=images,
        in_flight=IN_FLIGHT,
        clock_mhz=design.clock_mhz,
        cycles_per_image=per_image,
        fps=round(fps, 1),
        latency_cycles=latency,
        dsp=dsp,
        dsp_roof_fraction=round(macs / (2 * design.board.dsp * per_image), 4),
        macs_per_image=macs,
        linear_cycles=linear / IN_FLIGHT,
        busy=_busy(steady, total),
        engine_balance=round(loads[0] / loads[1], 4),
        ddr_gbps=round(moved * fps / 1e9, 3),
        ddr_bytes_per_image=moved,
        ddr_bytes_per_launch=kept,
        stalls=_stalls(steady, fifos, total),
        fifos=[
            FifoRow(
                name=fifo.name,
                depth=whole.streams[fifo.path].capacity or 0,
                occupancy=whole.streams[fifo.path].occupancy,
                smallest=None if smallest is None else smallest[fifo.path],
            )
            for fifo in used
        ],
        buffers=_buffers(design),
        loops=_loops(),
    )
