# SPDX-License-Identifier: Apache-2.0
"""Chooses the folding: the highest modelled throughput of a model under the caps of a board."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from vitforge.boards import RESOURCES, Board
from vitforge.design.design import Design, Folding
from vitforge.design.geometry import ceil_div
from vitforge.design.reasons import reasons
from vitforge.design.resident import with_stores
from vitforge.design.resources import Resources, Shortfall, dsp_rows, resources, shortfall, shortfall_words
from vitforge.design.rules import (
    RESIDUAL_TOKENS,
    check_embedding,
    check_overrides,
    check_shape,
    descriptors_fit,
    divisors,
    drain_is_legal,
    lane_choices,
    largest_field,
)
from vitforge.errors import CapacityError, ConfigError, VitforgeError
from vitforge.model.keep import GROUP
from vitforge.model.vit import ViTShape
from vitforge.timing.costs import patch_embedding
from vitforge.timing.estimate import Estimate, Keeps, UnitCosts, estimate

WORTHWHILE = 0.002  # a gain in cycles below this does not justify more of the board
BUSY, BALANCE = 0.90, 0.96  # an array that multiplies in fewer of the cycles, or less than the other one, idles
IDLE_GAIN = 0.05  # and is taken only for a gain of more than this
_MAX_TD = 16  # drains wider than this are tried only if asked for
_MAX_SLICES = 4  # of the tokens of an MLP; weights are read once each


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """The chosen design, its figures, and why."""

    design: Design
    resources: Resources
    estimate: Estimate
    reasons: tuple[str, ...]
    considered: int


Fitting = tuple[Design, Resources, Estimate]
Candidate = tuple[int, tuple[int, ...]]  # least cycles of an image, values of a Folding in the order of its fields

_FOLDING_FIELDS = tuple(field.name for field in fields(Folding))


def _tile_sizes(seq_len: int, td: int | None, tr: int) -> list[int]:
    """Token tiles worth trying: for each count of tiles the smallest that covers the tokens, even, whole td and tr."""
    unit = math.lcm(2, td or 1, tr)
    return sorted({unit * ceil_div(ceil_div(seq_len, tiles), unit) for tiles in range(1, seq_len + 1)})


def _drains(tt: int, tc: int, steps: int, wanted: int | None, tr: int) -> list[int]:
    """Tokens drained a cycle worth trying, whole tr: up to those that keep pace with ``steps`` k tiles, and one more.

    The last tile of a job drains with nothing beside it, which shows where jobs are short.
    """
    legal = [td for td in divisors(tt) if drain_is_legal(td, tc) and td <= _MAX_TD and td % tr == 0]
    if wanted is not None:
        return [wanted] if wanted in divisors(tt) and drain_is_legal(wanted, tc) else []
    enough = next((td for td in legal if tt // td <= steps), legal[-1] if legal else 0)
    return [td for td in legal if td <= next((more for more in legal if more > enough), enough)]


@dataclass(frozen=True, kw_only=True, order=True)
class _Engine:
    """A choice for one engine."""

    cycles: int  # of an image, at least
    embedding: int  # and of its patches, if they are embedded here
    dsp: int  # of its array
    values: tuple[int, ...]  # of the folding


def _engine(design: Design, cycles: int, embeds: int, dsp: int, values: tuple[int, ...]) -> _Engine:
    """An engine that takes ``cycles`` for all blocks."""
    here = replace(design, folding=replace(design.folding, embed_nsa=embeds))
    return _Engine(cycles=cycles, embedding=patch_embedding(here, 0).work, dsp=dsp, values=values)


def _least(folding: Folding, td: int, quick: bool) -> Folding:
    """``folding`` as fast as its drains can be, if ``quick``: all that leave a layer go to the residual at once."""
    return replace(folding, tr=td, lane_banks=1) if quick else folding


def _nsa_choices(base: Design, keep: Keeps, sparse: bool, overrides: Mapping[str, int]) -> list[_Engine]:
    f, tr = base.folding, overrides.get("tr", 1)
    found: list[_Engine] = []
    sizes = (
        [overrides["tt_nsa"]] if "tt_nsa" in overrides else _tile_sizes(base.shape.seq_len, overrides.get("td_nsa"), tr)
    )
    for tt in sizes:
        for td in _drains(tt, f.tc, base.head_dim_padded // f.tk, overrides.get("td_nsa"), tr):
            design = replace(base, folding=_least(replace(f, tt_nsa=tt, td_nsa=td), td, bool(keep) or sparse))
            cycles = sum(job.cycles for job in UnitCosts(design, keep, sparse).attentions)
            found.append(_engine(design, cycles, 1, design.folding.array_dsp_nsa, (tt, td)))
    return found


def _nmp_choices(base: Design, keep: Keeps, sparse: bool, overrides: Mapping[str, int]) -> list[_Engine]:
    f, tr = base.folding, overrides.get("tr", 1)
    found: list[_Engine] = []
    sizes = (
        [overrides["tt_nmp"]] if "tt_nmp" in overrides else _tile_sizes(base.shape.seq_len, overrides.get("td_nmp"), tr)
    )
    for tt in sizes:
        most = min(_MAX_SLICES, ceil_div(base.shape.seq_len, tt))
        slices = [overrides["mlp_slices"]] if "mlp_slices" in overrides else range(1, most + 1)
        for td in _drains(tt, f.tc, base.fc1.k_tiles, overrides.get("td_nmp"), tr):
            for count in slices:
                folding = replace(f, tt_nmp=tt, td_nmp=td, mlp_slices=count)
                design = replace(base, folding=_least(folding, td, bool(keep) or sparse))
                cycles = sum(job.cycles for job in UnitCosts(design, keep, sparse).mlps)
                found.append(_engine(design, cycles, 0, design.folding.array_dsp_nmp, (tt, td, count)))
    return found


def _embedders(base: Design, overrides: Mapping[str, int]) -> list[int]:
    """Which array may embed the patches; without a class head there is no room for them in the attention array."""
    choices = [0, 1] if base.finishes_early else [0]
    return [choice for choice in choices if overrides.get("embed_nsa", choice) == choice]


def _residuals(td_nsa: int, td_nmp: int, pruned: bool, overrides: Mapping[str, int]) -> list[tuple[int, int]]:
    """(tr, lane_banks) worth trying: the plainest for a dense model, whose residual keeps pace with any array."""
    tokens = [overrides["tr"]] if "tr" in overrides else RESIDUAL_TOKENS if pruned else (1,)
    banks = [overrides["lane_banks"]] if "lane_banks" in overrides else (0, 1) if pruned else (0,)
    return [(tr, lanes) for tr in tokens if td_nsa % tr == 0 and td_nmp % tr == 0 for lanes in banks]


def _candidates(base: Design, keep: Keeps, sparse: bool, overrides: Mapping[str, int]) -> list[Candidate]:
    """Every legal folding that may be the best one, fewest cycles first.

    Those beyond the board's DSPs are left out, but for the smallest pair of arrays, for a refusal to name. So is one
    whose slower array another one equals with less.
    """
    found: list[Candidate] = []
    limit = base.board.limit("dsp")
    for tk, tc in lane_choices(base.board):
        if overrides.get("tk", tk) != tk or overrides.get("tc", tc) != tc:
            continue
        if base.folding.sparse and tk % GROUP:
            continue
        lanes = replace(base, folding=replace(base.folding, tk=tk, tc=tc))
        nsa, nmp = (sorted(choices(lanes, keep, sparse, overrides)) for choices in (_nsa_choices, _nmp_choices))
        if not nsa or not nmp:
            continue
        least = min(choice.dsp for choice in nsa) + min(choice.dsp for choice in nmp)
        for one in nsa:
            for other in nmp:
                if one.dsp + other.dsp <= max(limit, least):
                    (tt_nsa, td_nsa), (tt_nmp, td_nmp, slices) = one.values, other.values
                    for embeds in _embedders(base, overrides):
                        cycles = max(one.cycles + embeds * one.embedding, other.cycles + (1 - embeds) * other.embedding)
                        for tr, lane_banks in _residuals(td_nsa, td_nmp, bool(keep) or sparse, overrides):
                            values = (tt_nsa, tt_nmp, tc, tk, td_nsa, td_nmp, embeds, slices, tr, lane_banks)
                            found.append((cycles, (*values, *_fixed(base))))
    return sorted(found)


def _fixed(base: Design) -> tuple[int, ...]:
    """Values at the end of a `Folding` that the search leaves as they are."""
    return base.folding.sparse, base.folding.resident_nsa, base.folding.resident_nmp


def _best(base: Design, keep: Keeps, sparse: bool, found: list[Candidate]) -> tuple[Fitting | None, Shortfall | None]:
    """The best that fits, and what the one that comes closest lacks.

    The best takes the smallest share of the board among those within `WORTHWHILE` of the fastest, and has no idle
    array if that costs no more than `IDLE_GAIN`. An image takes at least what each array needs for it, so the search
    ends where that alone is too slow: nothing beyond can be better.
    """
    fitting: list[Fitting] = []
    closest: Shortfall | None = None
    fastest, dsp_limit = math.inf, base.board.limit("dsp")
    for cycles, values in found:
        if cycles > fastest * (1 + IDLE_GAIN):
            break
        design = replace(base, folding=Folding(**dict(zip(_FOLDING_FIELDS, values, strict=True))))
        if not descriptors_fit(design):
            continue
        dsp = sum(dsp_rows(design).values())
        if dsp > dsp_limit and (fitting or (closest and dsp >= closest[0] * dsp_limit)):
            continue  # its memories are counted only where a refusal might name it
        used = resources(design)
        lacks = shortfall(base.board, used)
        if lacks:
            closest = min(closest or lacks, lacks)
            continue
        timing = estimate(design, keep, sparse=sparse)
        fastest = min(fastest, timing.cycles_per_image)
        fitting.append((design, used, timing))
    return _choose(fitting), closest


def _choose(fitting: list[Fitting]) -> Fitting | None:
    """The best of what fits."""
    if not fitting:
        return None
    fastest = min(entry[2].cycles_per_image for entry in fitting)
    steady = [entry for entry in fitting if _never_idles(entry[2])]
    steady = [entry for entry in steady if entry[2].cycles_per_image <= fastest * (1 + IDLE_GAIN)]
    pool = steady or fitting
    limit = min(entry[2].cycles_per_image for entry in pool) * (1 + WORTHWHILE)
    close = [entry for entry in pool if entry[2].cycles_per_image <= limit]
    return min(close, key=lambda entry: (_cost(entry[0].board, entry[1]), entry[2].cycles_per_image))


def _cost(board: Board, used: Resources) -> float:
    """Shares of the board's resources, added up."""
    return sum(getattr(used, name) / board.limit(name) for name in RESOURCES if board.limit(name))


