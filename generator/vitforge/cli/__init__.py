# SPDX-License-Identifier: Apache-2.0
"""The `vitforge` command. Each command is a small file here that calls the Python function of the same name."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from vitforge import __version__
from vitforge.cli.a3 import a3
from vitforge.cli.blob import blob
from vitforge.cli.boards import boards
from vitforge.cli.build import build
from vitforge.cli.csim import csim
from vitforge.cli.demo import demo
from vitforge.cli.doctor import doctor
from vitforge.cli.estimate import estimate
from vitforge.cli.generate import generate
from vitforge.cli.init import init
from vitforge.cli.lint import lint
from vitforge.cli.package import package
from vitforge.cli.prune import prune
from vitforge.cli.quantize import quantize
from vitforge.cli.report import report
from vitforge.cli.trace import trace
from vitforge.errors import VitforgeError

INTERNAL_ERROR = 1
INTERRUPTED = 130


class Vitforge(click.Group):
    """A group that turns every error, of ours or of the user, into one sentence on stderr and an exit code."""

    def main(  # type: ignore[override]  # click's own can also return
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command line (default: the process's) and exit."""
        arguments = sys.argv[1:] if args is None else list(args)
        sys.exit(self._run(arguments, **{**extra, "standalone_mode": False}))

    def _run(self, arguments: list[str], **extra: Any) -> int:
        try:
            return super().main(args=arguments, prog_name="vitforge", **extra) or 0
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()  # the help page
            return error.exit_code
        except click.ClickException as error:
            click.echo(f"vitforge: {_usage_sentence(error)}", err=True)
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("vitforge: interrupted", err=True)
            return INTERRUPTED
        except VitforgeError as error:
            _show_traceback(arguments)
            click.echo(f"vitforge: {error}", err=True)
            return error.exit_code
        except Exception as error:  # the last stop before a user
            _show_traceback(arguments)
            code = _host_exit_code(error)
            if code is not None:
                click.echo(f"vitforge: {error}", err=True)
                return code
            what = f"{type(error).__name__}: {error}"
            click.echo(f"vitforge: internal error: {what} (--debug shows where; please report it)", err=True)
            return INTERNAL_ERROR


def _usage_sentence(error: click.ClickException) -> str:
    """What click found wrong with the command line, and where to read what would be right."""
    text = error.format_message().rstrip(".").replace("\n", " ")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return text if context is None else f"{text}; {context.command_path} --help shows what it takes"


def _host_exit_code(error: Exception) -> int | None:
    """Exit code of an error that driver or simulated board raised on purpose; None for any other."""
    from vitforge_host.errors import HostError, exit_code

    return exit_code(error) if isinstance(error, HostError) else None


def _show_traceback(arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()


@click.group(
    "vitforge", cls=Vitforge, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="vitforge")
def main() -> None:
    """Turn a trained Vision Transformer into an INT8 FPGA accelerator.

    \b
    Example:
      vitforge demo
      vitforge generate --board zcu104 -o my-project
      vitforge csim my-project
      vitforge trace my-project

    \b
    Exit codes: 0 good, 1 a check failed, 2 wrong use or bad input,
    3 a tool is missing or failed.
    """


COMMANDS = (
    demo,
    init,
    generate,
    csim,
    lint,
    trace,
    estimate,
    build,
    package,
    report,
    quantize,
    prune,
    blob,
    a3,
    boards,
    doctor,
)
for command in COMMANDS:
    main.add_command(command)
