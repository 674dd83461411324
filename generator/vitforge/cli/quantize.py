# SPDX-License-Identifier: Apache-2.0
"""`vitforge quantize`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import (
    PATH,
    config_option,
    debug_option,
    json_option,
    output_option,
    print_json,
    print_table,
    progress_bars,
)


@click.command(epilog="Example: vitforge quantize vit.safetensors --calibration images.npy -o vit-int8")
@click.argument("model")
@click.option(
    "--calibration",
    type=PATH,
    metavar="IMAGES",
    help="Images (n, height, width, channels) uint8; needed unless MODEL is deit_tiny, deit_small or deit_base.",
)
@click.option(
    "--method",
    type=click.Choice(["percentile", "max", "smooth"]),
    help="Of each tensor's range; smooth also moves outliers of activations into weights.  [default: percentile]",
)
@click.option("--percentile", type=float, help="Of |value|, above 50 and at most 100.  [default: 99.99]")
@click.option("--images", type=int, help="Use the first so many calibration images.  [default: all]")
@output_option("MODEL-int8", "Directory to write.")
@config_option
@json_option
@debug_option
def quantize(
    model: str,
    calibration: Path | None,
    method: str | None,
    percentile: float | None,
    images: int | None,
    config: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Quantise the float MODEL (safetensors, timm or Hugging Face naming) to INT8, and show range, scale and
    signal-to-noise ratio of each tensor.

    MODEL may also be deit_tiny, deit_small or deit_base: the published shapes with random weights, for figures of
    speed and resources; they recognise nothing.
    """
    from vitforge.config import load_config
    from vitforge.quantize.command import quantize_files

    settings = load_config(config).quantize
    output = output or Path(f"{Path(model).stem}-int8")
    with progress_bars(as_json) as progress:
        result = quantize_files(
            model,
            calibration,
            output,
            method=method or settings.method,
            percentile=settings.percentile if percentile is None else percentile,
            images=settings.images if images is None else images,
            progress=progress,
        )
    if as_json:
        print_json(result.to_json())
    else:
        print_table("", result.columns(), result.table_rows())
        click.echo(f"{output}; next: vitforge generate --board zcu104 --model {output}")
