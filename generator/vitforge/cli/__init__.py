# SPDX-License-Identifier: Apache-2.0
"""The `vitforge` command. Each command is a small file here that calls the Python function of the same name."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from vitforge import __version__
from vitforge.cli.boards import boards
from vitforge.cli.csim import csim
from vitforge.cli.demo import demo
from vitforge.cli.doctor import doctor
from vitforge.cli.generate import generate
from vitforge.cli.init import init
from vitforge.cli.quantize import quantize
from vitforge.errors import VitforgeError

INTERNAL_ERROR = 1
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="vitforge")
def cli() -> None:
    """Turn a trained Vision Transformer into an INT8 FPGA accelerator.

    \b
    Example:
      vitforge demo
      vitforge generate --board zcu104 -o my-project
      vitforge csim my-project

    \b
    Exit codes: 0 good, 1 a check failed, 2 wrong use or bad input,
    3 a tool is missing or failed.
    """


for command in (demo, init, generate, csim, quantize, boards, doctor):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: errors of ours and of the user become one sentence on stderr."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str]) -> int:
    try:
        return cli.main(args=list(arguments), prog_name="vitforge", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("vitforge: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:  # the last stop before a user
        if "--debug" in arguments:
            traceback.print_exc()
        if isinstance(error, VitforgeError):
            click.echo(f"vitforge: {error}", err=True)
            return error.exit_code
        click.echo(
            f"vitforge: internal error: {type(error).__name__}: {error} (--debug shows where; please report it)",
            err=True,
        )
        return INTERNAL_ERROR
