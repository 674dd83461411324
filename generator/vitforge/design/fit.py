# SPDX-License-Identifier: Apache-2.0
"""Chooses the folding: the highest modelled throughput of a model under the caps of a board."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace

from vitforge.boards import RESOURCES, Board
from vitforge.design.design import Design, Folding
from vitforge.design.geometry import ceil_div
from vitforge.design.resources import Resources, dsp_rows, resources
from vitforge.errors import CapacityError, ConfigError
from vitforge.model.vit import ViTShape
from vitforge.timing.estimate import Estimate, estimate, unit_costs

PACKING_DEPTH = {"dsp48e1": 4, "dsp48e2": 8}
MAX_SEQ_LEN = MAX_EMBED_DIM = 1024  # widths of layer norm and softmax sums
MIN_DRAIN = 4  # values that leave an array in a cycle
MAX_DRAIN_BITS = 1024  # of a word of drained scores (td * tc int16)
WORTHWHILE = 0.005  # a gain in cycles below this does not justify more DSPs
_FIELD_LIMIT = 1 << 16  # descriptors count in 16 bits
_TOP = 48  # shortlist that is estimated and counted in full
_MAX_TD = 16


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """The chosen design, its figures, and why."""

    design: Design
    resources: Resources
    estimate: Estimate
    reasons: tuple[str, ...]
    considered: int


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    design: Design
    cycles: int  # rough: the busiest array, a block
    dsp: int


def _divisors(value: int) -> list[int]:
    return [d for d in range(1, value + 1) if value % d == 0]


def _tile_sizes(seq_len: int, td: int) -> list[int]:
    """Token tiles worth trying: for each count of tiles the smallest that covers the tokens; even, a multiple of td."""
    unit = math.lcm(2, td)
    most = ceil_div(seq_len, unit) * unit
    sizes = {min(most, ceil_div(ceil_div(seq_len, tiles), unit) * unit) for tiles in range(1, seq_len + 1)}
    return sorted(sizes)


def _lane_choices(board: Board) -> Iterator[tuple[int, int]]:
    """(tk, tc): a cascade within the packing depth, and weight words of whole beats."""
    for tk in _divisors(PACKING_DEPTH[board.dsp_family]):
        for tc in _divisors(tk):
            if tc * tk % (board.axi_bits // 8) == 0:
                yield tk, tc


def _pairs(base: Design, nsa_sizes: list[int], nmp_sizes: list[int]) -> Iterator[_Candidate]:
    """Token tiles of both engines under the DSP cap, without those where a smaller NMP tile keeps up as well."""
    limit = base.board.limit("dsp")

    def with_tiles(nsa: int, nmp: int) -> Design:
        return replace(base, folding=replace(base.folding, tt_nsa=nsa, tt_nmp=nmp))

    nsa_cycles = {tt: unit_costs(with_tiles(tt, nmp_sizes[0])).nsa for tt in nsa_sizes}
    nmp_cycles = {tt: unit_costs(with_tiles(nsa_sizes[0], tt)).nmp for tt in nmp_sizes}
    for nsa in nsa_sizes:
        for place, nmp in enumerate(nmp_sizes):
            if place and nmp_cycles[nmp_sizes[place - 1]] <= nsa_cycles[nsa]:
                break  # a smaller one keeps up already
            design = with_tiles(nsa, nmp)
            dsp = sum(dsp_rows(design).values())
            if dsp <= limit:
                yield _Candidate(design=design, cycles=max(nsa_cycles[nsa], nmp_cycles[nmp]), dsp=dsp)


def _with_norm_lanes(candidate: _Candidate) -> _Candidate:
    """The fewest tokens a cycle at which layer norm keeps pace with the arrays."""
    f = candidate.design.folding
    for lt in _divisors(f.td):
        design = replace(candidate.design, folding=replace(f, lt=lt))
        costs = unit_costs(design)
        if max(costs.ln1, costs.ln2) <= candidate.cycles or lt == f.td:
            break
    slowest = max(candidate.cycles, costs.ln1, costs.ln2)
    return replace(candidate, design=design, cycles=slowest, dsp=sum(dsp_rows(design).values()))


def _candidates(base: Design, overrides: Mapping[str, int]) -> Iterator[_Candidate]:
    for tk, tc in _lane_choices(base.board):
        for td in range(1, _MAX_TD + 1):
            chosen = {"tk": tk, "tc": tc, "td": td}
            if any(overrides.get(name, value) != value for name, value in chosen.items()):
                continue
            if td * tc < MIN_DRAIN or 16 * td * tc > MAX_DRAIN_BITS:
                continue
            if any(overrides[name] % math.lcm(2, td) for name in ("tt_nsa", "tt_nmp") if name in overrides):
                continue
            sizes = _tile_sizes(base.shape.seq_len, td)
            nsa, nmp = ([overrides[name]] if name in overrides else sizes for name in ("tt_nsa", "tt_nmp"))
            folding = Folding(tt_nsa=nsa[0], tt_nmp=nmp[0], lt=1, **chosen)
            for candidate in _pairs(replace(base, folding=folding), nsa, nmp):
                if "lt" not in overrides:
                    yield _with_norm_lanes(candidate)
                elif td % overrides["lt"] == 0:
                    forced = replace(candidate.design.folding, lt=overrides["lt"])
                    yield replace(candidate, design=replace(candidate.design, folding=forced))


def _check_shape(shape: ViTShape, board: Board) -> None:
    if shape.seq_len > MAX_SEQ_LEN:
        raise CapacityError(f"the model has {shape.seq_len} tokens; softmax sums hold at most {MAX_SEQ_LEN}")
    if shape.embed_dim > MAX_EMBED_DIM:
        raise CapacityError(f"the model is {shape.embed_dim} wide; layer-norm sums hold at most {MAX_EMBED_DIM}")
    if shape.patch_len * 4 > _FIELD_LIMIT or shape.hidden_dim * 4 > _FIELD_LIMIT:
        raise CapacityError("the model has a layer of more than 16384 inputs, which a job descriptor cannot count")
    if board.dsp_family not in PACKING_DEPTH:
        raise CapacityError(f"{board.title} has {board.dsp_family} DSPs, which no kernel packs yet")


def check_overrides(board: Board, overrides: Mapping[str, int]) -> None:
    """Raises ConfigError for folding values that break a rule, with the nearest value that keeps it."""
    names = [field.name for field in fields(Folding)]
    for name in overrides:
        if name not in names:
            raise ConfigError(f"folding has no value {name!r}; there are {', '.join(names)}")
    depth = PACKING_DEPTH[board.dsp_family]
    tk, tc, td, lt = (overrides.get(name) for name in ("tk", "tc", "td", "lt"))
    if tk is not None and depth % tk:
        raise ConfigError(
            f"folding.tk = {tk} must divide {depth}, the packing depth of {board.dsp_family}; try {depth}"
        )
    if tc is not None and (tk or depth) % tc:
        raise ConfigError(f"folding.tc = {tc} must divide tk = {tk or depth}; try {_nearest_divisor(tk or depth, tc)}")
    beat = board.axi_bits // 8
    if tk is not None and tc is not None and tk * tc % beat:
        raise ConfigError(f"folding.tc * folding.tk = {tc * tk} must be a multiple of {beat}, the bytes of a DDR beat")
    if td is not None and lt is not None and td % lt:
        raise ConfigError(f"folding.lt = {lt} must divide td = {td}; try {_nearest_divisor(td, lt)}")
    for name in ("tt_nsa", "tt_nmp"):
        value = overrides.get(name)
        if value is not None and (value % 2 or (td and value % td)):
            rule = f"even and a multiple of td = {td}" if td else "even, for two tokens share a DSP"
            step = math.lcm(2, td or 1)
            raise ConfigError(f"folding.{name} = {value} must be {rule}; try {max(1, round(value / step)) * step}")


def _nearest_divisor(value: int, wanted: int) -> int:
    return min(_divisors(value), key=lambda d: abs(d - wanted))


def _over(design: Design, used: Resources) -> list[tuple[float, str, int, int]]:
    """(ratio, resource, need, limit) of what exceeds the board's caps, worst first."""
    rows = []
    for name in RESOURCES:
        need, limit = getattr(used, name), design.board.limit(name)
        if need > limit:
            rows.append((need / limit if limit else math.inf, name, need, limit))
    return sorted(rows, reverse=True)


