# SPDX-License-Identifier: Apache-2.0
"""libclang: parsing, constants, and the few questions that its Python bindings do not ask."""

from __future__ import annotations

import ctypes
import functools
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vitforge.csim.build import find_compiler
from vitforge.csim.headers import HeaderSet
from vitforge.errors import ToolError

HOW_TO_GET = "pip install 'vitforge[lint]' or pip install libclang"
Cursor = Any  # clang.cindex.Cursor; the package has no types
_INTEGER_RESULT = 1  # CXEval_Int


@functools.cache
def cindex() -> Any:
    """The module clang.cindex with its library loaded. Raises ToolError (exit code 3) where there is none."""
    try:
        from clang import cindex as module

        library = module.conf.lib
    except ImportError:
        raise ToolError(f"lint parses with libclang, which is not installed: {HOW_TO_GET}") from None
    except module.LibclangError as error:
        raise ToolError(f"libclang cannot be loaded ({str(error).splitlines()[0]}): {HOW_TO_GET}") from None
    library.clang_Cursor_Evaluate.argtypes = [module.Cursor]
    library.clang_Cursor_Evaluate.restype = ctypes.c_void_p
    for name, result in (("getKind", ctypes.c_int), ("getAsLongLong", ctypes.c_longlong), ("dispose", None)):
        function = getattr(library, f"clang_EvalResult_{name}")
        function.argtypes = [ctypes.c_void_p]
        function.restype = result
    library.clang_getCursorBinaryOperatorKind.argtypes = [module.Cursor]
    library.clang_getCursorBinaryOperatorKind.restype = ctypes.c_int
    library.clang_getBinaryOperatorKindSpelling.argtypes = [ctypes.c_int]
    library.clang_getBinaryOperatorKindSpelling.restype = module._CXString
    library.clang_getBinaryOperatorKindSpelling.errcheck = module._CXString.from_result
    return module


@functools.cache
def _system_includes() -> tuple[str, ...]:
    """Where g++ finds the standard headers, which libclang's package does not bring."""
    command = [find_compiler(), "-x", "c++", "-E", "-v", "/dev/null"]
    try:
        log = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolError(f"{command[0]} did not tell where its headers are ({error}); lint needs them") from None
    _, _, rest = log.partition("#include <...> search starts here:")
    return tuple(line.strip() for line in rest.partition("End of search list.")[0].splitlines() if line.strip())


def parse(
    source: Path, *, headers: HeaderSet, include_dirs: Sequence[Path], std: str = "c++14", flags: Sequence[str] = ()
) -> Any:
    """The translation unit of ``source``, with clang's own warnings on; its ``diagnostics`` say what clang found.

    Raises ToolError without libclang or g++ (whose standard headers are used).
    """
    module = cindex()
    system = [str(path) for path in headers.include_dirs] + list(_system_includes())
    arguments = [f"-std={std}", "-nostdinc", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label", *flags]
    arguments += [flag for path in system for flag in ("-isystem", path)]
    arguments += [flag for path in include_dirs for flag in ("-I", str(path))]
    try:
        return module.Index.create().parse(str(source), args=arguments)
    except module.TranslationUnitLoadError as error:
        raise ToolError(f"libclang could not read {source} ({error})") from None


def constant(cursor: Cursor) -> int | None:
    """Value of an expression or constant that the compiler can compute, else None."""
    library = cindex().conf.lib
    result = library.clang_Cursor_Evaluate(cursor)
    if not result:
        return None
    try:
        if library.clang_EvalResult_getKind(result) != _INTEGER_RESULT:
            return None
        return int(library.clang_EvalResult_getAsLongLong(result))
    finally:
        library.clang_EvalResult_dispose(result)


def operator(cursor: Cursor) -> str:
    """Sign of a binary or compound operator: "*", "+=", ..."""
    library = cindex().conf.lib
    return str(library.clang_getBinaryOperatorKindSpelling(library.clang_getCursorBinaryOperatorKind(cursor)))


def children(cursor: Cursor) -> list[Cursor]:
    return list(cursor.get_children())


def kind(cursor: Cursor) -> str:
    """Name of the kind of a cursor, as in clang.cindex.CursorKind; "" of one that the bindings do not know."""
    try:
        return str(cursor.kind.name)
    except ValueError:
        return ""


def place(cursor: Cursor) -> tuple[str, int]:
    """File (as clang was given it) and line of a cursor."""
    location = cursor.location
    return (location.file.name if location.file else "", location.line)


def plain(cursor: Cursor) -> Cursor:
    """An expression without the parentheses and implicit conversions around it."""
    while kind(cursor) in ("UNEXPOSED_EXPR", "PAREN_EXPR"):
        inner = children(cursor)
        if len(inner) != 1:
            break
        cursor = inner[0]
    return cursor


def live(cursor: Cursor) -> Iterator[Cursor]:
    """Children of a cursor that the hardware has: not a branch whose condition is a constant of this instance."""
    parts = children(cursor)
    if kind(cursor) in ("IF_STMT", "CONDITIONAL_OPERATOR") and len(parts) >= 2:
        condition = _decided(parts[0])
        if condition is not None:
            parts = parts[1:2] if condition else parts[2:]
    yield from parts


def _decided(condition: Cursor) -> bool | None:
    """Value of a condition that is the same in every cycle, also where a function of one line says so."""
    node = plain(condition)
    known = constant(node)
    if known is not None:
        return bool(known)
    name = kind(node)
    if name == "DECL_REF_EXPR" and node.referenced is not None and node.referenced.type.is_const_qualified():
        start = [part for part in children(node.referenced) if part.kind.is_expression()]
        return _decided(start[-1]) if start and kind(node.referenced) == "VAR_DECL" else None
    if name == "CALL_EXPR":
        called = node.referenced.get_definition() if node.referenced is not None else None
        body = next((part for part in children(called) if kind(part) == "COMPOUND_STMT"), None) if called else None
        only = children(body) if body is not None else []
        return _decided(children(only[0])[0]) if len(only) == 1 and kind(only[0]) == "RETURN_STMT" else None
    if name == "UNARY_OPERATOR" and next(iter(node.get_tokens())).spelling == "!":
        inner = _decided(children(node)[0])
        return None if inner is None else not inner
    if name == "BINARY_OPERATOR" and operator(node) in ("&&", "||"):
        sides = [_decided(side) for side in children(node)]
        decisive = operator(node) == "||"
        return decisive if decisive in sides else None if None in sides else not decisive
    return None


def walk(cursor: Cursor) -> Iterator[Cursor]:
    """A cursor and everything below it that the hardware has."""
    yield cursor
    for child in live(cursor):
        yield from walk(child)
