# SPDX-License-Identifier: Apache-2.0
"""Rules pragma-place and pragma-variable: where a pragma stands, and what it names there."""

from __future__ import annotations

from collections.abc import Iterator

from vitforge.lint.clang import Cursor, children, kind
from vitforge.lint.findings import Finding
from vitforge.lint.pragma_list import PRAGMAS
from vitforge.lint.pragmas import Pragma
from vitforge.lint.program import Block, Function, Loop, Program, body_of

_ARRAYS = ("array_partition", "array_reshape")


def check_placement(program: Program) -> Iterator[Finding]:
    """Pragmas against the construct that they stand in, and against its variables."""
    placed = set()
    for function in program.patterns:
        placed |= {(pragma.file, pragma.line) for pragma in function.all_pragmas}
        for block in (function, *function.loops):
            for pragma in block.pragmas:
                yield from _found(program, pragma, "pragma-place", _misplaced(block, pragma))
    for file, pragmas in program.sources.pragmas.items():
        for pragma in pragmas:
            if (file, pragma.line) not in placed:
                yield from _found(program, pragma, "pragma-place", f"pragma {pragma.name} stands in no function")
    for function in program.instances.values():
        variables = _variables(function)
        for pragma in function.all_pragmas:
            yield from _found(program, pragma, "pragma-variable", _misnamed(pragma, variables))


def _found(program: Program, pragma: Pragma, rule: str, sentence: str) -> Iterator[Finding]:
    if sentence:
        yield Finding(program.sources.name(pragma.file), pragma.line, rule, sentence)


def _misplaced(block: Block, pragma: Pragma) -> str:
    """Why a pragma cannot stand where it does, or ""."""
    place = PRAGMAS[pragma.name].place if pragma.name in PRAGMAS else "anywhere"
    is_loop = isinstance(block, Loop)
    if place == "loop" and not is_loop:
        return f"pragma {pragma.name} is for a loop, and stands directly in a function"
    if place == "function" and is_loop:
        return f"pragma {pragma.name} is for a function, and stands in a loop"
    if place == "anywhere" or (is_loop and pragma.name == "dependence"):
        return ""
    statements = [child for child in children(body_of(block.cursor)) if kind(child) != "NULL_STMT"]
    first = statements[0].location.line if statements else pragma.line
    if place == "loop" and first < pragma.line:
        return f"pragma {pragma.name} belongs directly below the head of its loop"
    return ""


def _variables(function: Function) -> dict[str, list[Cursor]]:
    found: dict[str, list[Cursor]] = {}
    for argument in function.cursor.get_arguments():
        found.setdefault(argument.spelling, []).append(argument)
    for node in function.cursor.walk_preorder():  # also where a branch is never taken
        if kind(node) == "VAR_DECL":
            found.setdefault(node.spelling, []).append(node)
    return found


def _misnamed(pragma: Pragma, variables: dict[str, list[Cursor]]) -> str:
    name = pragma.variable
    root, _, member = name.partition(".")
    if not name:
        return ""
    if root not in variables:
        return f"pragma {pragma.name} names {root!r}, which is no variable of this function"
    dimension = pragma.options.get("dim", "1")
    if pragma.name in _ARRAYS and not member and dimension.isdigit():
        rank = max(_rank(declaration) for declaration in variables[root])
        if rank == 0:
            return f"pragma {pragma.name} names {root!r}, which is no array"
        if int(dimension) > rank:
            return f"pragma {pragma.name}: {root!r} has {rank} dimensions and no dim={dimension}"
    return ""


def _rank(declaration: Cursor) -> int:
    """Dimensions of an array, or of a pointer to one."""
    rank = 0
    spelled = declaration.type.get_canonical()
    while spelled.kind.name in ("CONSTANTARRAY", "POINTER", "LVALUEREFERENCE", "INCOMPLETEARRAY"):
        is_array = spelled.kind.name in ("CONSTANTARRAY", "INCOMPLETEARRAY")
        rank += 0 if spelled.kind.name == "LVALUEREFERENCE" else 1
        spelled = (spelled.get_array_element_type() if is_array else spelled.get_pointee()).get_canonical()
    return rank