def _refuse(base: Design, overrides: Mapping[str, int]) -> CapacityError:
    """Names the resource that even the smallest folding exceeds."""
    tk, tc = min(_lane_choices(base.board), key=lambda pair: pair[0] * pair[1])
    td = ceil_div(MIN_DRAIN, tc)
    tt = math.lcm(2, td)
    smallest = {"tt_nsa": tt, "tt_nmp": tt, "tc": tc, "tk": tk, "td": td, "lt": 1}
    design = replace(base, folding=Folding(**{**smallest, **overrides}))
    rows = _over(design, resources(design))
    what = "the folding that was asked for" if overrides else "even the smallest folding"
    if not rows:
        return CapacityError(f"{what} fits {base.board.title} only with values that break a rule; leave some out")
    _, name, need, limit = rows[0]
    return CapacityError(
        f"the model does not fit {base.board.title}: {what} needs {need:,} {name} and the limit is {limit:,} "
        f"({base.board.caps[name]:.0%} of {getattr(base.board, name):,})"
    )


def fit(
    shape: ViTShape,
    board: Board,
    *,
    clock_mhz: float | None = None,
    overrides: Mapping[str, int] | None = None,
    name: str = "vitforge",
) -> FitResult:
    """The folding of highest throughput for ``shape`` on ``board``; deterministic.

    clock_mhz : PL clock [MHz]; the board's default if None
    overrides : folding values to insist on

    Raises
    ------
    CapacityError
        If nothing fits; names resource, need and limit.
    ConfigError
        If an override breaks a rule of the hardware.
    """
    overrides = dict(overrides or {})
    _check_shape(shape, board)
    check_overrides(board, overrides)
    start = Folding(tt_nsa=2, tt_nmp=2, tc=1, tk=1, td=1, lt=1)
    base = Design(name=name, board=board, shape=shape, folding=start, clock_mhz=clock_mhz or board.clock_mhz)
    found = sorted(
        _candidates(base, overrides), key=lambda c: (c.cycles, c.dsp, tuple(asdict(c.design.folding).values()))
    )
    best = _best(found)
    if best is None:
        raise _refuse(base, overrides)
    design, used, timing = best
    return FitResult(
        design=design,
        resources=used,
        estimate=timing,
        reasons=tuple(_reasons(design, used, timing)),
        considered=len(found),
    )


