# SPDX-License-Identifier: Apache-2.0
"""What commands share: options, tables, JSON and progress."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from vitforge.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., Any])
ProgressCallback = Callable[[str, int, int], None]  # (what, done, total)

PATH = click.Path(path_type=Path)
KERNELS = ("vit", "a3", "sparse_matmul")  # as in `vitforge.config`, which is slow to import
OVERLAY_TITLES = {"a3": "an A3 overlay", "sparse_matmul": "a sparse_matmul overlay"}

config_option = click.option(
    "--config", type=PATH, metavar="TOML", help="Config file of `vitforge init`; options here win over it."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
debug_option = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")


def output_option(default: str | None, text: str) -> Callable[[Command], Command]:
    """``-o/--output DIR`` with its default named in the help."""
    shown = f"{text} [default: {default}]" if default else text
    return click.option("-o", "--output", type=PATH, metavar="DIR", help=shown)


def refuse_options(why: str, **options: object) -> None:
    """Raise `ConfigError` about the first of ``options`` that was given, "--name ``why``"."""
    for name, value in options.items():
        if value not in (None, ()):
            raise ConfigError(f"--{name.replace('_', '-')} {why}; leave it out")


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object on stdout; a number that is not finite becomes null."""
    click.echo(json.dumps(_finite(content), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout; numbers to the right, with thousands separated."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], (int, float, type(None))) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def print_content(title: str, content: Mapping[str, Any]) -> None:
    """What ``--json`` would print, as tables: plain values first, then each list and each object under its name."""
    plain = {name: value for name, value in content.items() if not isinstance(value, (Mapping, list, tuple))}
    print_facts(title, {_words(name): value for name, value in plain.items()})
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            print_facts(_words(name), {_words(str(key)): entry for key, entry in value.items()})
        elif isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
            columns = [str(key) for key in value[0]]
            print_table(
                _words(name), [_words(key) for key in columns], [[row.get(key) for key in columns] for row in value]
            )


def _words(name: str) -> str:
    return name.replace("_", " ")


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """A table of names and values on stdout."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=SIMPLE_HEAD)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, _cell(value))
    console().print(table)


def console() -> Console:
    """A console on stdout: as wide as the terminal, and wide enough for our tables when there is none."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 140)


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


@contextlib.contextmanager
def progress_bars(as_json: bool = False) -> Iterator[ProgressCallback]:
    """A callback (what, done, total) that draws bars on stderr if that is a terminal, and does nothing otherwise.

    With ``as_json``, whatever a library prints meanwhile goes to stderr, so that stdout holds the object alone.
    """
    with contextlib.ExitStack() as stack:
        if as_json:
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        if not sys.stderr.isatty():
            yield lambda what, done, total: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bars = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
        yield _Bars(bars)


class _Bars:
    """One bar at a time: a report about something else completes the bar before."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._what: str | None = None
        self._task: TaskID | None = None
        self._total = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._what or self._task is None:
            if self._task is not None:
                self._bars.update(self._task, completed=self._total)
            self._what, self._task = what, self._bars.add_task(what, total=total)
        self._total = total
        self._bars.update(self._task, completed=done, total=total)
