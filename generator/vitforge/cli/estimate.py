# SPDX-License-Identifier: Apache-2.0
"""`vitforge estimate`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import (
    PATH,
    debug_option,
    json_option,
    print_content,
    print_facts,
    print_json,
    print_table,
)


@click.command(epilog="Example: vitforge estimate vitforge-zcu104")
@click.argument("directory", type=PATH)
@json_option
@debug_option
def estimate(directory: Path, as_json: bool) -> None:
    """Cycles of the project in DIRECTORY by the closed form that chose its folding; nothing is run.

    Of an A3 overlay with the largest key, all rows taken; of a sparse_matmul overlay with the largest matrix, dense,
    pruned and 2:4, and its resources. `vitforge trace` simulates the same project; it takes longer.
    """
    from vitforge.csim.project import kernel_of

    kernels = {"vit": _estimate_vit, "a3": _estimate_a3, "sparse_matmul": _estimate_sparse_matmul}
    kernels[kernel_of(directory)](directory, as_json)


def _estimate_vit(directory: Path, as_json: bool) -> None:
    from vitforge.csim.project import load_project
    from vitforge.timing.estimate import estimate as run

    project = load_project(directory)
    design, model = project.design, project.model()
    result = run(design, model.keep, sparse=model.is_two_of_four)
    if as_json:
        print_json(result.to_json())
        return
    print_facts(
        f"{design.name} on {design.board.title}, modelled",
        {
            "cycles per image": result.cycles_per_image,
            "images per second": f"{result.fps:,} at {result.clock_mhz:g} MHz",
            "latency of one image": f"{result.latency_cycles:,} cycles",
            "arrays multiply": ", ".join(f"{name} {value:.1%}" for name, value in result.array_busy.items()),
            "balance of the arrays": f"{result.engine_balance:.1%}",
            "of what all DSPs of the device could do": f"{result.dsp_roof_fraction:.1%}",
            "DDR": f"{result.ddr_bytes_per_image:,} bytes per image",
            "limited by": result.limited_by,
        },
    )


def _estimate_a3(directory: Path, as_json: bool) -> None:
    from vitforge.csim.project import load_a3_project
    from vitforge.timing.a3_estimate import a3_cycles

    design = load_a3_project(directory).design
    result = a3_cycles(design, design.n_max, design.d_max).to_json()
    if as_json:
        print_json(result)
        return
    print_content(f"{design.name} on {design.board.title}, modelled", result)


def _estimate_sparse_matmul(directory: Path, as_json: bool) -> None:
    from vitforge.boards import RESOURCES
    from vitforge.csim.project import load_sparse_matmul_project
    from vitforge.design.sparse_matmul_resources import sparse_matmul_resources
    from vitforge.timing.sparse_matmul_estimate import estimate_sparse_matmul

    design = load_sparse_matmul_project(directory).design
    result, used = estimate_sparse_matmul(design), sparse_matmul_resources(design)
    if as_json:
        print_json({**result.to_json(), "resources": used.to_json()})
        return
    print_table(
        f"{design.name} on {design.board.title}, modelled: {result.block_rows} rows of {result.inputs} inputs, "
        f"{result.outputs} outputs, {result.clock_mhz:g} MHz; an array of {result.array_macs_per_cycle:,} products a "
        "cycle",
        (
            "matrix",
            "products",
            "cycles",
            "products a cycle",
            "times dense",
            "rows per second",
            "limited by",
            "DDR bytes",
        ),
        [
            (name, row.macs, row.cycles, row.macs_per_cycle, row.speedup, result.rows_per_second(name))
            + (row.limited_by, row.ddr_bytes)
            for name, row in result.cases.items()
        ],
    )
    limits = {name: f"{getattr(used, name):,} (limit {design.board.limit(name):,})" for name in RESOURCES}
    print_facts("resources, modelled", limits)
