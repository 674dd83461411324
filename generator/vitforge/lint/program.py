# SPDX-License-Identifier: Apache-2.0
"""What the top function reaches: instances of functions with their loops, each with the pragmas that stand in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitforge.lint.clang import Cursor, children, kind, live, place, walk
from vitforge.lint.pragmas import Pragma, Sources

LOOPS = ("FOR_STMT", "WHILE_STMT", "DO_STMT", "CXX_FOR_RANGE_STMT")
FUNCTIONS = ("FUNCTION_DECL", "CXX_METHOD", "CONSTRUCTOR", "FUNCTION_TEMPLATE", "CONVERSION_FUNCTION", "DESTRUCTOR")


@dataclass(frozen=True, kw_only=True)
class Block:
    """Body of a function or loop, and the pragmas directly in it: not those of a loop or branch inside."""

    cursor: Cursor  # function or loop
    pragmas: tuple[Pragma, ...]

    def pragma(self, name: str) -> Pragma | None:
        """The first of that name that is not switched off."""
        return next((found for found in self.pragmas if found.name == name and not found.off), None)


@dataclass(frozen=True, kw_only=True)
class Loop(Block):
    """A loop. ``label`` is "" where it has none."""

    label: str

    @property
    def title(self) -> str:
        return self.label or f"the loop in line {self.cursor.location.line}"


@dataclass(frozen=True, kw_only=True)
class Function(Block):
    """An instance of a function with a body, or the pattern of a template, and all its loops."""

    name: str
    loops: tuple[Loop, ...]
    all_pragmas: tuple[Pragma, ...]  # in it and in its loops


@dataclass(kw_only=True)
class Program:
    """Functions of kernel sources: ``instances`` that the top reaches, and ``patterns`` as they are written."""

    sources: Sources
    top: Function | None
    instances: dict[str, Function]  # by USR
    patterns: tuple[Function, ...]

    def place(self, cursor: Cursor) -> tuple[str, int]:
        """File and line as findings show them."""
        file, line = place(cursor)
        return self.sources.name(file), line

    def function(self, cursor: Cursor) -> Function | None:
        """The instance that a call goes to; None of one that is not of the kernels."""
        called = callee(cursor)
        return self.instances.get(called.get_usr()) if called is not None else None


def callee(call: Cursor) -> Cursor | None:
    """Definition of the function that a call or construction names."""
    target = call.referenced
    if target is None or kind(target) not in FUNCTIONS:
        return None
    return target.get_definition() or target


def body_of(cursor: Cursor) -> Cursor:
    """The compound statement of a function, or the statement of a loop; None of a function without one."""
    parts = children(cursor)
    if kind(cursor) == "DO_STMT":
        return parts[0] if parts else None
    if kind(cursor) in LOOPS:
        return parts[-1] if parts else None
    return next((part for part in parts if kind(part) == "COMPOUND_STMT"), None)


def read_program(unit: Cursor, sources: Sources, top_name: str) -> Program:
    """Everything of a translation unit that lies in ``sources``."""
    patterns = tuple(_functions(unit.cursor, sources))
    top = next((found for found in patterns if found.name == top_name), None)
    program = Program(sources=sources, top=top, instances={}, patterns=patterns)
    if top is not None:
        _reach(top.cursor, program)
    return program


def _reach(cursor: Cursor, program: Program) -> None:
    usr = cursor.get_usr()
    if usr in program.instances:
        return
    program.instances[usr] = _function(cursor, program.sources)
    for node in walk(body_of(cursor)):
        if kind(node) == "CALL_EXPR":
            called = callee(node)
            if called is not None and _is_ours(called, program.sources) and body_of(called) is not None:
                _reach(called, program)


def _is_ours(cursor: Cursor, sources: Sources) -> bool:
    return cursor.location.file is not None and Path(cursor.location.file.name) in sources.lines


def _functions(cursor: Cursor, sources: Sources) -> Iterator[Function]:
    for child in children(cursor):
        if not _is_ours(child, sources):
            if kind(child) in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
                yield from _functions(child, sources)
        elif kind(child) in FUNCTIONS:
            if body_of(child) is not None:
                yield _function(child, sources)
        elif child.kind.is_declaration() or kind(child) in ("LINKAGE_SPEC", ""):
            yield from _functions(child, sources)


def _function(cursor: Cursor, sources: Sources) -> Function:
    body = body_of(cursor)
    blocks = [node.extent for node in body.walk_preorder() if kind(node) == "COMPOUND_STMT"]
    inside = [found for found in sources.pragmas[Path(place(cursor)[0])] if _has(body.extent, found.line)]
    owned: dict[tuple[int, int], list[Pragma]] = {}
    for pragma in inside:
        innermost = min((block for block in blocks if _has(block, pragma.line)), key=_lines)
        owned.setdefault(_start(innermost), []).append(pragma)
    loops = tuple(
        Loop(cursor=loop, label=label, pragmas=tuple(owned.get(_start(body_of(loop).extent), ())))
        for loop, label in _loops(body)
    )
    pragmas = tuple(owned.get(_start(body.extent), ()))
    return Function(cursor=cursor, name=cursor.spelling, pragmas=pragmas, loops=loops, all_pragmas=tuple(inside))


def _loops(cursor: Cursor, label: str = "") -> Iterator[tuple[Cursor, str]]:
    """Loops below a cursor, outer ones first, with their labels."""
    for child in live(cursor):
        if kind(child) in LOOPS:
            yield child, label
        yield from _loops(child, child.spelling if kind(child) == "LABEL_STMT" else "")


def _has(extent: Any, line: int) -> bool:
    return bool(extent.start.line <= line <= extent.end.line)


def _lines(extent: Any) -> int:
    return int(extent.end.line - extent.start.line)


def _start(extent: Any) -> tuple[int, int]:
    return extent.start.line, extent.start.column
