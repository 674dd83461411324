# SPDX-License-Identifier: Apache-2.0
"""Simulated cycles and DDR bytes of the linear layers against what is left of them: random keep masks, and 2:4.

A model is generated with one folding, dense and with 75, 50 and 25 % of the rows and of the columns of each linear
layer kept at random, and traced. MACs are counted in whole tiles, over all blocks but the last, which computes the
class token alone. Where both are random in `rows` and `columns`, a quarter of each leaves a sixteenth of the MACs.
Bytes are what each further image of a launch reads of the array streams of the same blocks: all of them, descriptors
too, but for what stays on chip. Exit code 1 if cycles are more than 6 % from proportional to MACs, or bytes to the
weights that are left; or if 2:4 takes more than 0.53 of the dense cycles.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.boards import load_board
from vitforge.cli.common import print_table
from vitforge.config import ProjectConfig
from vitforge.design.block_sizes import BlockSizes, block_sizes, tiles_shape
from vitforge.design.design import Design
from vitforge.design.fit import fit
from vitforge.generate import generate
from vitforge.model.keep import BlockKeep, mask_shapes
from vitforge.model.source import resolve_model
from vitforge.quantize.model import QuantModel
from vitforge.quantize.prune import prune_quantized, prune_two_of_four
from vitforge.timing.ddr import linear_bytes
from vitforge.timing.trace import trace
from vitforge_host.blob import read_blob

BOARD = "zcu104"
KEPT = (1.0, 0.75, 0.5, 0.25)
# Eight tokens leave in a cycle, so that matrices of few k tiles do not wait for the residual. A sixteenth of DeiT-Tiny
# is little: with smaller token tiles a job lasts longer, against what it takes to begin and to end.
FOLDING = {"tt_nsa": 16, "td_nsa": 8, "td_nmp": 8, "tr": 8, "lane_banks": 1}
FOLDINGS = {"deit_tiny": FOLDING | {"tt_nmp": 16}, "deit_small": FOLDING | {"tt_nmp": 24}}
FITTED: dict[str, dict[str, Any]] = {"dense": {}, "--keep 0.5": {"keep": 0.5}, "--sparsity 2:4": {"sparsity": "2:4"}}
MOST_DIFFERENCE, MOST_TWO_OF_FOUR = 0.06, 0.53
RECORDED = Path(__file__).parent / "results" / "sparsity_curve.json"
Row = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What the linear layers of a block take at least: tiles of tt tokens x tc columns x tk lanes, and bytes."""

    steps: int
    weight_bytes: int  # with the places of 2:4 weights

    @classmethod
    def of(cls, design: Design, sizes: BlockSizes) -> Work:
        f = design.folding
        per_k_tile = f.tk // f.tc
        heads = sum(2 * qk + v for qk, v in sizes.heads) * per_k_tile
        matrices = (
            (design.nsa.token_tiles, sizes.norm1, heads),
            (design.nsa.token_tiles, sizes.proj_inputs, sum(count for _, count in sizes.proj)),
            (design.nmp.token_tiles, sizes.norm2, sizes.fc1_columns),
            (design.nmp.token_tiles, sizes.hidden, sum(count for _, count in sizes.fc2)),
        )
        step_bytes = f.tk * f.tc * 5 // 4 if sizes.sparse else f.tk * f.tc
        shapes = [tiles_shape(design, k_tiles, 1, sparse=sizes.sparse) for _, k_tiles, _ in matrices]
        counted = list(zip(matrices, shapes, strict=True))
        return cls(
            steps=sum(tokens * columns * shape.steps for (tokens, _, columns), shape in counted),
            weight_bytes=sum(columns * shape.steps * step_bytes for (_, _, columns), shape in counted),
        )


def random_keep(model: QuantModel, fraction: float, seed: int) -> tuple[BlockKeep, ...]:
    """Masks that keep ``fraction`` of every dimension of every block, of each head as many."""
    rng = np.random.default_rng(seed)

    def mask(count: int) -> NDArray[np.bool_]:
        kept = np.zeros(count, bool)
        kept[rng.permutation(count)[: round(fraction * count)]] = True
        return kept

    def masks(shape: tuple[int, ...]) -> NDArray[np.bool_]:
        return mask(shape[0]) if len(shape) == 1 else np.stack([mask(shape[1]) for _ in range(shape[0])])

    shapes = mask_shapes(model.shape)
    return tuple(BlockKeep(**{name: masks(shape) for name, shape in shapes.items()}) for _ in range(model.shape.depth))


def traced(config: ProjectConfig, model: QuantModel | None = None) -> tuple[Design, Row]:
    """A project, generated and traced; with the bytes of all blocks but the last as its blob has them."""
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch, contextlib.redirect_stdout(sys.stderr):
        done = generate(board=load_board(BOARD), output=Path(scratch) / "project", model=model, config=config)
        simulated = trace(Path(scratch) / "project", smallest=False)
        report, manifest = simulated.report, read_blob(simulated.project.blob()).manifest
    if report.fps is None or report.linear_cycles is None:
        raise SystemExit(f"the generated depths deadlock: {report.deadlock}")
    names = ("fps", "linear_cycles", "ddr_bytes_per_image", "ddr_bytes_per_launch", "dsp")
    stream = linear_bytes(manifest, range(done.fitted.design.shape.depth - 1))
    return done.fitted.design, {name: getattr(report, name) for name in names} | {"stream_bytes": stream}


