# SPDX-License-Identifier: Apache-2.0
"""Names and options of pragmas against the tool's list; what it has dropped. Text alone, no compiler."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from vitforge.lint.findings import Finding
from vitforge.lint.pragma_list import FREE, LEGACY_COMMANDS, LEGACY_PRAGMAS, NAME, NUMBER, PRAGMAS, Values
from vitforge.lint.pragmas import Pragma, Sources

_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+|->\w+|\[\w+\])*$")
_ZERO = re.compile(r"0+$")
_CONSTANT = re.compile(r"[A-Za-z_(0-9][\w:()+*/<>, -]*$")


def check_pragmas(sources: Sources) -> Iterator[Finding]:
    """Rules pragma-name, pragma-option and pragma-legacy for every pragma and every macro that stands for one."""
    written = [pragma for found in sources.pragmas.values() for pragma in found if not pragma.macro]
    for pragma in [*written, *sources.macros.values()]:
        for rule, sentence in _faults(pragma):
            yield Finding(sources.name(pragma.file), pragma.line, rule, sentence)


def check_commands(root: Path, files: list[Path]) -> Iterator[Finding]:
    """Rule pragma-legacy for commands in configuration and Tcl files."""
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            for pattern, sentence in LEGACY_COMMANDS.items():
                if re.search(pattern, line.partition("#")[0]):
                    command = line.split()[0]
                    yield Finding(file.relative_to(root).as_posix(), number, "pragma-legacy", f"{command}: {sentence}")


def _faults(pragma: Pragma) -> Iterator[tuple[str, str]]:
    name = pragma.name
    if name in LEGACY_PRAGMAS:
        yield "pragma-legacy", f"pragma {name}: {LEGACY_PRAGMAS[name]}"
        return
    if name not in PRAGMAS:
        yield "pragma-name", f"the tool has no pragma {name!r}{_did_you_mean(name, list(PRAGMAS))}"
        return
    known = PRAGMAS[name]
    options = {**known.options, **({"off": ("true", "false")} if "off" in known.words else {})}
    for option, value in pragma.options.items():
        if option not in options:
            near = _did_you_mean(option, list(options))
            yield "pragma-option", f"pragma {name} has no option {option!r}{near}"
        elif fault := _wrong(value, options[option]):
            yield "pragma-option", f"pragma {name}: {option}={value} should be {fault}"
    for word in pragma.words:
        if word not in {allowed.lower() for allowed in known.words}:
            near = _did_you_mean(word, [*known.words, *options])
            yield "pragma-option", f"pragma {name} does not take the word {word!r}{near}"
    missing = [option for option in known.required if option not in pragma.options]
    if missing:
        yield "pragma-option", f"pragma {name} needs {missing[0]}="


def _wrong(value: str, allowed: Values) -> str | None:
    """What ``value`` should be, or None where it is allowed."""
    if isinstance(allowed, tuple):
        return None if value in allowed else f"one of {', '.join(allowed)}"
    good = {
        NUMBER: not _ZERO.match(value) and _CONSTANT.match(value) is not None,
        NAME: _NAME.match(value) is not None,
        FREE: value != "",
    }
    return None if good[allowed] else allowed


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
