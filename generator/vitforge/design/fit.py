# SPDX-License-Identifier: Apache-2.0
"""Chooses the folding: the highest modelled throughput of a model under the caps of a board."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from vitforge.boards import RESOURCES, Board
from vitforge.design.design import Design, Folding
from vitforge.design.geometry import ceil_div
from vitforge.design.resources import Resources, dsp_rows, resources
from vitforge.design.rules import (
    MAX_NORM_TOKENS,
    PACKING_DEPTH,
    check_overrides,
    check_shape,
    descriptors_fit,
    divisors,
    drain_is_legal,
    lane_choices,
    largest_field,
)
from vitforge.errors import CapacityError, ConfigError, VitforgeError
from vitforge.model.vit import ViTShape
from vitforge.timing.estimate import Estimate, UnitCosts, estimate, unit_costs

WORTHWHILE = 0.005  # a gain in cycles below this does not justify more DSPs
_MAX_TD = 16  # drains wider than this are tried only if asked for


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """The chosen design, its figures, and why."""

    design: Design
    resources: Resources
    estimate: Estimate
    reasons: tuple[str, ...]
    considered: int


Shortfall = tuple[float, str, int, int]  # ratio, resource, need, limit
Fitting = tuple[Design, Resources, Estimate]
Candidate = tuple[int, tuple[int, ...]]  # least cycles of a step, values of a Folding in the order of its fields

_FOLDING_FIELDS = tuple(field.name for field in fields(Folding))


def _tile_sizes(seq_len: int, td: int) -> list[int]:
    """Token tiles worth trying: for each count of tiles the smallest that covers the tokens; even, a multiple of td."""
    unit = math.lcm(2, td)
    most = ceil_div(seq_len, unit) * unit
    sizes = {min(most, ceil_div(ceil_div(seq_len, tiles), unit) * unit) for tiles in range(1, seq_len + 1)}
    return sorted(sizes)


def _pairs(base: Design, nsa_sizes: list[int], nmp_sizes: list[int], lanes: list[int]) -> Iterator[Candidate]:
    """Token tiles of both engines and lanes of layer norm, with the cycles that the slowest unit takes for a block.

    Lanes beyond those with which layer norm keeps pace, and its table fills whole beats, are left out: they cost
    multipliers and gain nothing. Slow or large token tiles stay in, for their memories may be the ones that fit. So
    does the smallest pair, for a refusal to name.
    """
    f = base.folding

    def costs(**values: int) -> UnitCosts:
        return unit_costs(replace(base, folding=replace(f, **values)))

    nsa_cycles = {tt: costs(tt_nsa=tt).nsa for tt in nsa_sizes}
    nmp_cycles = {tt: costs(tt_nmp=tt).nmp for tt in nmp_sizes}
    norm = {lt: costs(lt=lt) for lt in lanes}
    limit = base.board.limit("dsp") // (f.tc * f.tk) * 2
    for nsa in nsa_sizes:
        for nmp in nmp_sizes:
            if nsa + nmp > max(limit, nsa_sizes[0] + nmp_sizes[0]):
                break
            arrays = max(nsa_cycles[nsa], nmp_cycles[nmp])
            for lt in lanes:
                yield max(arrays, norm[lt].ln1, norm[lt].ln2), (nsa, nmp, f.tc, f.tk, f.td, lt)
                busiest = norm[lt].ln1_first + norm[lt].ln1_final
                if busiest <= arrays and 2 * lt * f.tc % base.beat_bytes == 0:
                    break


def _candidates(base: Design, overrides: Mapping[str, int]) -> list[Candidate]:
    """Every legal folding that may be the best one, fewest cycles first."""
    found: list[Candidate] = []
    for tk, tc in lane_choices(base.board):
        for td in [overrides["td"]] if "td" in overrides else range(1, _MAX_TD + 1):
            chosen = {"tk": tk, "tc": tc, "td": td}
            if not drain_is_legal(td, tc) or any(overrides.get(name, value) != value for name, value in chosen.items()):
                continue
            if any(overrides.get(name, 0) % math.lcm(2, td) for name in ("tt_nsa", "tt_nmp")):
                continue
            lanes = [lt for lt in divisors(td) if lt <= MAX_NORM_TOKENS and overrides.get("lt", lt) == lt]
            if not lanes:
                continue
            sizes = _tile_sizes(base.shape.seq_len, td)
            nsa, nmp = ([overrides[name]] if name in overrides else sizes for name in ("tt_nsa", "tt_nmp"))
            folding = Folding(tt_nsa=nsa[0], tt_nmp=nmp[0], lt=lanes[0], **chosen)
            found += _pairs(replace(base, folding=folding), nsa, nmp, lanes)
    return sorted(found)


def _worst(board: Board, used: Resources) -> Shortfall | None:
    """What exceeds the board's caps by the largest factor; None if nothing does."""
    needs = [(getattr(used, name), name, board.limit(name)) for name in RESOURCES]
    rows = [(need / limit if limit else math.inf, name, need, limit) for need, name, limit in needs if need > limit]
    return max(rows, default=None)


def _best(base: Design, found: list[Candidate]) -> tuple[Fitting | None, Shortfall | None]:
    """The best that fits, and what the one that comes closest lacks.

    The best has fewest DSPs among those within `WORTHWHILE` of the fastest. Each block takes an image at least a step,
    so the search ends where that alone is too slow: nothing beyond can be better.
    """
    fitting: list[Fitting] = []
    closest: Shortfall | None = None
    fastest, dsp_limit = math.inf, base.board.limit("dsp")
    for cycles, values in found:
        if base.shape.depth * cycles > fastest * (1 + WORTHWHILE):
            break
        design = replace(base, folding=Folding(**dict(zip(_FOLDING_FIELDS, values, strict=True))))
        if not descriptors_fit(design):
            continue
        dsp = sum(dsp_rows(design).values())
        if dsp > dsp_limit and (fitting or (closest and dsp >= closest[0] * dsp_limit)):
            continue  # its memories are counted only where a refusal might name it
        used = resources(design)
        lacks = _worst(base.board, used)
        if lacks:
            closest = min(closest or lacks, lacks)
            continue
        timing = estimate(design)
        fastest = min(fastest, timing.cycles_per_image)
        fitting.append((design, used, timing))
    close = [entry for entry in fitting if entry[2].cycles_per_image <= fastest * (1 + WORTHWHILE)]
    return min(close, key=lambda entry: (entry[1].dsp, entry[2].cycles_per_image), default=None), closest


def _refuse(
    base: Design, overrides: Mapping[str, int], found: list[Candidate], lacks: Shortfall | None
) -> VitforgeError:
    """Names the resource that stands in the way of the folding that comes closest to fitting."""
    what = "the folding that was asked for" if overrides else "even the folding that comes closest"
    if not found:
        asked = ", ".join(f"{name} = {value}" for name, value in overrides.items())
        return ConfigError(f"folding: no other values go with {asked}; leave some of them out")
    if lacks is None:
        design = replace(base, folding=Folding(**dict(zip(_FOLDING_FIELDS, found[0][1], strict=True))))
        number, where = largest_field(design)
        return CapacityError(f"the model does not fit: {where} needs addresses to {number:,} and 65,535 is the limit")
    _, name, need, limit = lacks
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
    found = _candidates(base, overrides)
    best, closest = _best(base, found)
    if best is None:
        raise _refuse(base, overrides, found, closest)
    design, used, timing = best
    return FitResult(
        design=design,
        resources=used,
        estimate=timing,
        reasons=tuple(_reasons(design, used, timing)),
        considered=len(found),
    )


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
