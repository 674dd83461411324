# SPDX-License-Identifier: Apache-2.0
"""The closed form of a sparse_matmul design against the simulation of its generated sources."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vitforge.boards import load_board
from vitforge.cli import main
from vitforge.codegen.sparse_matmul_bench import format_of
from vitforge.config import ProjectConfig, SparseMatmulConfig
from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge.design.sparse_matmul_fit import fit_sparse_matmul
from vitforge.sparse_matmul_generate import generate_sparse_matmul
from vitforge.timing.sparse_matmul_cases import matrix_cases
from vitforge.timing.sparse_matmul_estimate import estimate_sparse_matmul
from vitforge.timing.sparse_matmul_trace import trace_sparse_matmul
from vitforge.timing.trace import ddr_model
from vitforge_host import pack_matrix
from vitforge_host.sparse_matmul_packets import result_bytes

KEPT = (0.75, 0.5, 0.1, 0.01)
DIFFERENCE = 0.02  # of the cycles, where the array waits for rows, weights or results
DDR_DIFFERENCE = 0.1  # where DDR gives less than a beat a cycle


def _sizes(k_max: int, n_max: int, tt: int, tc: int, rows_max: int, sparse: bool = True) -> SparseMatmulConfig:
    return SparseMatmulConfig(k_max=k_max, n_max=n_max, tt=tt, tc=tc, rows_max=rows_max, sparse=sparse)


# Board, sizes, DDR [GB/s] if not the board's, and what limits some kind of matrix.
DESIGNS = {
    "array": ("zcu104", _sizes(512, 256, 6, 8, 60), None, {"products", "rows"}),
    "rows": ("pynq-z2", _sizes(100, 50, 44, 2, 308), None, {"products", "rows"}),
    "weights": ("ultra96v2", _sizes(200, 200, 8, 8, 40, sparse=False), None, {"weights", "rows"}),
    "results": ("zcu104", _sizes(40, 64, 48, 2, 96), None, {"results", "rows"}),
    "short rows": ("zcu104", _sizes(40, 64, 144, 2, 1152), None, {"results", "rows"}),
    "ddr": ("zcu104", _sizes(256, 256, 48, 8, 288), 3.0, {"weights", "rows"}),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_closed_form_and_simulation_agree(name: str, tmp_path: Path) -> None:
    board, sizes, ddr_gbps, limits = DESIGNS[name]
    config = ProjectConfig(kernel="sparse_matmul", sparse_matmul=sizes)
    found = load_board(board)
    found = replace(found, ddr_gbps=found.ddr_gbps if ddr_gbps is None else ddr_gbps)
    design = generate_sparse_matmul(board=found, output=tmp_path / "p", config=config).fitted.design
    modelled = estimate_sparse_matmul(design, KEPT).cases
    simulated = trace_sparse_matmul(tmp_path / "p", kept=KEPT, smallest=False).report.cases
    assert list(modelled) == list(simulated)
    fast = ddr_model(design.board, design.clock_mhz).beats_per_cycle >= 1
    for case, cycles in simulated.items():
        estimated = modelled[case]
        assert estimated.macs == cycles.macs
        if estimated.limited_by == "products" and estimated.cycles > 1.1 * estimated.limits["rows"]:
            assert estimated.cycles == cycles.cycles, case
        assert estimated.cycles == pytest.approx(cycles.cycles, rel=DIFFERENCE if fast else DDR_DIFFERENCE), case
    assert limits <= {case.limited_by for case in modelled.values()}


def test_the_fit_counts_what_slow_ddr_costs() -> None:
    """An array with as many DSPs, under whose few rows the weights would have to come faster."""
    board = load_board("ultra96v2")
    fitted, other = fit_sparse_matmul(board), fit_sparse_matmul(board, tt=8, tc=8, rows_max=48)
    assert fitted.design.macs_per_cycle == other.design.macs_per_cycle

    def rows_per_second(design: SparseMatmulDesign) -> int:
        return estimate_sparse_matmul(design, ()).rows_per_second("two_of_four")

    assert rows_per_second(fitted.design) > 1.3 * rows_per_second(other.design)


def test_bytes_are_those_of_record_and_packets() -> None:
    design = fit_sparse_matmul(load_board("kv260"), k_max=300, n_max=100).design
    format_, estimate = format_of(design), estimate_sparse_matmul(design, (0.5,))
    for case in matrix_cases(design, (0.5,)):
        matrix = pack_matrix(
            np.zeros((design.n_max, design.k_max), np.int8),
            format_,
            mult=1,
            shift=1,
            keep_inputs=case.inputs,
            keep_outputs=case.outputs,
            sparsity="2:4" if case.is_two_of_four else "dense",
        )
        weights = len(matrix.data) - matrix.head_beats * design.beat_bytes
        assert estimate.cases[case.name].weight_bytes == weights
        packets = design.block_rows * format_.row_bytes(design.k_max) + result_bytes(matrix, design.block_rows, format_)
        assert estimate.cases[case.name].ddr_bytes == weights + packets


def cases_of(design: SparseMatmulDesign) -> set[str]:
    return set(estimate_sparse_matmul(design).cases)


def test_the_command_repeats_what_generate_wrote_and_tells_the_resources(tmp_path: Path) -> None:
    config = ProjectConfig(kernel="sparse_matmul", sparse_matmul=SparseMatmulConfig(k_max=128, n_max=64, sparse=False))
    done = generate_sparse_matmul(board=load_board("kv260"), output=tmp_path / "p", config=config)
    asked = CliRunner().invoke(main, ["estimate", str(tmp_path / "p"), "--json"])
    assert asked.exit_code == 0, asked.output
    facts = json.loads(asked.stdout)
    resources = facts.pop("resources")
    assert facts == json.loads((tmp_path / "p" / "report" / "estimate.json").read_bytes())
    assert resources == json.loads((tmp_path / "p" / "report" / "resources.json").read_bytes())
    assert set(facts["cases"]) == {"dense", "structured_75", "structured_50", "structured_25"}
    assert cases_of(replace(done.fitted.design, sparse=True)) == set(facts["cases"]) | {
        f"{name}_two_of_four".removeprefix("dense_") for name in facts["cases"]
    }
    shown = CliRunner().invoke(main, ["estimate", str(tmp_path / "p")]).stdout
    dense = facts["cases"]["dense"]
    assert "modelled" in shown and f"{dense['cycles']:,}" in shown
    assert f"{int(facts['clock_mhz'] * 1e6 * facts['block_rows'] / dense['cycles']):,}" in shown  # rows a second
    assert f"{resources['dsp']:,} (limit {load_board('kv260').limit('dsp'):,})" in shown