def _never_idles(timing: Estimate) -> bool:
    return min(timing.array_busy.values()) >= BUSY and timing.engine_balance >= BALANCE


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
    needs = shortfall_words(base.board, lacks)
    return CapacityError(f"the model does not fit {base.board.title}: {what} {needs}")


def fit(
    shape: ViTShape,
    board: Board,
    *,
    clock_mhz: float | None = None,
    overrides: Mapping[str, int] | None = None,
    name: str = "vitforge",
    keep: Keeps = (),
    sparse: bool = False,
) -> FitResult:
    """The folding of highest throughput for ``shape`` on ``board``; deterministic. It holds the dense model.

    What is left of the URAM then keeps what the weight streams repeat.

    keep : masks of each block of a pruned model, whose throughput counts then
    sparse : its weights are 2:4, and the arrays take such
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
    check_embedding(shape, overrides)
    built = int(overrides.get("sparse", sparse))
    stores = {name: overrides.get(name, 0) for name in ("resident_nsa", "resident_nmp")}
    start = Folding(tt_nsa=2, tt_nmp=2, tc=1, tk=1, td_nsa=1, td_nmp=1, sparse=built, **stores)
    base = Design(name=name, board=board, shape=shape, folding=start, clock_mhz=clock_mhz or board.clock_mhz)
    found = _candidates(base, keep, sparse, overrides)
    best, closest = _best(base, keep, sparse, found)
    if best is None:
        raise _refuse(base, overrides, found, closest)
    design = with_stores(best[0], best[1], overrides)
    used, timing = resources(design), estimate(design, keep, sparse=sparse)
    return FitResult(
        design=design,
        resources=used,
        estimate=timing,
        reasons=tuple(reasons(design, used, timing)),
        considered=len(found),
    )
