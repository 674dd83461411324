# SPDX-License-Identifier: Apache-2.0
"""Chooses the folding: the highest modelled throughput of a model under the caps of a board."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from vitforge.boards import RESOURCES, Board
from vitforge.design.design import Design, Folding
from vitforge.design.geometry import ceil_div
from vitforge.design.resources import Resources, dsp_rows, resources
from vitforge.design.rules import (
    MAX_NORM_TOKENS,
    MIN_DRAIN,
    PACKING_DEPTH,
    check_overrides,
    check_shape,
    descriptors_fit,
    divisors,
    drain_is_legal,
    lane_choices,
    largest_field,
)
from vitforge.errors import CapacityError
from vitforge.model.vit import ViTShape
from vitforge.timing.estimate import Estimate, estimate, unit_costs

WORTHWHILE = 0.005  # a gain in cycles below this does not justify more DSPs
_TOP = 48  # shortlist that is estimated and counted in full
_MAX_TD = 16  # drains wider than this are tried only if asked for


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


def _tile_sizes(seq_len: int, td: int) -> list[int]:
    """Token tiles worth trying: for each count of tiles the smallest that covers the tokens; even, a multiple of td."""
    unit = math.lcm(2, td)
    most = ceil_div(seq_len, unit) * unit
    sizes = {min(most, ceil_div(ceil_div(seq_len, tiles), unit) * unit) for tiles in range(1, seq_len + 1)}
    return sorted(sizes)


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
            if dsp <= limit and descriptors_fit(design):
                yield _Candidate(design=design, cycles=max(nsa_cycles[nsa], nmp_cycles[nmp]), dsp=dsp)


def _with_norm_lanes(candidate: _Candidate) -> _Candidate:
    """The fewest tokens a cycle at which layer norm keeps pace with the arrays."""
    f = candidate.design.folding
    for lt in divisors(f.td):
        if lt > MAX_NORM_TOKENS:
            break
        design = replace(candidate.design, folding=replace(f, lt=lt))
        costs = unit_costs(design)
        if max(costs.ln1, costs.ln2) <= candidate.cycles:
            break
    slowest = max(candidate.cycles, costs.ln1, costs.ln2)
    return replace(candidate, design=design, cycles=slowest, dsp=sum(dsp_rows(design).values()))


def _candidates(base: Design, overrides: Mapping[str, int]) -> Iterator[_Candidate]:
    for tk, tc in lane_choices(base.board):
        for td in [overrides["td"]] if "td" in overrides else range(1, _MAX_TD + 1):
            chosen = {"tk": tk, "tc": tc, "td": td}
            if not drain_is_legal(td, tc) or any(overrides.get(name, value) != value for name, value in chosen.items()):
                continue
            if any(overrides[name] % math.lcm(2, td) for name in ("tt_nsa", "tt_nmp") if name in overrides):
                continue
            if td % overrides.get("lt", 1):
                continue
            sizes = _tile_sizes(base.shape.seq_len, td)
            nsa, nmp = ([overrides[name]] if name in overrides else sizes for name in ("tt_nsa", "tt_nmp"))
            folding = Folding(tt_nsa=nsa[0], tt_nmp=nmp[0], lt=1, **chosen)
            for candidate in _pairs(replace(base, folding=folding), nsa, nmp):
                if "lt" not in overrides:
                    yield _with_norm_lanes(candidate)
                else:
                    forced = replace(candidate.design.folding, lt=overrides["lt"])
                    design = replace(candidate.design, folding=forced)
                    yield replace(candidate, design=design, dsp=sum(dsp_rows(design).values()))


def _over(design: Design, used: Resources) -> list[tuple[float, str, int, int]]:
    """(ratio, resource, need, limit) of what exceeds the board's caps, worst first."""
    rows = []
    for name in RESOURCES:
        need, limit = getattr(used, name), design.board.limit(name)
        if need > limit:
            rows.append((need / limit if limit else math.inf, name, need, limit))
    return sorted(rows, reverse=True)


def _smallest(base: Design, overrides: Mapping[str, int]) -> Design:
    """A folding with few DSPs that keeps the rules and the overrides, whatever the board."""
    tk, tc = min(
        (
            pair
            for pair in lane_choices(base.board)
            if (overrides.get("tk", pair[0]), overrides.get("tc", pair[1])) == pair
        ),
        key=lambda pair: pair[0] * pair[1],
    )
    lt = overrides.get("lt", 1)
    td = overrides.get("td", ceil_div(ceil_div(MIN_DRAIN, tc), lt) * lt)
    tt = math.lcm(2, td)
    smallest = {"tt_nsa": tt, "tt_nmp": tt, "tc": tc, "tk": tk, "td": td, "lt": lt}
    return replace(base, folding=Folding(**{**smallest, **overrides}))


def _refuse(base: Design, overrides: Mapping[str, int], found: list[_Candidate]) -> CapacityError:
    """Names the resource that stands in the way of the folding that comes closest to fitting."""
    designs = [candidate.design for candidate in found] or [_smallest(base, overrides)]
    what = "the folding that was asked for" if overrides else "even the folding that comes closest"
    misses = [rows[0] for design in designs if (rows := _over(design, resources(design)))]
    if not misses:
        number, where = largest_field(designs[0])
        return CapacityError(f"the model does not fit: {where} needs addresses to {number:,} and 65,535 is the limit")
    _, name, need, limit = min(misses)
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
    check_shape(shape, board)
    check_overrides(board, overrides)
    start = Folding(tt_nsa=2, tt_nmp=2, tc=1, tk=1, td=1, lt=1)
    base = Design(name=name, board=board, shape=shape, folding=start, clock_mhz=clock_mhz or board.clock_mhz)
    found = sorted(
        _candidates(base, overrides), key=lambda c: (c.cycles, c.dsp, tuple(asdict(c.design.folding).values()))
    )
    best = _best(found)
    if best is None:
        raise _refuse(base, overrides, found)
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
        f"tk = {f.tk}: {board.dsp_family} sums pairs of up to {PACKING_DEPTH[board.dsp_family]} products in a cascade "
        "without overflow",
        f"tt = {f.tt_nsa} and {f.tt_nmp}: {design.nsa.token_tiles} and {design.nmp.token_tiles} tiles "
        f"cover {n} tokens, with {waste[0]} and {waste[1]} to spare",
        f"engines balanced to {timing.engine_balance:.0%}: attention {f.array_dsp_nsa} DSPs, MLP {f.array_dsp_nmp}",
        f"td = {f.td}, lt = {f.lt}: the drain empties a tile while the next one works, and layer norm keeps pace",
        f"tightest resource: {tightest}, {getattr(used, tightest):,} of {board.limit(tightest):,} allowed",
        f"{timing.cycles_per_image:,} cycles per image, modelled; {limited}",
        f"the arrays multiply in {timing.array_busy['nsa']:.0%} (attention) and {timing.array_busy['nmp']:.0%} (MLP) "
        f"of the cycles, which is {timing.dsp_roof_fraction:.0%} of what all DSPs of the device could do",
    ]
