# SPDX-License-Identifier: Apache-2.0
"""`vitforge init`"""

from __future__ import annotations

from pathlib import Path

import click

from vitforge.cli.common import KERNELS, PATH, debug_option


@click.command(epilog="Example: vitforge init --board kv260 && vitforge generate --config vitforge.toml")
@click.argument("path", type=PATH, default="vitforge.toml")
@click.option("--board", default="zcu104", show_default=True, help="Board to write into it.")
@click.option("--kernel", type=click.Choice(KERNELS), default="vit", show_default=True, help="What to build.")
@click.option("--name", help="Name of the design.  [default: the kernel's]")
@debug_option
def init(path: Path, board: str, kernel: str, name: str | None) -> None:
    """Write a commented config file to PATH (vitforge.toml); an existing file is left alone."""
    from vitforge.boards import load_board
    from vitforge.config import config_template
    from vitforge.errors import OutputError
    from vitforge.names import check_name

    text = config_template(check_name(name or kernel, "--name"), load_board(board).name, kernel)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise OutputError(f"{path}: exists already; name another file or remove it") from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); name another file") from None
    click.echo(f"wrote {path}; next: vitforge generate --config {path}")
