# SPDX-License-Identifier: Apache-2.0
"""What a function does with an argument, itself or through what it calls: reads it, writes it, or both."""

from __future__ import annotations

from vitforge.lint.clang import Cursor, children, kind, live, operator, plain
from vitforge.lint.program import Function, Program, body_of

_READS = ("read", "read_nb", "empty", "size", "operator>>")
_WRITES = ("write", "write_nb", "full", "operator<<")
_MEMORIES = ("CONSTANTARRAY", "INCOMPLETEARRAY", "POINTER", "DEPENDENTSIZEDARRAY", "VARIABLEARRAY")


def is_stream(declaration: Cursor) -> bool:
    return "hls::stream<" in declaration.type.get_canonical().spelling


def is_memory(declaration: Cursor) -> bool:
    """Whether a declaration is a stream, an array or a pointer: a channel with a producer and a consumer."""
    return is_stream(declaration) or declaration.type.get_canonical().kind.name in _MEMORIES


class Usage:
    """Answers by function and argument, each worked out once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[tuple[str, int], tuple[bool, bool]] = {}

    def of(self, function: Function, position: int) -> tuple[bool, bool]:
        """(reads, writes) of an argument. A value that is passed by copy is read."""
        key = function.cursor.get_usr(), position
        if key not in self._known:
            self._known[key] = (False, False)  # of a function that calls itself
            argument = list(function.cursor.get_arguments())[position]
            by_copy = not is_memory(argument) and argument.type.get_canonical().kind.name != "LVALUEREFERENCE"
            found = (True, False) if by_copy else self._scan(body_of(function.cursor), argument.get_usr())
            self._known[key] = found
        return self._known[key]

    def _scan(self, node: Cursor, usr: str, writes: bool = False) -> tuple[bool, bool]:
        """Uses below ``node``; ``writes`` tells that ``node`` is assigned to."""
        name = kind(node)
        if name == "DECL_REF_EXPR":
            mine = node.referenced is not None and node.referenced.get_usr() == usr
            return (mine and not writes, mine and writes)
        parts = list(live(node))
        if name == "BINARY_OPERATOR" and operator(node) == "=":
            return _either(self._scan(parts[0], usr, True), self._scan(parts[1], usr))
        if name == "COMPOUND_ASSIGNMENT_OPERATOR" or _steps(node):
            return _either(*(self._scan(part, usr, how) for part in parts[:1] for how in (False, True)),
                           *(self._scan(part, usr) for part in parts[1:]))  # fmt: skip
        if name == "ARRAY_SUBSCRIPT_EXPR":
            return _either(self._scan(parts[0], usr, writes), self._scan(parts[1], usr))
        if name == "CALL_EXPR":
            return self._call(node, usr)
        keeps = writes and name in ("UNEXPOSED_EXPR", "PAREN_EXPR", "MEMBER_REF_EXPR", "UNARY_OPERATOR")
        return _either(*(self._scan(part, usr, keeps) for part in parts))

    def _call(self, call: Cursor, usr: str) -> tuple[bool, bool]:
        called = self._program.function(call)
        found = [self._method(call, usr)]
        arguments = list(call.get_arguments())
        for position, argument in enumerate(arguments):
            node = plain(argument)
            while kind(node) in ("ARRAY_SUBSCRIPT_EXPR", "MEMBER_REF_EXPR") and children(node):
                found += [self._scan(part, usr) for part in children(node)[1:]]
                node = plain(children(node)[0])
            mine = kind(node) == "DECL_REF_EXPR" and node.referenced and node.referenced.get_usr() == usr
            if not mine:
                found.append(self._scan(argument, usr))
            elif called is not None and position < len(list(called.cursor.get_arguments())):
                found.append(self.of(called, position))
            else:
                assigned = call.spelling == "operator=" and position == 0
                found.append((not assigned, assigned))
        return _either(*found)

    def _method(self, call: Cursor, usr: str) -> tuple[bool, bool]:
        """Use of the object that a method is called on."""
        first = children(call)[:1]
        if not first or kind(first[0]) != "MEMBER_REF_EXPR":
            return (False, False)
        mine = any(_either(self._scan(part, usr)) != (False, False) for part in children(first[0]))
        method = call.spelling
        if not mine or method in _READS + _WRITES:
            return (mine and method in _READS, mine and method in _WRITES)
        return (True, False)


def _steps(node: Cursor) -> bool:
    """Whether a node is ++ or -- of something."""
    if kind(node) != "UNARY_OPERATOR":
        return False
    signs = {token.spelling for token in node.get_tokens()}
    return "++" in signs or "--" in signs


def _either(*found: tuple[bool, bool]) -> tuple[bool, bool]:
    return any(reads for reads, _ in found), any(writes for _, writes in found)
