# SPDX-License-Identifier: Apache-2.0
"""Chooses what was left open of an A3 design, and refuses what does not fit its board, with what would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vitforge.boards import Board
from vitforge.design.a3 import A3Design
from vitforge.design.a3_numbers import A3Numbers
from vitforge.design.a3_resources import MOST_UNITS, a3_resources, fits, units_that_fit
from vitforge.design.geometry import ceil_div
from vitforge.design.resources import Resources, shortfall, shortfall_words
from vitforge.errors import CapacityError

MOST_WIDTH = A3Design.width  # of the widths that are tried unless one is asked for: d of the paper
_LEAST_ROWS, _LEAST_COLUMNS = 16, 8  # of a smaller design that a refusal names


@dataclass(frozen=True, kw_only=True)
class A3Fit:
    """A design that fits its board, its resources, and why it is as it is."""

    design: A3Design
    resources: Resources
    units_that_fit: int
    reasons: tuple[str, ...]


def fit_a3(
    board: Board,
    *,
    clock_mhz: float | None = None,
    name: str = "a3",
    numbers: A3Numbers | None = None,
    n_max: int = A3Design.n_max,
    d_max: int = A3Design.d_max,
    units: int = A3Design.units,
    width: int | None = None,
    approximate: bool | None = None,
) -> A3Fit:
    """The A3 design of these sizes on ``board``; deterministic.

    width : elements of a row in a cycle; by default the most, up to 64, with which the rest fits
    approximate : whether there is candidate selection; by default if it fits with a single unit
    clock_mhz : PL clock [MHz]; the board's default if None

    Raises
    ------
    CapacityError
        If it does not fit; names resource, need and limit, and the changes that would make it fit.
    ConfigError
        If a value is out of range.
    """

    def design(width: int, approximate: bool) -> A3Design:
        return A3Design(
            name=name,
            board=board,
            clock_mhz=clock_mhz or board.clock_mhz,
            n_max=n_max,
            d_max=d_max,
            width=width,
            units=units,
            approximate=approximate,
            numbers=numbers or A3Numbers(),
        )

    narrow = board.axi_bits // 8  # always legal: a multiple of the elements of a beat, whatever their size
    base = design(width or narrow, approximate is not False)
    widths = [width] if width else _widths(base)
    tried = [design(w, approximate is not False) for w in widths]
    if approximate is None and not any(fits(replace(one, units=1)) for one in tried):
        tried += [design(w, False) for w in widths]
    chosen = next((one for one in tried if fits(one)), None)
    if chosen is None:
        raise _refuse(tried[-1])
    return A3Fit(
        design=chosen,
        resources=a3_resources(chosen),
        units_that_fit=units_that_fit(chosen),
        reasons=tuple(_reasons(chosen, tried)),
    )


def _widths(design: A3Design) -> list[int]:
    """Widths worth trying, widest first: for each count of words a row the least that covers d_max."""
    beats = ceil_div(design.d_max, design.per_beat)
    found = {ceil_div(beats, words) * design.per_beat for words in range(1, beats + 1)}
    return sorted((width for width in found if width <= MOST_WIDTH), reverse=True)


def _reasons(chosen: A3Design, tried: list[A3Design]) -> Iterator[str]:
    """Why not the first of ``tried``, and what the choice means."""
    words, board = chosen.row_words, chosen.board
    yield f"width = {chosen.width}: a row of {chosen.d_max} elements takes {words} cycle{'s' * (words > 1)}"
    wider = next((one for one in tried if one.approximate == chosen.approximate), chosen)
    if wider.width > chosen.width:
        yield f"width = {wider.width} {_needs(wider)}"
    if chosen.approximate != tried[0].approximate:
        least = [one for one in tried if one.approximate][-1]
        yield f"no candidate selection: even with width = {least.width} it {_needs(least)}"
    bits, family = chosen.numbers.code_bits, board.dsp_family
    if chosen.packing_depth:
        yield f"two key rows share each DSP of the dot product: {bits}-bit elements pack on {family}"
    else:
        yield f"each query has its own DSPs of the dot product: {bits}-bit elements do not pack on {family}"


def _needs(design: A3Design) -> str:
    """ "needs ..., and the limit is ..." of a design that does not fit."""
    lacks = shortfall(design.board, a3_resources(design))
    assert lacks is not None
    return shortfall_words(design.board, lacks)


def _refuse(design: A3Design) -> CapacityError:
    """What ``design`` lacks most, and every single change with which it would fit."""
    changes = [words for words in (_fewer_units(design), _no_selection(design), *_smaller(design)) if words]
    cure = f"it fits with {', or with '.join(changes)}" if changes else "no single setting of [a3] makes it fit"
    count = f"{design.units} unit{'s' * (design.units > 1)}"
    return CapacityError(f"the A3 design does not fit {design.board.title}: {count} {_verb(design)}; {cure}")


def _verb(design: A3Design) -> str:
    return _needs(design) if design.units == 1 else _needs(design).replace("needs", "need", 1)


def _fewer_units(design: A3Design) -> str | None:
    units = units_that_fit(design)
    return f"units = {units}" if 0 < units < min(design.units, MOST_UNITS) else None


def _no_selection(design: A3Design) -> str | None:
    return "approximate = false" if design.approximate and fits(replace(design, approximate=False)) else None


def _smaller(design: A3Design) -> Iterator[str]:
    """The largest power of two of n_max, d_max and width that fits alone."""
    limits = {"n_max": (design.n_max, _LEAST_ROWS), "d_max": (design.d_max, _LEAST_COLUMNS)}
    limits["width"] = (design.width, design.per_beat)
    for name, (value, least) in limits.items():
        sizes = [1 << power for power in reversed(range(value.bit_length())) if least <= 1 << power < value]
        found = next((size for size in sizes if fits(_resized(design, name, size))), None)
        if found:
            yield f"{name} = {found}"


def _resized(design: A3Design, name: str, size: int) -> A3Design:
    sizes = {"n_max": design.n_max, "d_max": design.d_max, "width": design.width, name: size}
    return replace(design, n_max=sizes["n_max"], d_max=sizes["d_max"], width=sizes["width"])
