# SPDX-License-Identifier: Apache-2.0
"""``#pragma HLS`` lines of a source file, and macros that stand for one, each as a name with its options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"^\s*#\s*pragma\s+HLS\b(.*)$", re.IGNORECASE)
_MACRO = re.compile(r'^\s*#\s*define\s+(\w+)\s+_Pragma\("HLS\s+([^"]*)"\)\s*$', re.IGNORECASE)
_USE = re.compile(r"^\s*([A-Z][A-Z0-9_]*)\s*;?\s*$")
_CONDITION = re.compile(r"^\s*if\s*\(([^)]*)\)\s*")


@dataclass(frozen=True, kw_only=True)
class Pragma:
    """One pragma. Names of pragma and options are in lower case but for ``II``; the tool takes either case."""

    file: Path
    line: int
    name: str
    options: Mapping[str, str]
    words: tuple[str, ...]
    macro: str = ""  # it stands here by this macro; checked where that is defined

    @property
    def variable(self) -> str:
        return self.options.get("variable", "")

    @property
    def off(self) -> bool:
        return "off" in self.words or self.options.get("off") == "true"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Lines of every kernel source below hls/, the pragmas in them, and those that macros define."""

    root: Path  # the project
    lines: Mapping[Path, tuple[str, ...]]
    pragmas: Mapping[Path, tuple[Pragma, ...]]
    macros: Mapping[str, Pragma]

    def name(self, file: Path | str) -> str:
        """A path as findings show it: relative to the project."""
        path = Path(file)
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def read_sources(root: Path, files: Iterable[Path]) -> Sources:
    """Lines and pragmas of ``files``, macros of all of them applied in each."""
    lines = {file: tuple(file.read_text(encoding="utf-8").splitlines()) for file in sorted(files)}
    macros = {}
    for file, text in lines.items():
        for number, line in enumerate(text, 1):
            if match := _MACRO.match(line):
                macros[match[1]] = parse_pragma(match[2], file, number)
    pragmas = {file: tuple(_pragmas(file, text, macros)) for file, text in lines.items()}
    return Sources(root=root, lines=lines, pragmas=pragmas, macros=macros)


def _pragmas(file: Path, text: tuple[str, ...], macros: Mapping[str, Pragma]) -> Iterable[Pragma]:
    for number, line in enumerate(text, 1):
        whole = line
        for following in text[number:]:
            if not whole.endswith("\\"):
                break
            whole = whole[:-1] + following
        if match := _LINE.match(whole):
            yield parse_pragma(match[1], file, number)
        elif (use := _USE.match(line)) and use[1] in macros:
            found = macros[use[1]]
            yield Pragma(
                file=file, line=number, name=found.name, options=found.options, words=found.words, macro=use[1]
            )


def parse_pragma(text: str, file: Path, line: int) -> Pragma:
    """A pragma from what follows ``HLS``."""
    text = text.partition("//")[0]
    text = _CONDITION.sub("", text, count=1)
    name, _, rest = re.sub(r"\s*=\s*", "=", text).strip().partition(" ")
    options = {}
    words = []
    for token in rest.split():
        key, equals, value = token.partition("=")
        key = "II" if key.upper() == "II" else key.lower()
        if equals:
            options[key] = value
        else:
            words.append(key)
    return Pragma(file=file, line=line, name=name.lower(), options=options, words=tuple(words))
