# SPDX-License-Identifier: Apache-2.0
"""Chooses the array of a sparse_matmul overlay for its board, and refuses what does not fit, with what would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vitforge.boards import Board
from vitforge.design.resources import Resources, shortfall, shortfall_words
from vitforge.design.sparse_matmul import (
    MOST,
    MOST_TOKENS,
    SparseMatmulDesign,
    columns_of,
    lanes_of,
    token_step,
)
from vitforge.design.sparse_matmul_resources import fits, sparse_matmul_resources
from vitforge.errors import CapacityError, ConfigError
from vitforge.timing.sparse_matmul_cases import matrix_cases
from vitforge.timing.sparse_matmul_estimate import product_cycles

_MOST_TILES = 8  # token tiles under a pass of the weights
_WORTHWHILE = 0.002  # a gain in cycles below this does not justify more of the board
_SMALLER = [1 << power for power in range(12, 3, -1)]  # sizes that a refusal names


@dataclass(frozen=True, kw_only=True)
class SparseMatmulFit:
    """A design that fits its board, its resources, and why it is as it is."""

    design: SparseMatmulDesign
    resources: Resources
    reasons: tuple[str, ...]


def fit_sparse_matmul(
    board: Board,
    *,
    clock_mhz: float | None = None,
    name: str = "sparse_matmul",
    tt: int | None = None,
    tc: int | None = None,
    rows_max: int | None = None,
    k_max: int = SparseMatmulDesign.k_max,
    n_max: int = SparseMatmulDesign.n_max,
    sparse: bool = SparseMatmulDesign.sparse,
) -> SparseMatmulFit:
    """The array with the fewest modelled cycles a row of the largest product on ``board``; deterministic.

    Dense and 2:4 products count alike. Of designs that are as fast the one is taken that needs fewest rows.

    tt, tc : tokens and columns of the array; by default chosen
    rows_max : rows under a pass of the weights; by default as many as keep port and DDR that give them from limiting
    clock_mhz : PL clock [MHz]; the board's default if None

    Raises
    ------
    CapacityError
        If nothing fits; names resource, need and limit, and what would fit.
    ConfigError
        If a value is not possible.
    """
    if tc is not None and tc not in columns_of(board):
        raise ConfigError(f"tc is {tc}; on {board.title} it must be {' or '.join(map(str, columns_of(board)))}")
    wanted = _columns(tt, board) if tc is None else (tc,)

    def design(tokens: int, columns: int, rows: int) -> SparseMatmulDesign:
        return SparseMatmulDesign(
            name=name,
            board=board,
            clock_mhz=clock_mhz or board.clock_mhz,
            tt=tokens,
            tc=columns,
            tk=lanes_of(board),
            td=board.axi_bits // 8 // columns,
            rows_max=rows,
            k_max=k_max,
            n_max=n_max,
            sparse=sparse,
        )

    tried = [
        design(tokens, columns, rows)
        for columns in wanted
        for tokens in _tokens(tt, board, columns)
        for rows in ([rows_max] if rows_max else range(tokens, min(_MOST_TILES * tokens, MOST) + 1, tokens))
    ]
    fitting = [one for one in tried if fits(one)]
    if not fitting:
        raise _refuse(min(tried, key=lambda one: one.macs_per_cycle))
    chosen = _smallest_of_the_best(fitting)
    return SparseMatmulFit(
        design=chosen, resources=sparse_matmul_resources(chosen), reasons=tuple(_reasons(chosen, tried))
    )


def _smallest_of_the_best(designs: list[SparseMatmulDesign]) -> SparseMatmulDesign:
    fastest = min(map(_row_cycles, designs))
    best = [one for one in designs if _row_cycles(one) <= fastest * (1 + _WORTHWHILE)]

    def size(one: SparseMatmulDesign) -> tuple[int, int, int]:
        used = sparse_matmul_resources(one)
        return one.block_rows, used.bram36 + used.uram, used.lut

    return min(best, key=size)


def _columns(tt: int | None, board: Board) -> tuple[int, ...]:
    """Those that go with ``tt``; if none do, the most, whose design then says what would."""
    every = columns_of(board)
    return tuple(tc for tc in every if tt is None or tt % _step(board, tc) == 0) or every[:1]


def _tokens(tt: int | None, board: Board, columns: int) -> list[int]:
    step = _step(board, columns)
    return [tt] if tt is not None else list(range(step, MOST_TOKENS + 1, step))


def _step(board: Board, columns: int) -> int:
    return token_step(board.axi_bits // 8 // columns)


def _row_cycles(design: SparseMatmulDesign) -> float:
    """A row of the largest int8 product, dense and 2:4 added up, by the closed form of `vitforge estimate`."""
    return sum(product_cycles(design, case).cycles for case in matrix_cases(design, ())) / design.block_rows


def _reasons(chosen: SparseMatmulDesign, tried: list[SparseMatmulDesign]) -> Iterator[str]:
    yield f"tt = {chosen.tt}: {chosen.token_tiles} token tiles under a pass of the weights, {chosen.block_rows} rows"
    alike = [one for one in tried if (one.tc, one.token_tiles) == (chosen.tc, chosen.token_tiles)]
    larger = [one for one in alike if one.tt > chosen.tt and not fits(one)]
    if larger:
        yield f"tt = {larger[0].tt} {_needs(larger[0])}"
    yield f"tk = {chosen.tk}: a beat of {chosen.beat_bytes} activations fills two entries"


def _needs(design: SparseMatmulDesign) -> str:
    lacks = shortfall(design.board, sparse_matmul_resources(design))
    assert lacks is not None
    return shortfall_words(design.board, lacks)


def _refuse(design: SparseMatmulDesign) -> CapacityError:
    """What the smallest array that was tried lacks most, and every single change with which it would fit."""
    changes = list(_smaller(design))
    if design.sparse and fits(replace(design, sparse=False)):
        changes.append("sparse = false")
    cure = f"it fits with {', or with '.join(changes)}" if changes else "no single setting of [sparse_matmul] helps"
    return CapacityError(
        f"the sparse_matmul design does not fit {design.board.title}: tt = {design.tt} {_needs(design)}; {cure}"
    )


def _smaller(design: SparseMatmulDesign) -> Iterator[str]:
    step = token_step(design.td)
    tokens = next((t for t in range(design.tt - step, 0, -step) if fits(replace(design, tt=t))), None)
    if tokens:
        yield f"tt = {tokens}"
    for name in ("rows_max", "k_max"):
        smaller = [size for size in _SMALLER if size < getattr(design, name)]
        found = next((size for size in smaller if fits(_resized(design, name, size))), None)
        if found:
            yield f"{name} = {found}"


def _resized(design: SparseMatmulDesign, name: str, size: int) -> SparseMatmulDesign:
    return replace(design, rows_max=size) if name == "rows_max" else replace(design, k_max=size)
