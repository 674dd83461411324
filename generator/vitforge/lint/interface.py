# SPDX-License-Identifier: Apache-2.0
"""Rules interface and interface-depth: how each argument of the top function leaves the chip."""

from __future__ import annotations

from collections.abc import Iterator

from vitforge.lint.clang import Cursor, children, constant, kind
from vitforge.lint.findings import Finding
from vitforge.lint.pragmas import Pragma
from vitforge.lint.program import Function, Program

_RETURN = "return"


def check_interface(program: Program) -> Iterator[Finding]:
    """Ports of the top function against its arguments; and that no other function has any."""
    for function in program.patterns:
        if program.top is None or function.cursor != program.top.cursor:
            for pragma in _interfaces(function):
                sentence = f"{function.name} is not the top function; the tool ignores an interface pragma here"
                yield _at(program, pragma, "interface", sentence)
    if program.top is not None:
        yield from _ports(program, program.top)


def _ports(program: Program, top: Function) -> Iterator[Finding]:
    arguments = {argument.spelling: argument for argument in top.cursor.get_arguments()}
    ports: dict[str, list[Pragma]] = {}
    for pragma in _interfaces(top):
        name = pragma.options.get("port", "")
        ports.setdefault(name, []).append(pragma)
        if name not in arguments and name != _RETURN:
            yield _at(program, pragma, "interface", f"{top.name} has no argument {name!r}")
        if _mode(pragma) == "m_axi" and name in arguments:
            yield from _memory_port(program, pragma, arguments[name])
    for name, pragmas in ports.items():
        stated = sorted(map(_mode, pragmas))
        if len(stated) > 1 and stated != ["m_axi", "s_axilite"]:
            sentence = f"{name!r} has {len(stated)} interfaces, {' and '.join(stated)}; the tool takes one of them"
            yield _at(program, pragmas[-1], "interface", sentence)
    for name in [*arguments, _RETURN]:
        modes = {_mode(pragma) for pragma in ports.get(name, [])}
        sentence = _missing(name, modes, arguments.get(name))
        if sentence:
            yield Finding(*program.place(top.cursor), "interface", sentence)


def _missing(name: str, modes: set[str], argument: Cursor | None) -> str:
    """What an argument lacks, or ""."""
    if not modes:
        what = "the return" if name == _RETURN else f"argument {name!r}"
        return f"{what} has no interface pragma, so the tool chooses a port by itself"
    if argument is None:
        return (
            "" if "s_axilite" in modes else "the return needs mode=s_axilite, which gives the driver its start register"
        )
    spelled = argument.type.get_canonical().spelling
    if "hls::stream<" in spelled and "axis" not in modes:
        return f"stream {name!r} needs mode=axis"
    if "m_axi" in modes and "s_axilite" not in modes:
        return f"m_axi port {name!r} needs mode=s_axilite too, for the register of its address"
    if not modes & {"axis", "s_axilite"}:
        return f"argument {name!r} needs mode=s_axilite: {', '.join(modes)} is a wire that no block design connects"
    return ""


def _memory_port(program: Program, pragma: Pragma, argument: Cursor) -> Iterator[Finding]:
    name = argument.spelling
    if "bundle" not in pragma.options:
        yield _at(program, pragma, "interface-depth", f"m_axi port {name!r} has no bundle=")
    depth = pragma.options.get("depth")
    if depth is None:
        yield _at(program, pragma, "interface-depth", f"m_axi port {name!r} has no depth=, without which cosim fails")
        return
    extents = [constant(part) for part in children(argument) if kind(part) not in ("TYPE_REF", "NAMESPACE_REF", "")]
    length = next((extent for extent in extents if extent is not None), None)
    if length is not None and depth.isdigit() and int(depth) != length:
        sentence = f"m_axi port {name!r} has depth={depth}, and its array {length} elements"
        yield _at(program, pragma, "interface-depth", sentence)


def _interfaces(function: Function) -> Iterator[Pragma]:
    return (pragma for pragma in function.all_pragmas if pragma.name == "interface")


def _mode(pragma: Pragma) -> str:
    return pragma.options.get("mode") or next(iter(pragma.words), "")


def _at(program: Program, pragma: Pragma, rule: str, sentence: str) -> Finding:
    return Finding(program.sources.name(pragma.file), pragma.line, rule, sentence)
