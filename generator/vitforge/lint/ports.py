# SPDX-License-Identifier: Apache-2.0
"""Rule memory-port: follows indices from unrolled loops to the memories that they address, through all calls.

Decided is each access by itself: how many different words of one bank its lanes touch in a cycle. Not decided: several
accesses that share a port, arrays inside the elements of an array of structs, and indices that data decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vitforge.lint.clang import Cursor, children, constant, kind, live, operator, place, plain
from vitforge.lint.findings import Finding
from vitforge.lint.loops import loop_variable, trip_count
from vitforge.lint.memory import Lanes, Memory, Ref, demand, element, extents, lane_of
from vitforge.lint.program import LOOPS, Block, Function, Loop, Program, body_of

NONE: Lanes = frozenset()


@dataclass(frozen=True)
class Value:
    """What an expression stands for: the unrolled loops that it differs by, and the memory that it names."""

    lanes: Lanes = NONE
    ref: Ref | None = None

    @property
    def key(self) -> tuple[object, ...]:
        ref = self.ref
        return (self.lanes, (ref.memory.place, ref.memory.name, ref.path, ref.dims, ref.indices) if ref else None)


@dataclass(kw_only=True)
class Frame:
    """A call under way."""

    function: Function
    values: dict[str, Value]
    this: Value = Value()
    returned: Lanes = NONE


@dataclass(frozen=True)
class Pipeline:
    """The pipelined loop or function around the present statement."""

    title: str
    interval: int


@dataclass
class Ports:
    """Walks the program once from its top; `worst` is the access of each memory that lacks most ports."""

    program: Program
    worst: dict[tuple[str, int, str], tuple[int, str]] = field(default_factory=dict)
    _pipeline: Pipeline | None = None
    _known: dict[tuple[object, ...], tuple[Lanes, list[Lanes]]] = field(default_factory=dict)

    def check(self) -> Iterator[Finding]:
        if self.program.top is not None:
            self._call(self.program.top, [Value() for _ in self.program.top.cursor.get_arguments()], Value())
        for (file, line, _), (_, sentence) in self.worst.items():
            yield Finding(file, line, "memory-port", sentence)

    def _call(self, function: Function, arguments: list[Value], this: Value) -> tuple[Lanes, list[Lanes]]:
        """(lanes of the result, lanes of each argument afterwards)."""
        key = (function.cursor.get_usr(), tuple(value.key for value in arguments), this.key, self._pipeline)
        if key in self._known:
            return self._known[key]
        self._known[key] = (NONE, [NONE] * len(arguments))  # of a function that calls itself
        parameters = [parameter.get_usr() for parameter in function.cursor.get_arguments()]
        frame = Frame(function=function, values=dict(zip(parameters, arguments, strict=False)), this=this)
        self._inside(frame, function, body_of(function.cursor))
        after = [frame.values[parameter].lanes for parameter in parameters if parameter in frame.values]
        self._known[key] = (frame.returned, after)
        return self._known[key]

    def _inside(self, frame: Frame, block: Block, body: Cursor) -> None:
        """Visits a body, pipelined from here on if its block says so."""
        outer = self._pipeline
        pragma = block.pragma("pipeline")
        if pragma is not None and outer is None:
            stated = pragma.options.get("II", "1")
            title = block.title if isinstance(block, Loop) else frame.function.name
            self._pipeline = Pipeline(title, max(1, int(stated)) if stated.isdigit() else 1)
        self._visit(frame, body)
        self._pipeline = outer

    def _visit(self, frame: Frame, node: Cursor, writes: bool = False) -> Value:
        name = kind(node)
        if name in LOOPS:
            return self._loop(frame, node)
        if name == "DECL_REF_EXPR":
            return frame.values.get(node.referenced.get_usr(), Value()) if node.referenced else Value()
        if name == "VAR_DECL":
            return self._declare(frame, node)
        if name == "ARRAY_SUBSCRIPT_EXPR":
            return self._subscript(frame, node, writes)
        if name == "MEMBER_REF_EXPR":
            return self._member(frame, node)
        if name == "CALL_EXPR":
            return self._visit_call(frame, node)
        parts = list(live(node))
        if name == "BINARY_OPERATOR" and operator(node) == "=":
            return self._assign(frame, parts[0], self._visit(frame, parts[1]))
        if name == "COMPOUND_ASSIGNMENT_OPERATOR":
            value = Value(self._visit(frame, parts[0]).lanes | self._visit(frame, parts[1]).lanes)
            return self._assign(frame, parts[0], value)
        found = [self._visit(frame, part, writes and len(parts) == 1) for part in parts]
        if name == "RETURN_STMT":
            frame.returned |= frozenset().union(*(value.lanes for value in found))
        if len(found) == 1:
            return found[0]
        return Value(frozenset().union(*(value.lanes for value in found)))

    def _loop(self, frame: Frame, node: Cursor) -> Value:
        spot = place(node), node.location.column
        block = next(loop for loop in frame.function.loops if (place(loop.cursor), loop.cursor.location.column) == spot)
        variable = loop_variable(node) if kind(node) == "FOR_STMT" else None
        if variable is not None:
            self._declare(frame, variable)
        if self._pipeline is None or variable is None:
            self._inside(frame, block, body_of(node))
            return Value()
        count = trip_count(node)
        lane = lane_of(node, count)
        if count != 1:
            held = frame.values[variable.get_usr()]
            frame.values[variable.get_usr()] = Value(held.lanes | {lane})
        for part in children(node)[1:]:
            self._visit(frame, part)
        for usr, value in frame.values.items():
            frame.values[usr] = Value(value.lanes - {lane}, value.ref)
        return Value()

    def _declare(self, frame: Frame, node: Cursor) -> Value:
        parts = [self._visit(frame, child) for child in children(node) if child.kind.is_expression()]
        start = parts[-1] if parts else Value()
        spelled = node.type.get_canonical()
        if spelled.kind.name == "LVALUEREFERENCE":
            value = start
        elif extents(spelled) or (spelled.kind.name == "RECORD" and _has_arrays(spelled)):
            value = Value(start.lanes if not extents(spelled) else NONE, self._memory(frame, node))
        else:
            value = Value(start.lanes)
        frame.values[node.get_usr()] = value
        return value

    def _memory(self, frame: Frame, node: Cursor) -> Ref | None:
        """A memory of its own; None of a table of constants, which the tool copies for each reader."""
        inner = element(node.type)
        if inner.is_const_qualified() or node.type.is_const_qualified() or "hls::stream<" in inner.spelling:
            return None
        name = node.spelling
        pragmas = tuple(p for p in frame.function.all_pragmas if p.variable.partition(".")[0] == name)
        memory = Memory(
            name=name,
            place=self.program.place(node),
            type=node.type.get_canonical().spelling,
            pragmas=pragmas,
            is_struct_array=bool(extents(node.type)) and inner.kind.name == "RECORD",
        )
        return Ref(memory=memory, path="", dims=extents(node.type))

    def _subscript(self, frame: Frame, node: Cursor, writes: bool) -> Value:
        base, index = (self._visit(frame, child) for child in children(node))
        lanes = base.lanes | index.lanes
        if base.ref is None:
            return Value(lanes)
        ref = base.ref
        known = constant(children(node)[1]) is not None
        applied = (*ref.indices, NONE if known else index.lanes)
        ref = Ref(memory=ref.memory, path=ref.path, dims=ref.dims, indices=applied)
        if len(applied) == len(ref.dims):
            self._access(ref, node, writes)
        return Value(lanes, ref)

    def _member(self, frame: Frame, node: Cursor) -> Value:
        parts = children(node)
        base = self._visit(frame, parts[0]) if parts else frame.this
        if base.ref is None or kind(node.referenced) != "FIELD_DECL":
            return base
        dims = extents(node.type)
        ref = Ref(memory=base.ref.memory, path=f"{base.ref.path}.{node.spelling}", dims=dims)
        return Value(base.lanes, ref)

    def _assign(self, frame: Frame, target: Cursor, value: Value) -> Value:
        self._visit(frame, target, writes=True)
        node = plain(target)
        while kind(node) == "MEMBER_REF_EXPR" and children(node):
            node = plain(children(node)[0])
        if kind(node) == "DECL_REF_EXPR" and node.referenced:
            held = frame.values.get(node.referenced.get_usr(), Value())
            frame.values[node.referenced.get_usr()] = Value(held.lanes | value.lanes, held.ref)
        return Value(value.lanes)

    def _visit_call(self, frame: Frame, node: Cursor) -> Value:
        called = self.program.function(node)
        if called is None:
            parts = list(children(node))
            assigns = node.spelling == "operator=" and len(parts) > 1
            values = [self._visit(frame, part, assigns and i == 0) for i, part in enumerate(parts)]
            lanes = frozenset().union(*(value.lanes for value in values))
            return Value(lanes, values[0].ref if len(values) == 1 else None)
        first = children(node)[:1]
        owner = children(first[0])[:1] if first and kind(first[0]) == "MEMBER_REF_EXPR" else []
        this = self._visit(frame, owner[0]) if owner else Value()
        parameters = list(called.cursor.get_arguments())
        arguments = list(node.get_arguments())
        values = [
            self._visit(frame, argument, _is_output(parameter))
            for argument, parameter in zip(arguments, parameters, strict=False)
        ]
        values = [
            value if _keeps(parameter) else Value(value.lanes)
            for value, parameter in zip(values, parameters, strict=False)
        ]
        lanes, after = self._call(called, values, this)
        for argument, parameter, changed in zip(arguments, parameters, after, strict=False):
            if _is_output(parameter) and changed:
                self._assign(frame, argument, Value(changed))
        return Value(lanes | this.lanes)

    def _access(self, ref: Ref, node: Cursor, writes: bool) -> None:
        pipeline, memory = self._pipeline, ref.memory
        if pipeline is None or (memory.is_struct_array and ref.path):
            return
        needed = demand(ref)
        given = memory.ports(ref.path, writes) * pipeline.interval
        if needed is not None and needed > given:
            file, line = self.program.place(node)
            name = memory.name + ref.path
            what = "write" if writes else "read"
            sentence = (
                f"{needed} lanes {what} array {name!r} in a cycle of {pipeline.title} ({file}:{line}), and its "
                f"pragmas give {given} port{'' if given == 1 else 's'}; partition or reshape what they index"
            )
            key = (*memory.place, name)
            self.worst[key] = max(self.worst.get(key, (0, "")), (needed, sentence))


def check_ports(program: Program) -> Iterator[Finding]:
    """Rule memory-port."""
    yield from Ports(program).check()


def _has_arrays(record: object) -> bool:
    return any(
        extents(member.type) or _has_arrays(member.type.get_canonical())
        for member in record.get_fields()  # type: ignore[attr-defined]
    )


def _keeps(parameter: Cursor) -> bool:
    """Whether a parameter is the caller's memory and not a copy."""
    return parameter.type.get_canonical().kind.name in ("LVALUEREFERENCE", "POINTER", "CONSTANTARRAY")


def _is_output(parameter: Cursor) -> bool:
    spelled = parameter.type.get_canonical()
    return spelled.kind.name == "LVALUEREFERENCE" and not spelled.get_pointee().is_const_qualified()
