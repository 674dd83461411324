# SPDX-License-Identifier: Apache-2.0
"""Rules of the language that kernels are written in: no recursion, heap, library, exceptions or floating point."""

from __future__ import annotations

from collections.abc import Iterator

from vitforge.lint.clang import Cursor, kind, walk
from vitforge.lint.findings import Finding
from vitforge.lint.program import Function, Program, body_of, callee

_FLOATS = ("FLOAT", "DOUBLE", "LONGDOUBLE", "HALF", "FLOAT128", "FLOAT16")
_HEAP = ("malloc", "calloc", "realloc", "free", "alloca")
_EXCEPTIONS = {"CXX_THROW_EXPR": "throw", "CXX_TRY_STMT": "try", "CXX_CATCH_STMT": "catch"}
_HEAP_KINDS = {"CXX_NEW_EXPR": "new", "CXX_DELETE_EXPR": "delete"}
_TYPED = ("VAR_DECL", "PARM_DECL", "FIELD_DECL", "FLOATING_LITERAL", "CXX_FUNCTIONAL_CAST_EXPR")
_CASTS = ("CXX_STATIC_CAST_EXPR", "CSTYLE_CAST_EXPR")


def check_language(program: Program) -> Iterator[Finding]:
    """Rules recursion, dynamic-memory, library, exception and float."""
    for function in [*program.patterns, *program.instances.values()]:
        for node in walk(function.cursor):
            for rule, sentence in _faults(function, node):
                yield Finding(*program.place(node), rule, sentence)
    yield from _recursion(program)


def _faults(function: Function, node: Cursor) -> Iterator[tuple[str, str]]:
    name = kind(node)
    where = f"in {function.name}"
    if name in _EXCEPTIONS:
        yield "exception", f"{_EXCEPTIONS[name]} {where}: hardware has no exceptions"
    elif name in _HEAP_KINDS:
        yield "dynamic-memory", f"{_HEAP_KINDS[name]} {where}: hardware has no heap; declare an array of constant size"
    elif name == "CALL_EXPR" and node.spelling in _HEAP and _is_foreign(node):
        yield "dynamic-memory", f"{node.spelling} {where}: hardware has no heap; declare an array of constant size"
    elif name in (*_TYPED, *_CASTS) and _is_float(node):
        yield "float", f"floating point {where}: kernels compute in integers of a stated width"
    elif name in ("TYPE_REF", "TEMPLATE_REF", "CALL_EXPR") and (library := _library(node)):
        yield "library", f"{library} {where}: kernels use ap_int.h and hls_stream.h alone"


def _is_float(node: Cursor) -> bool:
    spelled = node.type.get_canonical()
    while spelled.kind.name in ("CONSTANTARRAY", "POINTER", "LVALUEREFERENCE"):
        inner = spelled.get_array_element_type() if spelled.kind.name == "CONSTANTARRAY" else spelled.get_pointee()
        spelled = inner.get_canonical()
    return spelled.kind.name in _FLOATS


def _is_foreign(call: Cursor) -> bool:
    called = callee(call)
    return called is None or body_of(called) is None


def _library(node: Cursor) -> str:
    """Qualified name of what a cursor refers to, if that lies in namespace std or is a C function; else ""."""
    target = node.referenced
    if target is None or target.location.file is None:
        return ""
    if kind(node) == "CALL_EXPR" and node.spelling in _HEAP:
        return ""
    scopes = []
    scope = target
    while scope is not None and kind(scope) not in ("TRANSLATION_UNIT", ""):
        scopes.append(scope.spelling)
        scope = scope.semantic_parent
    return "::".join(["std", target.spelling]) if "std" in scopes[1:] else ""


def _recursion(program: Program) -> Iterator[Finding]:
    calls: dict[str, list[str]] = {}
    for usr, function in program.instances.items():
        called = [program.function(node) for node in walk(body_of(function.cursor)) if kind(node) == "CALL_EXPR"]
        calls[usr] = [found.cursor.get_usr() for found in called if found is not None]
    for usr, function in program.instances.items():
        if usr in _reached(usr, calls):
            yield Finding(
                *program.place(function.cursor), "recursion", f"{function.name} calls itself; write it as a loop"
            )


def _reached(start: str, calls: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for usr in calls.get(waiting.pop(), ()):
            if usr not in found:
                found.add(usr)
                waiting.append(usr)
    return found
