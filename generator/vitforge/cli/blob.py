# SPDX-License-Identifier: Apache-2.0
"""`vitforge blob`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import PATH, debug_option, json_option, print_json, progress_bars


@click.command(epilog="Example: vitforge blob vitforge-zcu104 pruned --calibration images.npy -o pruned.blob")
@click.argument("project", type=PATH)
@click.argument("model")
@click.option("--calibration", type=PATH, metavar="IMAGES", help="Images to quantise a float MODEL on.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="File to write.  [default: MODEL.blob]")
@json_option
@debug_option
def blob(project: Path, model: str, calibration: Path | None, output: Path | None, as_json: bool) -> None:
    """Write the weights of another version of a model for the overlay of PROJECT: pruned, 2:4 or dense.

    Nothing is generated or built again: VitAccelerator.load() takes the file while the overlay stays loaded.
    """
    from vitforge.deploy.versions import write_version

    output = output or Path(f"{Path(model).stem}.blob")
    with progress_bars(as_json) as progress:
        result = write_version(project, model, output, calibration=calibration, progress=progress)
    if as_json:
        print_json(result.to_json())
    else:
        click.echo(f"{output}: {result.blob_bytes:,} bytes; modelled on this overlay: {result.fps:g} images/s")
