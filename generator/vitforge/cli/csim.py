# SPDX-License-Identifier: Apache-2.0
"""`vitforge csim`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vitforge.cli.common import PATH, config_option, debug_option, json_option, print_json, print_table, progress_bars


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
    from vitforge.csim.run import csim as run

    settings = load_config(config).csim
    images = settings.images if images is None else images
    headers = headers or tuple(settings.headers)
    with progress_bars(as_json) as progress:
        result = run(directory, images=images, headers=headers, progress=progress)
    if as_json:
        print_json(result.to_json())
    else:
        rows = [(row["name"], row["elements"], row["mismatches"]) for row in result.kernels()]
        print_table("", ("kernel", "elements compared", "mismatches"), rows)
        sets = " and ".join(result.checks)
        count = f"{result.images} images" + (", chosen for the size of the model" if result.images_chosen else "")
        click.echo(f"{result.mismatches} mismatches with {sets} headers, {count}, {result.seconds:.1f} s")
        if result.seconds_per_image and result.macs_per_second:
            click.echo(
                f"the whole model takes {result.seconds_per_image:.3g} s an image with vitforge headers on one core, "
                f"{result.macs_per_second / 1e9:.3g} billion multiplications a second"
            )
    if result.mismatches:
        click.echo(f"vitforge: csim differs from the golden model: {result.first_mismatch()}", err=True)
        sys.exit(1)
