# SPDX-License-Identifier: Apache-2.0
"""Names from users. Whatever passes here is safe in a C++ comment, a Tcl word, a shell word, a file name and XML."""

from __future__ import annotations

import re

from vitforge.errors import ConfigError

NAME_RULE = "a lower-case letter, then up to 31 lower-case letters, digits, '_' or '-'"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def is_name(text: str) -> bool:
    """Whether ``text`` keeps `NAME_RULE`, whole (a trailing newline does not pass)."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str, what: str = "name") -> str:
    """Return ``text`` if it is a safe name; raises `ConfigError` that says ``what`` was named and the rule."""
    if not is_name(text):
        raise ConfigError(f"{what} {text!r} is not allowed: a name is {NAME_RULE}")
    return text
