# SPDX-License-Identifier: Apache-2.0
"""Closed-form cycles of a sparse_matmul design; `vitforge trace` simulates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil

from vitforge.design.geometry import ceil_div
from vitforge.design.loops import SPARSE_MATMUL_LOOPS as LOOPS
from vitforge.design.sparse_matmul import SETTLE_CYCLES, SparseMatmulDesign
from vitforge.design.sparse_matmul_resources import WORD_FIFO_BEATS
from vitforge.timing.sparse_matmul_cases import KEPT, MatrixCase, matrix_cases
from vitforge.timing.trace import ddr_model


@dataclass(frozen=True, kw_only=True)
class ProductEstimate:
    """Modelled cycles of a block of rows in steady state: while it is multiplied, the next one arrives.

    macs : products that count, of a block of rows
    limits : cycles a block that products, weights, results and rows would take, if nothing else limited
    weight_bytes : of the column tiles, which DDR gives once for each block
    ddr_bytes : of a block: weights, rows of activations, int8 results
    """

    kept_inputs: int
    kept_outputs: int
    macs: int
    cycles: int
    macs_per_cycle: float
    speedup: float  # over the dense product
    limited_by: str
    limits: dict[str, int]
    weight_bytes: int
    ddr_bytes: int


def product_cycles(design: SparseMatmulDesign, case: MatrixCase, dense_cycles: int | None = None) -> ProductEstimate:
    """Cycles of a whole block of rows times a matrix of ``case``, with int8 results.

    dense_cycles : of the product that ``speedup`` is over; by default of this one

    Where DDR gives less than a beat a cycle, rows are taken to arrive while the array waits for weights, which they do
    not: cycles can be a tenth too few.
    """
    inputs, outputs = int(case.inputs.sum()), int(case.outputs.sum())
    steps = max(1, ceil_div(inputs, 2 * design.tk if case.is_two_of_four else design.tk))
    column_tiles = ceil_div(outputs, design.tc)
    tile_beats = design.param_beats + steps * (design.word_beats + case.is_two_of_four)
    arrival = ceil(tile_beats / min(1.0, float(ddr_model(design.board, design.clock_mhz).beats_per_cycle)))
    drains = design.tt // design.td

    # As `find_bounds` of multiply.hpp has it.
    period = max(steps, drains)
    work = design.token_tiles * period
    last = max(arrival, work - period + steps + drains)
    iterations = (column_tiles - 1) * max(work, arrival + SETTLE_CYCLES) + last
    limits = {
        "products": column_tiles * design.token_tiles * steps,
        "weights": column_tiles * (arrival + SETTLE_CYCLES),
        "results": column_tiles * design.token_tiles * drains,
        "rows": _rows(design, case, iterations),
    }
    cycles = max(LOOPS["array_cycle"].cycles(iterations), limits["rows"])
    macs = case.macs(design.block_rows)
    weight_bytes = column_tiles * tile_beats * design.beat_bytes
    result_beats = column_tiles * ceil_div(design.block_rows, design.td)
    return ProductEstimate(
        kept_inputs=inputs,
        kept_outputs=outputs,
        macs=macs,
        cycles=cycles,
        macs_per_cycle=round(macs / cycles, 1),
        speedup=round((dense_cycles or cycles) / cycles, 3),
        limited_by=max(limits, key=lambda name: limits[name]),
        limits=limits,
        weight_bytes=weight_bytes,
        ddr_bytes=weight_bytes + (design.block_rows * design.row_beats + result_beats) * design.beat_bytes,
    )


def _rows(design: SparseMatmulDesign, case: MatrixCase, iterations: int) -> int:
    """Cycles until the next block of rows is there. Beats come one a cycle, and a row takes a cycle more if its last
    beat fills a word and begins another. In ``iterations`` the array takes words at the pace of such rows; the rest is
    taken behind them: at first what waits in the FIFO, then as words come."""
    beat = design.beat_bytes
    inputs, in_last = int(case.inputs.sum()), int(case.inputs[(design.row_beats - 1) * beat :].sum())
    row_cycles = design.row_beats + int(0 < inputs % beat < in_last)
    words = ceil_div(inputs, beat)
    rest = design.block_rows * words - iterations * words // (design.row_beats + 1)
    if rest <= 0:
        return design.block_rows * row_cycles
    rest_cycles = max(rest, ceil((rest - WORD_FIFO_BEATS) * row_cycles / words))
    taken = LOOPS["array_cycle"].cycles(iterations) + LOOPS["rest_cycle"].cycles(rest_cycles)
    return max(design.block_rows * row_cycles, taken)


@dataclass(frozen=True, kw_only=True)
class SparseMatmulEstimate:
    """Modelled cycles of a sparse_matmul design: blocks of rows of ``inputs`` times a matrix for ``outputs``."""

    block_rows: int
    inputs: int
    outputs: int
    clock_mhz: float
    array_macs_per_cycle: int
    cases: dict[str, ProductEstimate]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def rows_per_second(self, name: str) -> int:
        """Of a case, in steady state."""
        return int(self.clock_mhz * 1e6 * self.block_rows / self.cases[name].cycles)


def estimate_sparse_matmul(design: SparseMatmulDesign, kept: Sequence[float] = KEPT) -> SparseMatmulEstimate:
    """Cycles of products of the compiled size: dense, pruned to each share of ``kept``, and 2:4."""
    dense: int | None = None
    cases = {}
    for case in matrix_cases(design, kept):
        cases[case.name] = product_cycles(design, case, dense)
        dense = dense or cases[case.name].cycles
    return SparseMatmulEstimate(
        block_rows=design.block_rows,
        inputs=design.k_max,
        outputs=design.n_max,
        clock_mhz=design.clock_mhz,
        array_macs_per_cycle=design.macs_per_cycle,
        cases=cases,
    )
