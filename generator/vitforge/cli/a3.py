# SPDX-License-Identifier: Apache-2.0
"""`vitforge a3 tune`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitforge.cli.common import (
    PATH,
    debug_option,
    json_option,
    print_facts,
    print_json,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from vitforge.a3_tune import Point, TuneResult

_EXAMPLE = "vitforge a3 tune --keys K.npy --values V.npy --queries Q.npy --tolerance 0.05 --plot front.png"
_CONFIG = Path("vitforge.toml")


@click.group(epilog=f"Example: {_EXAMPLE}")
def a3() -> None:
    """Work on an A3 overlay: attention alone, exact or approximate."""


@a3.command(epilog=f"Example: {_EXAMPLE}")
@click.option("--keys", type=PATH, required=True, metavar="NPY", help="Keys (n, d), or (H, n, d) of H heads.")
@click.option("--values", type=PATH, required=True, metavar="NPY", help="Values, of the same shape.")
@click.option(
    "--queries",
    type=PATH,
    required=True,
    metavar="NPY",
    help="Queries (b, d), or (H, b, d), in the order in which they will come.",
)
@click.option("--tolerance", type=float, required=True, help="Largest error of the outputs, as in 0.05.")
@click.option(
    "--metric",
    metavar="MODULE:FUNCTION",
    help="Python function of outputs and exact outputs that returns an error.  [default: ||difference|| / ||exact||]",
)
@click.option("--scale", type=float, help="Of the dot product.  [default: 1 / sqrt(d)]")
@click.option(
    "--project", type=PATH, metavar="DIR", help="Project to simulate.  [default: a temporary one, as configured]"
)
@click.option("--board", metavar="NAME", help="Board of a temporary project.  [default: the config's, else zcu104]")
@click.option(
    "--held-out", type=float, default=0.5, show_default=True, help="Fraction of the queries to verify the choice with."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Draws the held-out queries.")
@click.option(
    "--config",
    type=PATH,
    metavar="TOML",
    default=_CONFIG,
    show_default=True,
    help="Config file that gets the choice; its [a3] also has the sizes of a temporary project.",
)
@click.option("--plot", type=PATH, metavar="FILE", help="Draw cycles against error into a .png or .svg file.")
@json_option
@debug_option
def tune(
    keys: Path,
    values: Path,
    queries: Path,
    tolerance: float,
    metric: str | None,
    scale: float | None,
    project: Path | None,
    board: str | None,
    held_out: float,
    seed: int,
    config: Path,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Find the cheapest M (iterations of candidate selection) and T (threshold of post-scoring) whose error on your
    own keys, values and queries stays inside the tolerance, and write them to the config.

    Cheapest: fewest simulated cycles per query, then the shortest latency. Settings are searched with one part of the
    queries; the error of the choice also holds on the part that was held out. The error is that of the kernel's
    integers against exact attention of your numbers, quantisation included.

    Exit code 1 if no setting is good enough; the config is then left alone.
    """
    from vitforge.a3_tune import tune as run

    with progress_bars(as_json) as progress:
        result = run(
            keys,
            values,
            queries,
            tolerance=tolerance,
            metric=metric,
            scale=scale,
            project=project,
            board=board,
            held_out=held_out,
            seed=seed,
            config=config,
            plot=plot,
            progress=progress,
        )
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    for sentence in result.warnings():
        click.echo(f"vitforge: warning: {sentence}", err=True)
    if result.chosen is None:
        click.echo(f"vitforge: {result.refusal()}", err=True)
        sys.exit(1)


def _print(result: TuneResult) -> None:
    """Front and choice."""
    chosen = result.chosen
    shown = sorted({*result.pareto, *([chosen] if chosen else [])}, key=lambda point: (*point.cost, point.error))
    columns = ("M", "T", "cycles per query", "speedup", "latency", "error, held out", "candidates", "kept", "")
    rows = [(*_row(result, point), "choice" if point == chosen else "") for point in shown]
    title = f"simulated cycles against error, {len(result.points)} settings: the Pareto front"
    print_table(title + " and the choice" * (chosen is not None and chosen not in result.pareto), columns, rows)
    facts: dict[str, object] = {
        "data": f"{result.heads} x " * (result.heads > 1)
        + f"{result.n} keys of {result.d}; {result.searched} queries to search with, {result.held_out} held out",
        "error": f"{result.metric}, at most {result.tolerance:g}; quantisation alone {result.exact.error:.4g}",
    }
    if chosen is not None:
        facts |= {
            "choice": str(chosen.setting),
            "error of the choice": f"{chosen.error:.4g} held out, {chosen.search_error:.4g} searched with",
            "throughput": f"{result.speedup(chosen):.3g} times that of the exact pipeline",
            "latency": f"{chosen.latency_cycles:,.0f} cycles instead of {result.exact.latency_cycles:,.0f}",
        }
    written = {"plot": result.plot, "config": result.config}
    facts |= {name: path for name, path in written.items() if path is not None}
    print_facts(f"A3 on {result.design.board.title}, simulated", facts)
    if result.config is not None:
        click.echo(f"next: vitforge generate --kernel a3 --config {result.config}")


def _row(result: TuneResult, point: Point) -> tuple[object, ...]:
    m, t = point.setting
    return (
        "all rows" if m is None else f"{m:,}",
        "-" if t is None else f"{t:g} %",
        round(point.cycles_per_query, 2),
        round(result.speedup(point), 3),
        round(point.latency_cycles, 1),
        float(f"{point.error:.4g}"),
        round(point.candidates, 1),
        round(point.kept, 1),
    )
