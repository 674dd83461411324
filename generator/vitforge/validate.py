# SPDX-License-Identifier: Apache-2.0
"""From a TOML file to a checked object, with one sentence for whatever is wrong."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from vitforge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Checked = TypeVar("Checked")


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the choice closest to ``word``, or an empty string."""
    close = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def read_toml(path: Path) -> dict[str, Any]:
    """Parse the TOML file at ``path``; raises `ConfigError` if it is missing, unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); give an existing TOML file") from error
    except ValueError as error:  # TOML syntax and UTF-8 errors
        raise ConfigError(f"{path}: is not a TOML file: {error}") from error


def check(kind: type[Checked], values: Mapping[str, Any], where: str, keys: Mapping[str, Iterable[str]]) -> Checked:
    """Build the pydantic class ``kind`` from ``values``.

    ``where`` starts the sentence of an error. ``keys`` maps a table's dotted name ("" = top level) to its known keys,
    for suggestions. Raises `ConfigError` about the first thing wrong, unknown keys first: a mistyped key is usually
    the cause of a missing one.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        unknown = [problem for problem in problems if problem["type"] in _UNKNOWN]
        raise ConfigError(f"{where}: {_sentence((unknown or problems)[0], keys)}") from error


_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_TYPES = {"model_type": "Input should be a table", "dict_type": "Input should be a table"}
_SHOWN = 60  # characters of a wrong value
_MISSING = {"missing", "missing_keyword_only_argument", "missing_argument"}


def _sentence(problem: ErrorDetails, keys: Mapping[str, Iterable[str]]) -> str:
    *table, key = [str(part) for part in problem["loc"]] or [""]
    full = ".".join([*table, key])
    known = list(keys.get(".".join(table), ()))
    if problem["type"] in _UNKNOWN:
        hint = nearest(key, known) or f"; known keys are {', '.join(sorted(known))}"
        return f"unknown key '{full}'{hint}"
    if problem["type"] in _MISSING:
        return f"key '{full}' is missing"
    value = repr(problem["input"])
    value = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
    message = _TYPES.get(problem["type"], problem["msg"])
    if message.startswith("Input "):
        return f"{full} = {value} {message.removeprefix('Input ')}"
    return f"{full} = {value}: {message.removeprefix('Value error, ')}"
