# SPDX-License-Identifier: Apache-2.0
"""Rules of dataflow regions: declarations and calls only, each channel with one producer before one consumer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vitforge.lint.clang import Cursor, children, constant, kind, live, plain
from vitforge.lint.findings import Finding
from vitforge.lint.program import Block, Loop, Program, body_of
from vitforge.lint.usage import Usage, is_memory, is_stream


@dataclass(kw_only=True)
class Channel:
    """What connects processes: a stream, array or variable of the region, or one that it was given."""

    name: str
    cursor: Cursor  # its declaration
    is_local: bool
    writers: list[int] = field(default_factory=list)  # indices of processes
    readers: list[int] = field(default_factory=list)


def check_dataflow(program: Program) -> Iterator[Finding]:
    """Rules dataflow-body, -channel, -feedback and -bypass, and stream-depth, for each region that the top reaches."""
    usage = Usage(program)
    for function in program.instances.values():
        for block in (function, *function.loops):
            if block.pragma("dataflow") is not None:
                yield from _region(program, usage, block)


def _region(program: Program, usage: Usage, block: Block) -> Iterator[Finding]:
    calls: list[Cursor] = []
    channels: dict[str, Channel] = {}
    if not isinstance(block, Loop):
        for argument in block.cursor.get_arguments():
            channels[argument.get_usr()] = Channel(name=argument.spelling, cursor=argument, is_local=False)
    for statement in live(body_of(block.cursor)):
        node = plain(statement)
        if kind(node) == "DECL_STMT":
            for variable in children(node):
                if kind(variable) == "VAR_DECL":
                    channels[variable.get_usr()] = Channel(name=variable.spelling, cursor=variable, is_local=True)
        elif kind(node) == "CALL_EXPR" and program.function(node) is not None:
            calls.append(node)
        elif kind(node) != "NULL_STMT":
            sentence = (
                "a dataflow region holds declarations and calls of kernel functions only; move this into a process"
            )
            yield Finding(*program.place(node), "dataflow-body", sentence)
    for index, call in enumerate(calls):
        yield from _arguments(program, usage, call, index, channels)
    yield from _channels(program, channels, calls)
    yield from _depths(program, block, channels)


def _arguments(
    program: Program, usage: Usage, call: Cursor, index: int, channels: dict[str, Channel]
) -> Iterator[Finding]:
    """Enters what process ``index`` reads and writes."""
    called = program.function(call)
    assert called is not None
    for position, argument in enumerate(call.get_arguments()):
        node = plain(argument)
        channel = channels.get(node.referenced.get_usr()) if kind(node) == "DECL_REF_EXPR" else None
        if channel is None:
            if constant(node) is None and kind(node) != "DECL_REF_EXPR":
                sentence = f"argument {position + 1} of {called.name} is computed here; pass what it is made of"
                yield Finding(*program.place(node), "dataflow-body", sentence)
            continue
        reads, writes = usage.of(called, position)
        if reads:
            channel.readers.append(index)
        if writes:
            channel.writers.append(index)


def _channels(program: Program, channels: dict[str, Channel], calls: list[Cursor]) -> Iterator[Finding]:
    names = [call.spelling for call in calls]
    links: dict[int, set[int]] = {}
    joined = []
    for channel in channels.values():
        shown = f"channel {channel.name!r}"
        here = program.place(channel.cursor)
        for what, users in (("producer", channel.writers), ("consumer", channel.readers)):
            if len(users) > 1 and (channel.is_local or is_memory(channel.cursor)):
                who = " and ".join(names[user] for user in users[:3])
                yield Finding(*here, "dataflow-channel", f"{shown} has {len(users)} {what}s, {who}; it may have one")
        if not channel.is_local:
            if is_memory(channel.cursor) and set(channel.writers) - set(channel.readers) and channel.readers:
                sentence = f"{shown} comes from outside and passes from one process to another; make it local"
                yield Finding(*here, "dataflow-channel", sentence)
            continue
        if is_memory(channel.cursor) and not (channel.writers and channel.readers):
            what = "consumer" if channel.writers else "producer"
            yield Finding(*here, "dataflow-channel", f"{shown} has no {what}")
        elif channel.writers and channel.readers:
            first, last = channel.writers[0], channel.readers[0]
            if first > last or (first == last and is_stream(channel.cursor)):
                sentence = f"{shown} leads back from {names[first]} to {names[last]}, which the tool refuses"
                yield Finding(*here, "dataflow-feedback", sentence)
            elif first < last:
                links.setdefault(first, set()).add(last)
                joined.append((channel, first, last))
    yield from _bypasses(program, joined, links, names)


def _bypasses(
    program: Program, joined: list[tuple[Channel, int, int]], links: dict[int, set[int]], names: list[str]
) -> Iterator[Finding]:
    for channel, first, last in joined:
        between = [step for step in links[first] if step != last and _leads(step, last, links)]
        if between and not is_stream(channel.cursor):
            sentence = (
                f"channel {channel.name!r} passes by {names[between[0]]} on its way from {names[first]} to "
                f"{names[last]}; hand it through, for its two buffers hold back the processes between"
            )
            yield Finding(*program.place(channel.cursor), "dataflow-bypass", sentence)


def _leads(start: int, end: int, links: dict[int, set[int]]) -> bool:
    return start == end or any(_leads(step, end, links) for step in links.get(start, ()))


def _depths(program: Program, block: Block, channels: dict[str, Channel]) -> Iterator[Finding]:
    stated = {pragma.variable for pragma in block.pragmas if pragma.name == "stream" and "depth" in pragma.options}
    for channel in channels.values():
        if channel.is_local and is_stream(channel.cursor) and channel.name not in stated:
            sentence = f"stream {channel.name!r} states no depth; add #pragma HLS stream variable={channel.name} depth="
            yield Finding(*program.place(channel.cursor), "stream-depth", sentence)
