# SPDX-License-Identifier: Apache-2.0
"""`vitforge boards`"""

from __future__ import annotations

import click

from vitforge.cli.common import debug_option, json_option, print_facts, print_json, print_table


@click.command(epilog="Example: vitforge boards zcu104 --json")
@click.argument("name", required=False)
@json_option
@debug_option
def boards(name: str | None, as_json: bool) -> None:
    """List the boards, or show all facts of the board NAME.

    For a board of your own, copy one of the files in boards/ and give it as `--board-file`.
    """
    from vitforge.boards import board_facts, list_boards, load_board

    chosen = [load_board(known) for known in ([name] if name else list_boards())]
    if as_json:
        print_json(board_facts(chosen[0]) if name else {"boards": [board_facts(board) for board in chosen]})
    elif name:
        facts = board_facts(chosen[0])
        title, limits, shares = (facts.pop(key) for key in ("title", "limits", "caps"))
        used = {f"{key} a design may use": f"{limits[key]:,} ({shares[key]:.0%})" for key in limits}
        print_facts(title, {**facts, **used})
    else:
        columns = ("name", "board", "part", "LUT", "BRAM36", "URAM", "DSP", "DDR GB/s", "clock MHz")
        rows = [(b.name, b.title, b.part, b.lut, b.bram36, b.uram, b.dsp, b.ddr_gbps, b.clock_mhz) for b in chosen]
        print_table("", columns, rows)
