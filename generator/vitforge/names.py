# SPDX-License-Identifier: Apache-2.0
"""Names from users. Whatever passes here is safe in a C++ comment, a Tcl word, a shell word, a file name and XML."""

from __future__ import annotations

import re

from vitforge.errors import ConfigError

_LONGEST = 32
NAME_RULE = f"a lower-case letter, then up to {_LONGEST - 1} lower-case letters, digits, '_' or '-'"
_NAME = re.compile(rf"[a-z][a-z0-9_-]{{0,{_LONGEST - 1}}}")


def is_name(text: str) -> bool:
    """Whether ``text`` keeps `NAME_RULE`, whole (a trailing newline does not pass)."""
    return _NAME.fullmatch(text) is not None


def safe_name(text: str) -> str:
    """``text`` in lower case, with '-' for what a name must not have, cut to size: "My Project" is my-project.

    It need not be a name: one cannot begin with a digit.
    """
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:_LONGEST]


def check_name(text: str, what: str = "name") -> str:
    """Return ``text`` if it is a safe name; raises `ConfigError` that says ``what`` was named and the rule."""
    if not is_name(text):
        raise ConfigError(f"{what} {text!r} is not allowed: a name is {NAME_RULE}")
    return text
