# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vitforge.cli.common import (
    KERNELS,
    PATH,
    ProgressCallback,
    config_option,
    debug_option,
    json_option,
    output_option,
    print_facts,
    print_json,
    progress_bars,
    refuse_options,
)

if TYPE_CHECKING:
    from vitforge.a3_generate import A3GenerateResult
    from vitforge.boards import Board
    from vitforge.config import ProjectConfig
    from vitforge.generate import GenerateResult
    from vitforge.sparse_matmul_generate import SparseMatmulGenerateResult


@click.command(epilog="Example: vitforge generate --board zcu104 -o my-project")
@click.option("--board", metavar="NAME", help="Board to build for; `vitforge boards` lists them.")
@click.option("--board-file", type=PATH, metavar="TOML", help="A board of your own instead.")
@config_option
@click.option(
    "--kernel",
    type=click.Choice(KERNELS),
    help="A whole Vision Transformer; attention alone: the A3 overlay; or the sparse MAC array alone. Other settings "
    "of the last two are in the tables [a3] and [sparse_matmul] of the config file.  [default: vit]",
)
@click.option(
    "--model",
    metavar="PATH",
    help="Quantised directory, .safetensors file, or deit_tiny, deit_small or deit_base: the published shapes with "
    "random weights, for figures of speed.  [default: the model that ships]",
)
@click.option(
    "--calibration",
    metavar="PATH",
    help="Images to quantise a .safetensors model with; the notebook of the project shows the first ones.",
)
@click.option("--clock-mhz", type=float, metavar="MHZ", help="PL clock.  [default: the board's]")
@click.option(
    "--keep",
    type=float,
    metavar="FRACTION",
    help="Of the blocks' linear weights, the largest in whole tiles: for figures of speed. `vitforge prune` makes a "
    "pruned model of use.",
)
@click.option(
    "--sparsity",
    type=click.Choice(["dense", "2:4"]),
    help="2:4: the two largest of every four linear weights that are kept, and arrays that skip the others.",
)
@click.option(
    "--n-max",
    type=int,
    help="a3: most rows of key and value.  [default: 512]  sparse_matmul: most outputs.  [default: 1024]",
)
@click.option("--k-max", type=int, help="sparse_matmul: most inputs.  [default: 1024]")
@click.option(
    "--rows-max", type=int, help="sparse_matmul: rows multiplied under one pass of the weights.  [default: chosen]"
)
@click.option("--d-max", type=int, help="a3: most elements of a row.  [default: 64]")
@click.option("--units", type=int, help="a3: pipelines that work side by side.  [default: 1]")
@click.option(
    "--normalisation",
    type=click.Choice(["deferred", "divide_first"]),
    help="a3: divide once a result, or every weight as the paper does.  [default: deferred]",
)
@output_option("vitforge-BOARD, or vitforge-KERNEL-BOARD", "Directory of the project.")
@json_option
@debug_option
def generate(
    board: str | None,
    board_file: Path | None,
    config: Path | None,
    kernel: str | None,
    model: str | None,
    calibration: str | None,
    clock_mhz: float | None,
    keep: float | None,
    sparsity: str | None,
    n_max: int | None,
    k_max: int | None,
    rows_max: int | None,
    d_max: int | None,
    units: int | None,
    normalisation: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Choose a folding for model and board, or size another overlay, and write the complete HLS project."""
    from vitforge.boards import load_board, load_board_file
    from vitforge.config import load_config
    from vitforge.errors import ConfigError
    from vitforge.output import check_output

    if board and board_file:
        raise ConfigError("--board and --board-file both name a board; give one of them")
    of_vit: dict[str, Any] = {"model": model, "calibration": calibration, "keep": keep, "sparsity": sparsity}
    of_overlays: dict[str, dict[str, Any]] = {
        "a3": {"n_max": n_max, "d_max": d_max, "units": units, "normalisation": normalisation},
        "sparse_matmul": {"n_max": n_max, "k_max": k_max, "rows_max": rows_max},
    }
    loaded = load_config(config)
    chosen = kernel or loaded.kernel
    tables = {name: sizes for name, sizes in of_overlays.items() if name == chosen}
    _refuse_others(chosen, {"vit": of_vit, **of_overlays})
    settings = loaded.with_options(
        kernel=kernel,
        board=board,
        board_file=str(board_file) if board_file else None,
        clock_mhz=clock_mhz,
        **of_vit,
        **tables,
    )
    if settings.board_file:
        target = load_board_file(Path(settings.board_file))
    elif settings.board:
        target = load_board(settings.board)
    else:
        raise ConfigError('no board is given; add --board zcu104, or board = "zcu104" to the config file')
    output = output or Path(f"vitforge-{'' if settings.kernel == 'vit' else f'{settings.kernel}-'}{target.name}")
    check_output(output)
    with progress_bars(as_json) as progress:
        result = _run(settings, target, output, progress)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
        click.echo(f"\nproject: {output}   next: vitforge csim {output}")


def _run(
    config: ProjectConfig, board: Board, output: Path, progress: ProgressCallback
) -> GenerateResult | A3GenerateResult | SparseMatmulGenerateResult:
    """Imports what the kernel needs, after the checks: that is nearly everything."""
    if config.kernel == "a3":
        from vitforge.a3_generate import generate_a3

        return generate_a3(board=board, output=output, config=config, progress=progress)
    if config.kernel == "sparse_matmul":
        from vitforge.sparse_matmul_generate import generate_sparse_matmul

        return generate_sparse_matmul(board=board, output=output, config=config, progress=progress)
    from vitforge.generate import generate as generate_vit

    return generate_vit(board=board, output=output, config=config, progress=progress)


def _refuse_others(kernel: str, options: dict[str, dict[str, Any]]) -> None:
    """Raise `ConfigError` about the first option that only other kernels have."""
    for name, others in options.items():
        wrong = {option: value for option, value in others.items() if option not in options[kernel]}
        refuse_options(f"is an option of kernel {name}, and this is kernel {kernel}", **wrong)


def _print(result: GenerateResult | A3GenerateResult | SparseMatmulGenerateResult) -> None:
    """The choice, its reasons and the predicted figures, as a table on stdout."""
    facts: dict[str, Any] = dict(result.to_json())
    design = result.fitted.design
    board = design.board
    used = {
        name: f"{facts[key]:,} of {getattr(board, key):,} (limit {board.limit(key):,})"
        for name, key in (("DSP", "dsp"), ("BRAM36", "bram36"), ("URAM", "uram"), ("LUT", "lut"), ("FF", "ff"))
    }
    rows = {"a3": _a3_rows, "sparse_matmul": _sparse_matmul_rows}
    choice, figures = rows.get(facts.get("kernel", ""), _vit_rows)(facts)
    why = {"why": "\n".join(facts["reasons"])}
    print_facts(f"{design.name} on {board.title}, {design.clock_mhz:g} MHz", {**choice, **why, **used, **figures})


def _vit_rows(facts: dict[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
    """What was chosen, and the modelled figures."""
    folding = ", ".join(f"{name} {value}" for name, value in facts["folding"].items())
    return {"folding": folding}, {
        "cycles per image, modelled": facts["cycles_per_image"],
        "images per second, modelled": facts["fps"],
    }


def _a3_rows(facts: dict[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
    """The same of an A3 overlay."""
    selection = f"up to {facts['m_max']} iterations" if facts["approximate"] else "none"
    i, f, n, d = (facts[key] for key in ("integer_bits", "fraction_bits", "n_max", "d_max"))
    return {
        "keys and values": f"up to {n} rows of {d} elements, {facts['width']} of them a cycle",
        "numbers": f"{i} + {f} bits and a sign, division {facts['normalisation'].replace('_', ' ')}",
        "candidate selection": selection,
        "units": f"{facts['units']} of {facts['units_that_fit']} that fit; {facts['queries_at_once']} queries at once",
    }, {
        f"cycles per query of {n} rows, modelled": facts["cycles_per_query"],
        "latency of one query, modelled": f"{facts['latency_cycles']:,} cycles",
        "queries per second, modelled": facts["queries_per_second"],
    }


def _sparse_matmul_rows(facts: dict[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
    """The same of a sparse_matmul overlay."""
    kinds = "dense, keep masks, 2:4" if facts["sparse"] else "dense, keep masks"
    return {
        "array": f"{facts['tt']} tokens x {facts['tc']} columns x {facts['tk']} lanes",
        "matrices": f"up to {facts['n_max']} x {facts['k_max']}; {kinds}",
        "rows under a pass of the weights": facts["block_rows"],
    }, {"products a cycle, at most": facts["macs_per_cycle"]}
