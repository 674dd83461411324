# SPDX-License-Identifier: Apache-2.0
"""Progress and tables: bars on a terminal only and on stderr, JSON alone on stdout."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import vitforge
from vitforge.cli.common import print_json, print_table

SCRIPT = """
from vitforge.cli.common import print_json, progress_bars
with progress_bars(as_json=True) as progress:
    for what in ("compile", "compare"):
        for done in range(4):
            progress(what, done, 3)
    print("chatter of a library")
print_json({"mismatches": 0})
"""


def run_script(stderr: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(vitforge.__file__).parents[1]), "TERM": "xterm"}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, env=environment, text=True, check=True)


def test_no_bars_without_a_terminal() -> None:
    result = run_script(subprocess.PIPE)
    assert json.loads(result.stdout) == {"mismatches": 0}
    assert result.stderr == "chatter of a library\n"


def test_bars_on_a_terminal_go_to_stderr() -> None:
    ours, theirs = pty.openpty()
    result = run_script(theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = terminal.read(65536)
    assert json.loads(result.stdout) == {"mismatches": 0}
    assert b"compile" in shown
    assert b"compare" in shown


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"sqnr": [math.inf, math.nan, 3.5], "tensors": ({"low": -math.inf},)})
    assert json.loads(capsys.readouterr().out) == {"sqnr": [None, None, 3.5], "tensors": [{"low": None}]}


def test_a_table_shows_markup_characters_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", ("name", "count"), [("[bold]x[/bold]", 1234567)])
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown
    assert "1,234,567" in shown
