# SPDX-License-Identifier: Apache-2.0
"""Rule multiplier: widths of both operands, from types, casts, masks and shifts, against the DSP of the part.

Decided are products of two values that change. One by a constant is adders, and one whose result has
``bind_op impl=fabric`` takes no DSP on purpose. A native integer counts with all its bits, unless the expression or the
constant variable it comes from says less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vitforge.lint.clang import Cursor, children, constant, kind, live, operator, plain
from vitforge.lint.findings import Finding
from vitforge.lint.program import Function, Program, body_of

_WORD = re.compile(r"(?:ap_u?int<|(?:Word|FieldRef|FieldValue)<)(\d+)(?:, (\w+))?")
_NATIVE_BITS = {
    "BOOL": 1, "CHAR_U": 8, "UCHAR": 8, "CHAR_S": 8, "SCHAR": 8, "SHORT": 16, "USHORT": 16, "INT": 32, "UINT": 32,
    "LONG": 64, "ULONG": 64, "LONGLONG": 64, "ULONGLONG": 64,
}  # fmt: skip
_UNSIGNED = ("BOOL", "CHAR_U", "UCHAR", "USHORT", "UINT", "ULONG", "ULONGLONG")
_CASTS = ("CXX_STATIC_CAST_EXPR", "CSTYLE_CAST_EXPR", "CXX_FUNCTIONAL_CAST_EXPR")
_WIDEST = 1 << 16
_PORTS = (27, 18)
_PORTS_OF_7_SERIES = (25, 18)


def check_multipliers(program: Program, part: str) -> Iterator[Finding]:
    """Products of functions that the top reaches. ``part`` is the FPGA, which decides the width of its DSPs."""
    ports = _PORTS_OF_7_SERIES if part.startswith("xc7") else _PORTS
    for function in program.instances.values():
        fabric = {p.variable for p in function.all_pragmas if p.name == "bind_op" and p.options.get("impl") == "fabric"}
        for product, factors in _products(body_of(function.cursor), fabric):
            widths = sorted((signed_width(factor) for factor in factors), reverse=True)
            if None in (constant(factors[0]), constant(factors[1])) and not _fits(widths, ports, factors):
                yield Finding(*program.place(product), "multiplier", _sentence(function, widths, ports))


def _fits(widths: list[int], ports: tuple[int, int], factors: list[Cursor]) -> bool:
    is_constant = any(constant(factor) is not None for factor in factors)
    return is_constant or (widths[0] <= ports[0] and widths[1] <= ports[1])


def _sentence(function: Function, widths: list[int], ports: tuple[int, int]) -> str:
    return (
        f"{function.name} multiplies {widths[0]} by {widths[1]} bits, more than the {ports[0]} x {ports[1]} of a DSP; "
        "state narrower types, or bind_op impl=fabric if that is meant"
    )


def _products(node: Cursor, fabric: set[str]) -> Iterator[tuple[Cursor, list[Cursor]]]:
    if kind(node) == "VAR_DECL" and node.spelling in fabric:
        return
    name = kind(node)
    if name in ("BINARY_OPERATOR", "COMPOUND_ASSIGNMENT_OPERATOR") and operator(node) in ("*", "*="):
        yield node, children(node)
    elif name == "CALL_EXPR" and node.spelling in ("operator*", "operator*="):
        yield node, list(node.get_arguments())
    for child in live(node):
        yield from _products(child, fabric)


def signed_width(cursor: Cursor) -> int:
    """Bits of a signed multiplier port that holds every value of an expression."""
    known = constant(cursor)
    if known is not None:
        return known.bit_length() + 1
    return min(_width_of_type(cursor), _width_of_value(plain(cursor)))


def _width_of_type(cursor: Cursor) -> int:
    spelled = cursor.type.get_canonical()
    if spelled.kind.name == "LVALUEREFERENCE":
        spelled = spelled.get_pointee().get_canonical()
    if spelled.kind.name in _NATIVE_BITS:
        return _NATIVE_BITS[spelled.kind.name] + (spelled.kind.name in _UNSIGNED)
    match = _WORD.search(spelled.spelling)
    if match is None:
        return _WIDEST
    is_unsigned = "ap_uint" in match[0] or match[2] == "false"
    return int(match[1]) + is_unsigned


def _width_of_value(node: Cursor) -> int:
    """What the expression itself says, which can be less than its type."""
    name, parts = kind(node), children(node)
    if name in _CASTS and parts:
        return min(_width_of_type(node), signed_width(parts[-1]))
    if name == "CONDITIONAL_OPERATOR":
        return max(signed_width(part) for part in live(node) if part != parts[0] or len(list(live(node))) < 3)
    if name == "DECL_REF_EXPR" and node.referenced is not None:
        return _width_of_variable(node.referenced)
    if name == "BINARY_OPERATOR":
        return _width_of_operation(operator(node), parts)
    if name == "CALL_EXPR":
        return _width_of_call(node, parts)
    return _width_of_type(node)


def _width_of_variable(declaration: Cursor) -> int:
    """A constant variable is as wide as what it starts with."""
    parts = [part for part in children(declaration) if part.kind.is_expression()]
    if kind(declaration) == "VAR_DECL" and declaration.type.is_const_qualified() and parts:
        return min(_width_of_type(declaration), signed_width(parts[-1]))
    return _width_of_type(declaration)


def _width_of_operation(sign: str, parts: list[Cursor]) -> int:
    left, right = (signed_width(part) for part in parts)
    known = constant(parts[1])
    if sign == "&":
        positive = [constant(part) for part in parts]
        masks = [value.bit_length() + 1 for value in positive if value is not None and value >= 0]
        return min([max(left, right), *masks])
    if sign == "%" and known:
        return min(left, known.bit_length() + 1)
    if sign == ">>":
        return max(left - known, 1) if known is not None else left
    if sign == "/":
        return left
    if sign in ("+", "-", "|", "^"):
        return max(left, right) + 1
    if sign == "*":
        return left + right
    return _WIDEST


def _width_of_call(node: Cursor, parts: list[Cursor]) -> int:
    """A field of a word is as wide as its range; any other result as wide as its type."""
    owner = children(parts[0])[:1] if parts and kind(parts[0]) == "MEMBER_REF_EXPR" else []
    if node.spelling == "range":
        ends = [constant(argument) for argument in node.get_arguments()]
        if len(ends) == 2 and None not in ends:
            return ends[0] - ends[1] + 2  # type: ignore[operator]
    if node.spelling.startswith(("to_", "operator ")) and owner:
        return min(_width_of_type(node), signed_width(owner[0]))
    if not node.spelling.startswith("operator") and len(parts) == 1:  # a conversion by constructor
        return min(_width_of_type(node), signed_width(parts[0]))
    return _width_of_type(node)
