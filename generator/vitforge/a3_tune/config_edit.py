# SPDX-License-Identifier: Apache-2.0
"""Sets keys of a table in the text of a TOML file, and leaves every other character alone.

It knows keys with a plain value on a line of their own under a header ``[table]``. The result is parsed and compared
with what it should say, so that text written in another way is refused instead of damaged.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping

from vitforge.errors import ConfigError
from vitforge.validate import tomllib

Value = int | float | str | bool

_HEADER = re.compile(r"^[ \t]*\[")
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s#"']+)"""
_ANY_KEY = re.compile(rf"^[ \t]*[\w.\"'-]+[ \t]*=[ \t]*{_VALUE}")


def with_keys(text: str, table: str, values: Mapping[str, Value | None]) -> str:
    """``text`` with ``values`` in its ``table``; None takes a key away, as a comment.

    A key keeps its line and the comment behind it, also if it is commented out. A new one goes behind the last key of
    the table, a new table to the end.
    Raises ConfigError if ``text`` is no TOML, or writes the table in a way that this does not know.
    """
    expected = _expected(text, table, values)
    lines = text.split("\n")
    end_of_line = "\r" if "\r\n" in text else ""
    start = _header_line(lines, table)
    if start is None and any(value is not None for value in values.values()):
        lines, start = _with_table(lines, table, end_of_line)
    if start is not None:
        for key, value in values.items():
            _set(lines, start, key, value, end_of_line)
    result = "\n".join(lines)
    try:
        found = tomllib.loads(result)
    except ValueError:  # such as a key that is there twice
        found = None
    if found != expected:
        wanted = " and ".join(assignment(key, value) for key, value in values.items() if value is not None)
        raise ConfigError(
            f"its table {table} is written in a way that cannot be edited here; write it as [{table}] with a key on "
            f"each line, or put {wanted or 'no ' + ' and no '.join(values)} there by hand"
        )
    return result


def assignment(key: str, value: Value) -> str:
    """``key = value`` in TOML. Strings are names of ours, which need no escapes."""
    if isinstance(value, bool):
        return f"{key} = {str(value).lower()}"
    return f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value!r}"


def _expected(text: str, table: str, values: Mapping[str, Value | None]) -> dict[str, object]:
    try:
        expected = copy.deepcopy(tomllib.loads(text))
    except ValueError as error:
        raise ConfigError(f"is not a TOML file: {error}") from None
    keys = expected.get(table, {})
    if not isinstance(keys, dict):
        raise ConfigError(f"its {table} is no table")
    merged = {key: value for key, value in {**keys, **values}.items() if values.get(key, value) is not None}
    if merged or table in expected:
        expected[table] = merged
    return expected


def _header_line(lines: list[str], table: str) -> int | None:
    header = re.compile(rf"^[ \t]*\[[ \t]*[\"']?{re.escape(table)}[\"']?[ \t]*\][ \t]*(?:#.*)?\r?$")
    return next((index for index, line in enumerate(lines) if header.match(line)), None)


def _with_table(lines: list[str], table: str, end_of_line: str) -> tuple[list[str], int]:
    """The table at the end, behind an empty line; the last of ``lines`` is what follows the last newline."""
    kept = lines[:-1] if not lines[-1] else [*lines[:-1], lines[-1] + end_of_line]
    gap = [end_of_line] if kept and kept[-1].strip() else []
    return [*kept, *gap, f"[{table}]{end_of_line}", ""], len(kept) + len(gap)


def _set(lines: list[str], start: int, key: str, value: Value | None, end_of_line: str) -> None:
    """Changes, adds or comments out ``key`` in the table whose header is line ``start``."""
    after = range(start + 1, len(lines))
    end = next((index for index in after if _HEADER.match(lines[index])), len(lines))
    inside = range(start + 1, end)
    active = next((index for index in inside if _key_line(key).match(lines[index])), None)
    if value is None:
        if active is not None:
            lines[active] = f"# {lines[active]}"
        return
    at = active if active is not None else _commented(lines, inside, key)
    if at is not None:
        lines[at] = _replaced(lines[at], key, value)
        return
    last = max((index for index in inside if _ANY_KEY.match(lines[index])), default=start)
    if last == len(lines) - 1:  # without a newline at its end
        lines[last] += end_of_line
        lines.append(assignment(key, value))
    else:
        lines.insert(last + 1, assignment(key, value) + end_of_line)


def _commented(lines: list[str], inside: range, key: str) -> int | None:
    return next((index for index in inside if _key_line(key, commented=True).match(lines[index])), None)


def _key_line(key: str, commented: bool = False) -> re.Pattern[str]:
    """With groups indent, comment and end. Prose that starts with "# key = " has more than a value in it."""
    mark = r"#[ \t]*" if commented else ""
    return re.compile(
        rf"^(?P<indent>[ \t]*){mark}[\"']?{re.escape(key)}[\"']?[ \t]*=[ \t]*{_VALUE}"
        r"[ \t]*(?P<comment>#.*?)?(?P<end>\r?)$"
    )


def _replaced(line: str, key: str, value: Value) -> str:
    match = _key_line(key).match(line) or _key_line(key, commented=True).match(line)
    assert match is not None
    text = match["indent"] + assignment(key, value)
    if match["comment"]:
        text = text.ljust(match.start("comment") - 1) + " " + match["comment"]
    return text + match["end"]
