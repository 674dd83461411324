# SPDX-License-Identifier: Apache-2.0
"""As much of Tcl as our scripts use, for machines whose Python has none. What it does not know is an error.

The rules of words and substitution are those of the Tcl manual page ("Dodekalogue"), without ``{*}`` and octal escapes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence


class TclError(Exception):
    """As ``tkinter.TclError``."""


class _Return(Exception):
    pass


_ESCAPES = {"n": "\n", "t": "\t"}
_CLOSING = {"{": "}", '"': '"', "[": "]"}
_NATURAL = re.compile(r"(\d+)")


class Tcl:
    """The methods of ``tkinter.Tcl()`` that the tests use."""

    def __init__(self) -> None:
        self._commands: dict[str, Callable[..., object]] = {}
        self._frames: list[dict[str, str]] = [{}]
        self._script = ""
        for name in dir(self):
            if name.startswith("_do_"):
                self.createcommand(name[4:], getattr(self, name))

    def createcommand(self, name: str, function: Callable[..., object]) -> None:
        self._commands[name] = function

    def splitlist(self, text: str) -> tuple[str, ...]:
        return tuple(word for word, _ in self._words(text, substitutes=False, ends="") if word is not None)

    def eval(self, script: str) -> str:
        result = ""
        for words in self._split(script):
            if words[0] not in self._commands:
                raise TclError(f'invalid command name "{words[0]}"')
            try:
                found = self._commands[words[0]](*words[1:])
            except (ValueError, LookupError, TypeError, RuntimeError) as error:
                raise TclError(str(error)) from error
            result = _list(found) if isinstance(found, (tuple, list)) else "" if found is None else str(found)
        return result

    # --- words -------------------------------------------------------------------------------------------
    def _split(self, script: str) -> Iterator[list[str]]:
        """Commands with all substituted; each before the next is looked at, for it may change what that one means."""
        text, place = re.sub(r"\\\n\s*", " ", script), 0
        while place < len(text):
            if text[place] in " \t\n;":
                place += 1
            elif text[place] == "#":
                place = (text + "\n").index("\n", place)
            else:
                found = list(self._words(text, place, ends="\n;"))
                place = found[-1][1]
                yield [word for word, _ in found if word is not None]

    def _words(
        self, text: str, place: int = 0, *, substitutes: bool = True, ends: str
    ) -> Iterator[tuple[str | None, int]]:
        """Words of one command, each with where it ends; None for its end."""
        while place < len(text) and text[place] not in ends:
            if text[place] in " \t\n":
                place += 1
                continue
            if text[place] in '{"':
                end = _matching(text, place)
                inner = text[place + 1 : end]
                if text[end + 1 : end + 2] not in ("", " ", "\t", "\n", ";"):
                    raise TclError(f"extra characters after close-{'brace' if text[place] == '{' else 'quote'}")
                word = self._substitute(inner) if text[place] == '"' and substitutes else inner
                place = end + 1
            else:
                start = place
                while place < len(text) and text[place] not in " \t\n" + ends:
                    place = _matching(text, place) + 1 if text[place] == "[" else place + 1 + (text[place] == "\\")
                word = self._substitute(text[start:place]) if substitutes else text[start:place]
            yield word, place
        yield None, place

    def _substitute(self, text: str) -> str:
        out, place = [], 0
        while place < len(text):
            if text[place] == "\\":
                out.append(_ESCAPES.get(text[place + 1], text[place + 1]))
                place += 2
            elif text[place] == "[":
                end = _matching(text, place)
                out.append(self.eval(text[place + 1 : end]))
                place = end + 1
            elif found := re.compile(r"\$(\w+)").match(text, place):
                out.append(self._variable(found[1]))
                place = found.end()
            else:
                out.append(text[place])
                place += 1
        return "".join(out)

    def _variable(self, name: str) -> str:
        if name not in self._frames[-1]:
            raise TclError(f'can\'t read "{name}": no such variable')
        return self._frames[-1][name]

    # --- commands ----------------------------------------------------------------------------------------
    def _do_set(self, name: str, *value: str) -> str:
        if value:
            (self._frames[-1][name],) = value
        return self._variable(name)

    def _do_proc(self, name: str, parameters: str, body: str) -> None:
        names = self.splitlist(parameters)

        def call(*values: str) -> str:
            if len(values) != len(names):
                raise TclError(f'wrong # args: should be "{name} {parameters}"')
            self._frames.append(dict(zip(names, values, strict=True)))
            try:
                return self.eval(body)
            except _Return as result:
                return str(result)
            finally:
                self._frames.pop()

        self.createcommand(name, call)

    def _do_return(self, value: str = "") -> None:
        raise _Return(value)

    def _do_if(self, condition: str, body: str, *rest: str) -> str:
        if self._do_expr(condition) != "0":
            return self.eval(body)
        if rest and rest[0] == "else":
            return self.eval(rest[1])
        return self._do_if(*rest[1:]) if rest and rest[0] == "elseif" else ""

    def _do_expr(self, *words: str) -> str:
        """Two numbers, strings or a list with an operator between, or a minus before one."""
        text = self._substitute_operands(" ".join(words).strip())
        found = re.fullmatch(r"(\S+) (==|<|>|>=|<=|\*|ne|eq|in) (.+)", text)
        if found is None:
            if not re.fullmatch(r"-*[\d.]+", text):
                raise TclError(f"cannot evaluate {text}")
            return f"{float(text.removeprefix('--')):g}"
        left, operator, right = found.groups()
        if operator in ("ne", "eq"):
            return str(int((left == right) == (operator == "eq")))
        if operator == "in":
            return str(int(left in self.splitlist(right.strip("{}"))))
        first, second = float(left), float(self._do_expr(right)) if "*" in right else float(right)
        results = {"==": first == second, "<": first < second, ">": first > second, "*": first * second}
        results |= {">=": first >= second, "<=": first <= second}
        return f"{float(results[operator]):g}"

    def _substitute_operands(self, text: str) -> str:
        """Quotes of literal strings go; what stands in them has no blanks in our scripts."""
        return re.sub(r'"([^"\s]*)"', r"\1", self._substitute(text))

    def _do_list(self, *words: str) -> str:
        return _list(words)

    def _do_llength(self, text: str) -> int:
        return len(self.splitlist(text))

    def _do_lindex(self, text: str, index: str) -> str:
        words = self.splitlist(text)
        place = len(words) - 1 if index == "end" else int(index)
        return words[place] if 0 <= place < len(words) else ""

    def _do_lsort(self, order: str, text: str) -> str:
        if order != "-dictionary":
            raise TclError(f"cannot sort by {order}")
        return _list(sorted(self.splitlist(text), key=_dictionary))

    def _do_cd(self, folder: str) -> None:
        os.chdir(folder)

    def _do_file(self, what: str, *names: str) -> str | int:
        if what == "mkdir":
            os.makedirs(names[0], exist_ok=True)
            return ""
        known: dict[str, Callable[..., str | int]] = {
            "normalize": os.path.abspath,
            "dirname": os.path.dirname,
            "join": os.path.join,
            "exists": lambda name: int(os.path.exists(name)),
        }
        return known[what](*names)

    def _do_info(self, what: str) -> str:
        if what != "script":
            raise TclError(f"unknown: info {what}")
        return self._script

    def _do_source(self, name: str) -> str:
        before, self._script = self._script, name
        try:
            with open(name) as file:
                return self.eval(file.read())
        except OSError:
            raise TclError(f'couldn\'t read file "{name}"') from None
        finally:
            self._script = before


def _matching(text: str, place: int) -> int:
    """Where what opens at ``place`` closes."""
    opening, closing, depth = text[place], _CLOSING[text[place]], 0
    at = place + 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == closing and depth == 0:
            return at
        elif text[at] == opening or text[at] == closing:
            depth += 1 if text[at] == opening else -1
        elif text[at] == "[" and opening == '"':
            at = _matching(text, at)
        at += 1
    raise TclError(f"missing close for {opening}")


def _list(words: Sequence[object]) -> str:
    return " ".join(
        f"{{{word}}}" if not str(word) or re.search(r"[\s;\"\[\]$]", str(word)) else str(word) for word in words
    )


def _dictionary(word: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in _NATURAL.split(word)]
