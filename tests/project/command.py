# SPDX-License-Identifier: Apache-2.0
"""Running the command line inside the test process."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import pytest

from vitforge.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str


class Vitforge:
    """Calls ``vitforge`` with arguments and returns its exit code and output."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Outcome(code=int(exit_.value.code or 0), out=captured.out, err=captured.err)


def parse(line: str) -> None:
    """Let click read a command line without running it; fails on an unknown command, option or value."""
    name, *arguments = shlex.split(line)[1:]
    main.commands[name].make_context(name, arguments)