def _best(found: list[_Candidate]) -> tuple[Design, Resources, Estimate] | None:
    """Of the first that fit, the one with fewest DSPs among those within `WORTHWHILE` of the fastest."""
    fitting: list[tuple[Design, Resources, Estimate]] = []
    for candidate in found:
        if len(fitting) >= _TOP:
            break
        used = resources(candidate.design)
        if not _over(candidate.design, used):
            fitting.append((candidate.design, used, estimate(candidate.design)))
    if not fitting:
        return None
    fastest = min(timing.cycles_per_image for _, _, timing in fitting)
    close = [entry for entry in fitting if entry[2].cycles_per_image <= fastest * (1 + WORTHWHILE)]
    return min(close, key=lambda entry: (entry[1].dsp, entry[2].cycles_per_image))


def _reasons(design: Design, used: Resources, timing: Estimate) -> list[str]:
    f, board, n = design.folding, design.board, design.shape.seq_len
    waste = [engine.token_tiles * engine.tt - n for engine in (design.nsa, design.nmp)]
    tightest = max(RESOURCES, key=lambda r: getattr(used, r) / board.limit(r) if board.limit(r) else 0.0)
    limited = f"limited by {timing.limited_by}"
    nmp = design.nmp
    if design.fc1.tile_beats > nmp.token_tiles * max(design.fc1.k_tiles, nmp.drain_groups):
        limited += f", whose weights arrive at {design.beat_bytes} a cycle: {n} tokens are too few to hide them"
    return [
        f"tk = {f.tk}: a cascade of {f.tk} products is what {board.dsp_family} packs in pairs without overflow",
        f"tt = {f.tt_nsa} and {f.tt_nmp}: {design.nsa.token_tiles} and {design.nmp.token_tiles} tiles "
        f"cover {n} tokens, with {waste[0]} and {waste[1]} to spare",
        f"engines balanced to {timing.engine_balance:.0%}: attention {f.array_dsp_nsa} DSPs, MLP {f.array_dsp_nmp}",
        f"td = {f.td}, lt = {f.lt}: the drain empties a tile while the next one works, and layer norm keeps pace",
        f"tightest resource: {tightest}, {getattr(used, tightest):,} of {board.limit(tightest):,} allowed",
        f"{timing.cycles_per_image:,} cycles per image, modelled; {limited}",
    ]
