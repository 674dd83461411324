# SPDX-License-Identifier: Apache-2.0
"""`vitforge lint`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vitforge.cli.common import PATH, debug_option, json_option, print_json


@click.command(epilog="Example: vitforge lint vitforge-zcu104 --json")
@click.argument("directory", type=PATH)
@json_option
@debug_option
def lint(directory: Path, as_json: bool) -> None:
    """Check the HLS sources of the project in DIRECTORY for what csim cannot see: pragmas, loops, dataflow regions,
    interfaces, memory ports and multipliers as Vitis HLS takes them.

    docs/lint.md has the rules. `// NOLINT(rule)` on a line waives one there. Exit code 1 if anything is found, 3
    without libclang.
    """
    from vitforge.lint import lint_project
    from vitforge.lint.rules import RULES

    result = lint_project(directory)
    if as_json:
        print_json(result.to_json())
    else:
        for finding in result.findings:
            click.echo(str(finding))
        click.echo(f"{result.files} files of {result.top}, {len(RULES)} rules: {len(result.findings)} findings")
    if result.findings:
        click.echo(f"vitforge: lint: {result.findings[0]}", err=True)
        sys.exit(1)
