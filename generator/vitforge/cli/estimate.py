# SPDX-License-Identifier: Apache-2.0
"""`vitforge estimate`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import PATH, debug_option, json_option, print_facts, print_json


@click.command(epilog="Example: vitforge estimate vitforge-zcu104")
@click.argument("directory", type=PATH)
@json_option
@debug_option
def estimate(directory: Path, as_json: bool) -> None:
    """Cycles of the project in DIRECTORY by the closed form that chose its folding; nothing is run.

    `vitforge trace` simulates the same project and takes longer.
    """
    from vitforge.csim.project import load_project
    from vitforge.timing.estimate import estimate as run

    design = load_project(directory).design
    result = run(design)
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
