# SPDX-License-Identifier: Apache-2.0
"""`vitforge csim`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitforge.cli.common import (
    OVERLAY_TITLES,
    PATH,
    ProgressCallback,
    config_option,
    debug_option,
    json_option,
    print_json,
    print_table,
    progress_bars,
    refuse_options,
)

if TYPE_CHECKING:
    from vitforge.config import CsimConfig
    from vitforge.csim.checks import OverlayCsimResult
    from vitforge.csim.run import CsimResult


@click.command(epilog="Example: vitforge csim vitforge-zcu104 --images 64 --headers amd")
@click.argument("directory", type=PATH)
@click.option(
    "--images", type=int, help="Images for the whole-model comparison.  [default: 64, fewer for large models]"
)
@click.option(
    "--headers",
    type=click.Choice(["vitforge", "amd"]),
    multiple=True,
    help="Which ap_int.h and hls_stream.h to compile with; can be given twice.  [default: both]",
)
@config_option
@json_option
@debug_option
def csim(directory: Path, images: int | None, headers: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Compile the project in DIRECTORY with g++ and compare every kernel and the whole model with the golden
    model, bit for bit.

    Exit code 1 if anything differs.
    """
    from vitforge.config import load_config

    settings = load_config(config).csim
    with progress_bars(as_json) as progress:
        result = _run(directory, images, headers or tuple(settings.headers), settings, progress)
    if as_json:
        print_json(result.to_json())
    else:
        rows = [(row["name"], row["elements"], row["mismatches"]) for row in result.kernels()]
        print_table("", ("kernel", "elements compared", "mismatches"), rows)
        _print_summary(result)
    if result.mismatches:
        click.echo(f"vitforge: csim differs from the golden model: {result.first_mismatch()}", err=True)
        sys.exit(1)


def _run(
    directory: Path, images: int | None, headers: tuple[str, ...], settings: CsimConfig, progress: ProgressCallback
) -> CsimResult | OverlayCsimResult:
    from vitforge.csim.project import kernel_of

    kernel = kernel_of(directory)
    if kernel != "vit":
        refuse_options(f"is for a Vision Transformer, and {directory} is {OVERLAY_TITLES[kernel]}", images=images)
        from vitforge.csim.overlay import csim_overlay

        return csim_overlay(directory, headers=headers, progress=progress)
    from vitforge.csim.run import csim as csim_vit

    images = settings.images if images is None else images
    return csim_vit(directory, images=images, headers=headers, progress=progress)


def _print_summary(result: CsimResult | OverlayCsimResult) -> None:
    from vitforge.csim.checks import OverlayCsimResult

    found = f"{result.mismatches} mismatches with {' and '.join(result.checks)} headers"
    if isinstance(result, OverlayCsimResult):
        click.echo(f"{found}, {result.seconds:.1f} s")
        return
    count = f"{result.images} images" + (", chosen for the size of the model" if result.images_chosen else "")
    click.echo(f"{found}, {count}, {result.seconds:.1f} s")
    if result.seconds_per_image and result.macs_per_second:
        click.echo(
            f"the whole model takes {result.seconds_per_image:.3g} s an image with vitforge headers on one core, "
            f"{result.macs_per_second / 1e9:.3g} billion multiplications a second"
        )
