# SPDX-License-Identifier: Apache-2.0
"""`vitforge doctor`"""

from __future__ import annotations

import sys

import click

from vitforge.cli.common import console, debug_option, json_option, print_json


@click.command(epilog="Example: vitforge doctor --json")
@json_option
@debug_option
def doctor(as_json: bool) -> None:
    """Check what this machine has of the tools, and say how to get what is missing.

    Exit code 3 if something that `vitforge demo` needs is missing.
    """
    from rich.table import Table

    from vitforge.doctor import examine

    findings = examine()
    missing = [finding for finding in findings if finding.required and not finding.found]
    if as_json:
        print_json({"good": not missing, "checks": [finding.to_json() for finding in findings]})
    else:
        table = Table("", "what", "found", "needed for", box=None, pad_edge=False)
        for finding in findings:
            sign = "ok" if finding.found else "MISSING" if finding.required else "-"
            table.add_row(sign, finding.name, finding.detail or finding.cure, finding.purpose)
        console().print(table)
        click.echo("all that `vitforge demo` needs is here" if not missing else f"missing: {missing[0].cure}")
    if missing:
        sys.exit(3)