def measure(model: QuantModel, folding: dict[str, int]) -> Row:
    """Generated with ``folding``, and traced."""
    design, row = traced(ProjectConfig.model_validate({"folding": folding}), model)
    keeps = model.keep or (None,) * model.shape.depth
    works = [Work.of(design, block_sizes(design, keep, sparse=model.is_two_of_four)) for keep in keeps[:-1]]
    return row | {
        "tile_steps": sum(work.steps for work in works),
        "weight_bytes": sum(work.weight_bytes for work in works),
    }


def fitted() -> list[Row]:
    """DeiT-Tiny, with the folding that suits each version."""
    rows = []
    for name, options in FITTED.items():
        _, row = traced(ProjectConfig.model_validate({"model": "deit_tiny", **options}))
        rows.append({"version": name} | row)
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def ratios(row: Row, dense: Row) -> Row:
    """Of a row to the dense one."""
    macs = row["tile_steps"] / dense["tile_steps"]
    cycles = row["linear_cycles"] / dense["linear_cycles"]
    weights = row["weight_bytes"] / dense["weight_bytes"]
    stream = row["stream_bytes"] / dense["stream_bytes"]
    return row | {
        "mac_ratio": round(macs, 4),
        "cycle_ratio": round(cycles, 4),
        "cycles_to_macs": round(cycles / macs, 4),
        "weight_ratio": round(weights, 4),
        "byte_ratio": round(stream, 4),
        "byte_to_weights": round(stream / weights, 4),
    }


def curve(name: str) -> list[Row]:
    """All rows of a model."""
    model, folding = resolve_model(name, None), FOLDINGS[name]
    rows: list[Row] = []
    for kept in KEPT:
        chosen = model if kept == 1.0 else prune_quantized(model, random_keep(model, kept, seed=1))
        row = measure(chosen, folding)
        rows.append({"model": name, "kept": kept, "sparsity": "dense"} | ratios(row, rows[0] if rows else row))
        say(rows[-1])
    capable = folding | {"sparse": 1}
    dense = measure(model, capable)
    for sparsity, row in (("dense", dense), ("2:4", measure(prune_two_of_four(model), capable))):
        rows.append({"model": name, "kept": 1.0, "sparsity": sparsity, "overlay": "2:4"} | ratios(row, dense))
        say(rows[-1])
    return rows


def on_dense_fit() -> list[Row]:
    """DeiT-Tiny on the overlay fitted to its dense version, whose arrays are drained no faster than that needs."""
    model = resolve_model("deit_tiny", None)
    folding = asdict(fit(model.shape, load_board(BOARD)).design.folding)
    dense = measure(model, folding)
    rows = []
    for kept in KEPT[1:]:
        row = measure(prune_quantized(model, random_keep(model, kept, seed=1)), folding)
        rows.append({"model": "deit_tiny", "kept": kept, "sparsity": "dense"} | ratios(row, dense))
        say(rows[-1])
    return rows


def say(row: Row) -> None:
    """Progress, on stderr."""
    line = f"{row['model']}, {row['kept']:.0%} of rows and columns, {row['sparsity']}"
    print(f"{line}: MACs {row['mac_ratio']}, cycles {row['cycle_ratio']}", file=sys.stderr, flush=True)


def failures(rows: list[Row]) -> list[str]:
    """What misses its bound, in sentences."""
    found = []
    for row in rows:
        name = f"{row['model']}, {row['kept']:.0%} kept, {row['sparsity']}"
        if row["sparsity"] == "2:4" and row["cycle_ratio"] > MOST_TWO_OF_FOUR:
            found.append(f"{name}: cycles are {row['cycle_ratio']} of the dense ones")
        if row["sparsity"] == "dense" and abs(row["cycles_to_macs"] - 1) > MOST_DIFFERENCE:
            found.append(f"{name}: cycles are {row['cycles_to_macs']} of proportional")
        if abs(row["byte_to_weights"] - 1) > MOST_DIFFERENCE:
            found.append(f"{name}: bytes are {row['byte_to_weights']} of proportional")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--models", nargs="+", choices=list(FOLDINGS), default=list(FOLDINGS), metavar="MODEL")
    parser.add_argument("--record", action="store_true", help=f"also write results/{RECORDED.name}")
    options = parser.parse_args()
    rows = [row for name in options.models for row in curve(name)]
    wrong = failures(rows)
    found = {"board": BOARD, "foldings": FOLDINGS, "rows": rows, "fitted": fitted(), "on_dense_fit": on_dense_fit()}
    found["failures"] = wrong
    content = json.dumps(found, indent=1)
    if options.record:
        RECORDED.write_text(content + "\n")
    if options.json:
        print(content)
    else:
        keys = ("model", "kept", "sparsity", "mac_ratio", "cycle_ratio", "cycles_to_macs", "byte_to_weights", "fps")
        title = "linear layers: simulated cycles against MACs in whole tiles, and bytes against weights"
        print_table(title, keys, [tuple(row[key] for key in keys) for row in rows])
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
