# SPDX-License-Identifier: Apache-2.0
"""Rules of loops: label, trip count, a constant bound where the tool unrolls, an interval where it pipelines."""

from __future__ import annotations

from collections.abc import Iterator

from vitforge.lint.clang import Cursor, children, constant, kind, live, operator, plain, walk
from vitforge.lint.findings import Finding
from vitforge.lint.program import Block, Function, Loop, Program, body_of

_LIMIT = 1 << 20  # rounds of a loop that is worked out


def check_loops(program: Program) -> Iterator[Finding]:
    """Rules loop-label, loop-tripcount, loop-unroll and pipeline-ii."""
    for function in program.patterns:
        yield from _labels(program, function)
        for block in (function, *function.loops):
            yield from _interval(program, block)
    for function in program.instances.values():
        for loop in function.loops:
            yield from _trip_count(program, loop)
        yield from _unrolled(program, function)


def _labels(program: Program, function: Function) -> Iterator[Finding]:
    for loop in function.loops:
        if not loop.label:
            sentence = f"a loop of {function.name} has no label, by which reports name it"
            yield Finding(*program.place(loop.cursor), "loop-label", sentence)


def _interval(program: Program, block: Block) -> Iterator[Finding]:
    pipeline = block.pragma("pipeline")
    if pipeline is not None and "II" not in pipeline.options:
        yield Finding(
            program.sources.name(pipeline.file),
            pipeline.line,
            "pipeline-ii",
            "pipeline states no II=, so nobody learns when the tool reaches a worse one",
        )


def _trip_count(program: Program, loop: Loop) -> Iterator[Finding]:
    if bound_is_constant(loop.cursor) or loop.pragma("loop_tripcount") is not None:
        return
    sentence = f"{loop.title} has a bound that is known at run time only, and no loop_tripcount max="
    yield Finding(*program.place(loop.cursor), "loop-tripcount", sentence)


def _unrolled(program: Program, function: Function) -> Iterator[Finding]:
    for block in (function, *function.loops):
        if block.pragma("unroll") is not None and isinstance(block, Loop) and not bound_is_constant(block.cursor):
            yield _no_unroll(program, block.cursor, block.title, "it has unroll")
        if block.pragma("pipeline") is not None:
            title = block.title if isinstance(block, Loop) else function.name
            for loop in _loops_inside(program, body_of(block.cursor), set()):
                if not bound_is_constant(loop):
                    yield _no_unroll(program, loop, "this loop", f"it is inside {title}, which is pipelined")


def _no_unroll(program: Program, loop: Cursor, title: str, why: str) -> Finding:
    return Finding(
        *program.place(loop), "loop-unroll", f"{title} must be unrolled, for {why}, and its bound is no constant"
    )


def _loops_inside(program: Program, cursor: Cursor, visited: set[str]) -> Iterator[Cursor]:
    """Loops in a statement and in the functions that it calls."""
    for node in walk(cursor):
        if kind(node).endswith("_STMT") and kind(node) in ("FOR_STMT", "WHILE_STMT", "DO_STMT"):
            yield node
        if kind(node) == "CALL_EXPR" and (called := program.function(node)) is not None:
            usr = called.cursor.get_usr()
            if usr not in visited:
                visited.add(usr)
                yield from _loops_inside(program, body_of(called.cursor), visited)


def bound_is_constant(loop: Cursor) -> bool:
    """Whether a loop is a ``for`` that compares its variable with a constant and has no way out before."""
    if kind(loop) != "FOR_STMT":
        return False
    condition = _condition(loop)
    if condition is None or _leaves(body_of(loop)):
        return False
    return any(constant(side) is not None for side in children(condition))


def trip_count(loop: Cursor) -> int | None:
    """Rounds of ``for (int i = A; i < B; i += C)`` with constants; None of any other loop."""
    condition = _condition(loop) if kind(loop) == "FOR_STMT" else None
    if condition is None:
        return None
    start, step = _start(loop), _step(loop)
    left, right = children(condition)
    bound = constant(right)
    if start is None or step is None or bound is None or kind(plain(left)) != "DECL_REF_EXPR":
        return None
    compare = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__, "!=": int.__ne__}
    test = compare.get(operator(condition))
    count = 0
    while test is not None and test(start, bound) and count < _LIMIT:
        start += step
        count += 1
    return count if test is not None and count < _LIMIT else None


def loop_variable(loop: Cursor) -> Cursor | None:
    """The declaration of a ``for`` loop's variable."""
    first = children(loop)[0]
    if kind(first) != "DECL_STMT":
        return None
    return next((child for child in children(first) if kind(child) == "VAR_DECL"), None)


def _condition(loop: Cursor) -> Cursor | None:
    """The comparison of a for loop, if it is a plain one."""
    for part in children(loop)[:-1]:
        candidate = plain(part)
        if kind(candidate) == "BINARY_OPERATOR" and operator(candidate) in ("<", "<=", ">", ">=", "!="):
            return candidate
    return None


def _start(loop: Cursor) -> int | None:
    variable = loop_variable(loop)
    values = [constant(part) for part in children(variable)] if variable is not None else []
    return values[-1] if values else None


def _step(loop: Cursor) -> int | None:
    for part in children(loop)[1:-1]:
        if kind(part) == "UNARY_OPERATOR":
            tokens = {token.spelling for token in part.get_tokens()}
            return 1 if "++" in tokens else -1 if "--" in tokens else None
        if kind(part) == "COMPOUND_ASSIGNMENT_OPERATOR" and operator(part) in ("+=", "-="):
            step = constant(children(part)[1])
            return step if step is None or operator(part) == "+=" else -step
    return None


def _leaves(cursor: Cursor) -> bool:
    """Whether a statement breaks out of the loop that it is the body of, or returns."""
    for child in live(cursor):
        name = kind(child)
        if name in ("BREAK_STMT", "RETURN_STMT"):
            return True
        nested = name in ("FOR_STMT", "WHILE_STMT", "DO_STMT", "SWITCH_STMT")
        if name != "LAMBDA_EXPR" and not nested and _leaves(child):
            return True
    return False
