# SPDX-License-Identifier: Apache-2.0
"""`vitforge prune`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import (
    PATH,
    debug_option,
    json_option,
    output_option,
    print_facts,
    print_json,
    progress_bars,
)


@click.command(epilog="Example: vitforge prune --target 0.5 -o pruned")
@click.argument("model", required=False)
@click.option("--target", type=float, metavar="FRACTION", help="Of the blocks' linear weights that stay.")
@click.option(
    "--method",
    type=click.Choice(["probe", "magnitude"]),
    default="probe",
    help="probe: significance, column pruning by steps, fine-tuning; needs PyTorch.  [default: probe]",
)
@click.option("--masks", type=PATH, metavar="NPZ", help="Keep masks of your own instead.")
@click.option("--sparsity", type=click.Choice(["dense", "2:4"]), default="dense", help="Of what stays.")
@click.option("--tile", type=click.IntRange(1, 64), default=8, help="Sizes are multiples of it.  [default: 8]")
@click.option(
    "--tolerance", type=float, default=0.5, metavar="POINTS", help="That a step may cost, validated.  [default: 0.5]"
)
@click.option("--epochs", type=click.IntRange(1), default=15, help="Of fine-tuning.  [default: 15]")
@click.option(
    "--images", type=PATH, metavar="NPZ", help="images and labels to train on; the model that ships has its own."
)
@click.option("--heldout", type=PATH, metavar="NPZ", help="images and labels that no decision sees.")
@click.option("--seed", type=int, default=1, help="[default: 1]")
@click.option("--plot", type=PATH, metavar="FILE", help="Picture of what is kept, accuracy and cycles; .png or .svg.")
@output_option("MODEL-pruned", "Directory to write.")
@json_option
@debug_option
def prune(
    model: str | None,
    target: float | None,
    method: str,
    masks: Path | None,
    sparsity: str,
    tile: int,
    tolerance: float,
    epochs: int,
    images: Path | None,
    heldout: Path | None,
    seed: int,
    plot: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Prune the float MODEL (by default the one that ships) so that the accelerator has less to do: whole rows and
    columns of its linear layers, 2:4 sparsity, or both.

    What comes out goes into `vitforge quantize` and `vitforge generate` as it is.
    """
    from vitforge.compress.command import prune_model
    from vitforge.model.shipped import SHIPPED

    output = output or Path(f"{Path(model or SHIPPED).stem}-pruned")
    with progress_bars(as_json) as progress:
        result = prune_model(
            model,
            output,
            target=target,
            method=method,
            masks=masks,
            sparsity=sparsity,
            tile=tile,
            tolerance=tolerance,
            epochs=epochs,
            images=images,
            heldout=heldout,
            seed=seed,
            plot=plot,
            progress=progress,
        )
    facts = result.to_json()
    if as_json:
        print_json(facts)
        return
    shown = ("method", "sparsity", "kept_fraction", "float_top1", "dense_top1", "control_top1", "footprint_bytes")
    print_facts(f"{result.model.name}, pruned", {name.replace("_", " "): facts[name] for name in shown})
    if target is not None and not result.reached:
        click.echo(
            f"it stopped at {result.kept_fraction:.1%}: no step further stays within the tolerance; "
            "give a larger --tolerance"
        )
    click.echo(f"{output}; next: vitforge quantize {output} --calibration IMAGES -o QDIR")
