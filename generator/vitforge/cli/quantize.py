# SPDX-License-Identifier: Apache-2.0
"""`vitforge quantize`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import PATH, debug_option, json_option, output_option, print_json, print_table, progress_bars


@click.command(epilog="Example: vitforge quantize vit.safetensors --calibration images.npy -o vit-int8")
@click.argument("model", type=PATH)
@click.option(
    "--calibration", type=PATH, required=True, metavar="IMAGES", help="Images (n, height, width, channels) uint8."
)
@click.option("--method", type=click.Choice(["percentile", "max"]), default="percentile", show_default=True)
@click.option("--percentile", type=float, help="Of |value|, 90 to 100, for the method of that name.")
@click.option("--images", type=int, help="Use the first so many calibration images.  [default: all]")
@output_option("MODEL-int8", "Directory to write.")
@json_option
@debug_option
def quantize(
    model: Path,
    calibration: Path,
    method: str,
    percentile: float | None,
    images: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Quantise the float MODEL (safetensors, timm or Hugging Face naming) to INT8, and show range, scale and
    signal-to-noise ratio of each tensor.
    """
    from vitforge.quantize.command import quantize_files

    output = output or Path(f"{model.stem}-int8")
    with progress_bars(as_json) as progress:
        result = quantize_files(
            model, calibration, output, method=method, percentile=percentile, images=images, progress=progress
        )
    if as_json:
        print_json(result.to_json())
    else:
        print_table("", result.columns(), result.table_rows())
        click.echo(f"{output}; next: vitforge generate --board zcu104 --model {output}")
