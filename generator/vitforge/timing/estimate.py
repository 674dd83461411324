# SPDX-License-Identifier: Apache-2.0
"""Closed-form cycles of a design: the loops of the kernels, counted; nothing is run.

It assumes that the tool reaches the initiation intervals written in the kernels. Pipeline depths are modelled.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry, LinearShape, ceil_div

# Modelled latencies [clock cycles]; one place for all.
ARRAY_DEPTH = 32  # array loop: operand read, cascade, accumulation, requantisation
SOFTMAX_DEPTH = 40  # exponent, then the reciprocal's 17 subtractions
NORM_DEPTH = 80  # root and quotient of a token, normalisation
RECIPROCAL_INTERVAL = 8  # cycles between the token groups whose root and quotient share a divider
SLOT_OVERHEAD = 8  # start and end of a dataflow region
STEP_OVERHEAD = 16
DDR_LATENCY = 64  # of a unit's first burst, once a step
DDR_EFFICIENCY = 0.7  # of the peak bandwidth, under several concurrent bursts

HEADER_BYTES = 32
GELU_BEAT_CYCLES = 8  # the table is copied for every drained value
UNITS = ("ln1", "nsa", "ln2", "nmp")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Modelled timing of a design in steady state."""

    cycles_per_image: int
    latency_cycles: int  # of one image alone
    clock_mhz: float
    fps: float
    busy: dict[str, float]  # unit, or softmax -> fraction of the steady state that it works
    array_busy: dict[str, float]  # engine -> fraction of the steady state in which its array multiplies
    array_efficiency: dict[str, float]  # engine -> fraction of its multiplications that the model needs
    engine_balance: float  # busy cycles of the less loaded array / of the other
    ddr_bytes_per_image: int
    macs_per_image: int
    dsp_roof_fraction: float  # multiplications of the model / what all DSPs of the device could do, two a cycle
    limited_by: str  # unit or "ddr"

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """Cycles of the parts that a schedule puts into steps, and multiplication cycles of the arrays."""

    ln1: int
    ln1_first: int  # block 0: the residual arrives as a table
    ln1_final: int
    nsa: int
    nsa_head: int
    ln2: int
    ln2_load: int
    nmp: int
    nmp_embed: int
    softmax: int  # within nsa
    nsa_work: int  # cycles in which the array multiplies, a block
    nmp_work: int
    nsa_head_work: int
    nmp_embed_work: int


def _header(design: Design) -> int:
    return HEADER_BYTES // design.beat_bytes


def linear_cycles(
    design: Design,
    engine: EngineGeometry,
    shape: LinearShape,
    tiles: int,
    *,
    columns: int | None = None,
    gelu: bool = False,
) -> int:
    """A LINEAR job over ``tiles`` token tiles: first weight tile, then every column tile, then the last drain."""
    columns = shape.column_tiles if columns is None else columns
    work = tiles * max(shape.k_tiles, engine.drain_groups)
    period = max(work, shape.tile_beats)
    table = 256 // design.beat_bytes * GELU_BEAT_CYCLES if gelu else 0
    loop = (columns - 1) * period + work + engine.drain_groups
    return _header(design) + table + shape.tile_beats + loop + ARRAY_DEPTH


def attention_cycles(design: Design, engine: EngineGeometry, k_tiles: int, columns: int) -> int:
    """A SCORE or CONTEXT job of one head; both operands are on chip."""
    loop = engine.token_tiles * columns * max(k_tiles, engine.drain_groups) + engine.drain_groups
    return _header(design) + loop + ARRAY_DEPTH


def norm_cycles(design: Design, tokens: int, *, table: bool = False) -> int:
    """A NORM operation: records, the table where there is one, then a word a cycle."""
    f = design.folding
    groups = ceil_div(tokens, f.lt)
    records = ceil_div(design.channel_tiles * f.tc * 8, design.beat_bytes)
    words = groups * design.channel_tiles * ceil_div(2 * f.lt * f.tc, design.beat_bytes) if table else 0
    period = max(design.channel_tiles + 1, RECIPROCAL_INTERVAL)  # one cycle more emits what a keep mask left over
    return _header(design) + records + words + groups * period + NORM_DEPTH


