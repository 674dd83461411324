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
    from vitforge_host.finding import missing, summary

    findings = examine()
    lacking = missing(findings)
    if as_json:
        print_json(summary(findings))
    else:
        table = Table("", "what", "found", "needed for", box=None, pad_edge=False)
        for finding in findings:
            table.add_row(finding.sign, finding.name, finding.text, finding.purpose)
        console().print(table)
        click.echo(f"missing: {lacking[0].cure}" if lacking else "all that `vitforge demo` needs is here")
    if lacking:
        sys.exit(3)