def _softmax_period(design: Design) -> int:
    """Cycles of softmax for a token tile: a word of scores each, or a reciprocal each."""
    return max(design.key_columns * design.nsa.drain_groups, design.nsa.tt)


def _nsa_block(design: Design) -> int:
    """Slots of a block (`quantize.sections`): array and softmax of a slot run side by side.

    Softmax takes the scores as they come, and holds the array up where a tile costs softmax more; two tiles later it
    is done, under the array's next job of the slot.
    """
    engine, heads = design.nsa, design.shape.num_heads
    per_head = 3 * design.head_dim_padded // design.folding.tc
    score = attention_cycles(design, engine, design.head_dim_padded // design.folding.tk, design.key_columns)
    score = max(score, engine.token_tiles * _softmax_period(design))
    context = attention_cycles(design, engine, design.key_tiles, design.head_dim_padded // design.folding.tc)
    tail = 2 * _softmax_period(design) + SOFTMAX_DEPTH

    def qkv(count: int) -> int:
        return linear_cycles(design, engine, design.qkv, engine.token_tiles, columns=count * per_head)

    others = qkv(heads - 1) if heads > 1 else 0
    first = qkv(1) + score + max(others, tail)
    middle = (heads - 1) * (score + max(context, tail))
    last = context + linear_cycles(design, engine, design.proj, engine.token_tiles)
    return first + middle + last + (heads + 1) * SLOT_OVERHEAD


def unit_costs(design: Design) -> UnitCosts:
    """Cycles of every part that a schedule can put into a step."""
    nsa, nmp, shape, f = design.nsa, design.nmp, design.shape, design.folding
    per_head = design.head_dim_padded
    attention = design.key_columns * per_head // f.tk + per_head // f.tc * design.key_tiles
    linear = design.qkv.column_tiles * design.qkv.k_tiles + design.proj.column_tiles * design.proj.k_tiles
    mlp = design.fc1.column_tiles * design.fc1.k_tiles + design.fc2.column_tiles * design.fc2.k_tiles
    return UnitCosts(
        ln1=norm_cycles(design, shape.seq_len),
        ln1_first=norm_cycles(design, shape.seq_len, table=True),
        ln1_final=norm_cycles(design, 1),
        nsa=_nsa_block(design),
        nsa_head=linear_cycles(design, nsa, design.head, 1),
        ln2=norm_cycles(design, shape.seq_len),
        ln2_load=_header(design) + shape.seq_len * design.patch.k_tiles,
        nmp=linear_cycles(design, nmp, design.fc1, nmp.token_tiles, gelu=True)
        + linear_cycles(design, nmp, design.fc2, nmp.token_tiles),
        nmp_embed=linear_cycles(design, nmp, design.patch, nmp.token_tiles),
        softmax=shape.num_heads * (nsa.token_tiles + 2) * _softmax_period(design),
        nsa_work=nsa.token_tiles * (linear + shape.num_heads * attention),
        nmp_work=nmp.token_tiles * mlp,
        nsa_head_work=design.head.column_tiles * design.head.k_tiles,
        nmp_embed_work=nmp.token_tiles * design.patch.column_tiles * design.patch.k_tiles,
    )


def _unit_of(costs: UnitCosts, offset: int, depth: int) -> dict[str, int]:
    """Cycles that an image ``offset`` steps after its start costs its unit, with what joins it in steady state.

    The image that enters next joins one that is about to leave, as in `vitforge_host.schedule`.
    """
    unit = UNITS[offset % 4]
    cycles = getattr(costs, unit)
    if offset == 0:
        cycles = costs.ln1_first + costs.ln1_final
    elif offset == 1:
        cycles += costs.nsa_head
    elif offset == 4 * depth - 2:
        cycles += costs.ln2_load
    elif offset == 4 * depth - 1:
        cycles += costs.nmp_embed
    return {unit: cycles}


def steady_steps(costs: UnitCosts, depth: int) -> list[dict[str, int]]:
    """Unit -> cycles in each of the 4 * depth steps in which four images pass through."""
    steps = []
    for step in range(4 * depth):
        units: dict[str, int] = {}
        for image in range(4):
            units |= _unit_of(costs, (step - image) % (4 * depth), depth)
        steps.append(units)
    return steps


def _step_cycles(units: dict[str, int]) -> int:
    return max(units.values()) + STEP_OVERHEAD + DDR_LATENCY


def _latency(costs: UnitCosts, depth: int) -> int:
    """One image alone: load, embedding, 4 * depth units, final norm, head."""
    blocks = costs.ln1_first + (depth - 1) * costs.ln1 + depth * (costs.nsa + costs.ln2 + costs.nmp)
    ends = costs.ln2_load + costs.nmp_embed + costs.ln1_final + costs.nsa_head
    return blocks + ends + (4 * depth + 4) * (STEP_OVERHEAD + DDR_LATENCY)


def macs_per_image(design: Design) -> int:
    """Multiplications that the float model has, padding not counted."""
    s = design.shape
    n, d = s.seq_len, s.embed_dim
    block = n * d * (4 * d + 2 * s.hidden_dim) + 2 * n * n * d
    return s.num_patches * s.patch_len * d + s.depth * block + d * s.num_classes


def ddr_bytes(design: Design) -> int:
    """Bytes that one image costs DDR: every weight once, layer-norm records, tables, the image itself."""
    beats = design.image_beats + design.patch.column_tiles * design.patch.tile_beats
    beats += design.head.column_tiles * design.head.tile_beats
    layers = (design.qkv, design.proj, design.fc1, design.fc2)
    beats += design.shape.depth * sum(layer.column_tiles * layer.tile_beats for layer in layers)
    f = design.folding
    beats += (2 * design.shape.depth + 1) * ceil_div(design.channel_tiles * f.tc * 8, design.beat_bytes)
    words = ceil_div(design.shape.seq_len, f.lt) * design.channel_tiles
    beats += words * ceil_div(2 * f.lt * f.tc, design.beat_bytes)
    return beats * design.beat_bytes


def _ddr_cycles(design: Design) -> int:
    """Cycles an image at the DDR's modelled bandwidth; 0 where the board's is not known."""
    if design.board.ddr_gbps is None:
        return 0
    bytes_per_cycle = design.board.ddr_gbps * 1e9 * DDR_EFFICIENCY / (design.clock_mhz * 1e6)
    return int(ddr_bytes(design) / bytes_per_cycle)


def estimate(design: Design) -> Estimate:
    """Modelled steady state and latency of ``design``."""
    return _estimate(design, unit_costs(design))


def _estimate(design: Design, costs: UnitCosts) -> Estimate:
    depth = design.shape.depth
    steps = steady_steps(costs, depth)
    from_units = sum(map(_step_cycles, steps)) / 4
    cycles = max(from_units, _ddr_cycles(design))
    busy = {unit: sum(step[unit] for step in steps) / 4 / cycles for unit in UNITS}
    limited_by = "ddr" if cycles > from_units else max(busy, key=busy.__getitem__)
    busy["softmax"] = depth * costs.softmax / cycles
    work = {"nsa": depth * costs.nsa_work + costs.nsa_head_work, "nmp": depth * costs.nmp_work + costs.nmp_embed_work}
    f, nsa, nmp = design.folding, design.nsa, design.nmp
    n, d, hidden = design.shape.seq_len, design.shape.embed_dim, design.shape.hidden_dim
    needed = {"nsa": depth * (4 * n * d * d + 2 * n * n * d), "nmp": depth * 2 * n * d * hidden}
    peak = {"nsa": nsa.tt * f.tc * f.tk, "nmp": nmp.tt * f.tc * f.tk}
    loads = sorted(sum(step[unit] for step in steps) for unit in ("nsa", "nmp"))
    whole = round(cycles)
    return Estimate(
        cycles_per_image=whole,
        latency_cycles=_latency(costs, depth),
        clock_mhz=design.clock_mhz,
        fps=round(design.clock_mhz * 1e6 / cycles, 1),
        busy={unit: round(value, 4) for unit, value in busy.items()},
        array_busy={unit: round(value / cycles, 4) for unit, value in work.items()},
        array_efficiency={unit: round(needed[unit] / (peak[unit] * cycles), 4) for unit in peak},
        engine_balance=round(loads[0] / loads[1], 4),
        ddr_bytes_per_image=ddr_bytes(design),
        macs_per_image=macs_per_image(design),
        dsp_roof_fraction=round(macs_per_image(design) / (2 * design.board.dsp * cycles), 4),
        limited_by=limited_by,
    )
