# SPDX-License-Identifier: Apache-2.0
"""A timeline in the Chrome trace-event format, which https://ui.perfetto.dev opens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from vitforge.timing.solution import Slice

_PROCESS = 1


def write_timeline(
    path: Path,
    slices: Iterable[Slice],
    clock_mhz: float,
    *,
    title: str = "accelerator",
    track: Callable[[Slice], str | None] = lambda entry: entry.node,
    kinds: Mapping[tuple[str, int], str] | None = None,
    order: Sequence[str] = (),
) -> int:
    """Writes the slices, one track for each name that ``track`` gives (None leaves a slice out); their number.

    Tracks stand in the order given, others below them as they come.
    ``kinds`` names the work of a (loop, kind); else a slice has the name of its loop. Cycles are in the arguments.
    """
    written = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
        file.write(json.dumps(_meta("process_name", 0, {"name": title})))
        for event in _events(slices, clock_mhz, track, kinds or {}, order):
            written += event["ph"] == "X"
            file.write(",\n" + json.dumps(event))
        file.write("\n]}\n")
    return written


def _events(
    slices: Iterable[Slice],
    clock_mhz: float,
    track: Callable[[Slice], str | None],
    kinds: Mapping[tuple[str, int], str],
    order: Sequence[str],
) -> Iterator[dict]:
    tracks: dict[str, int] = {}
    places = {name: place for place, name in enumerate(order, 1)}
    for entry in slices:
        name = track(entry)
        if name is None:
            continue
        if name not in tracks:
            tracks[name] = places.get(name, len(order) + len(tracks) + 1)
            yield _meta("thread_name", tracks[name], {"name": name})
            yield _meta("thread_sort_index", tracks[name], {"sort_index": tracks[name]})
        label = entry.label if entry.kind is None else kinds.get((entry.label, entry.kind), entry.label)
        arguments: dict[str, int] = {"start": entry.start, "cycles": entry.end - entry.start}
        if entry.kind is not None:
            arguments["kind"] = entry.kind
        yield {
            "ph": "X",
            "pid": _PROCESS,
            "tid": tracks[name],
            "name": label,
            "ts": entry.start / clock_mhz,
            "dur": (entry.end - entry.start) / clock_mhz,
            "args": arguments,
        }


def _meta(what: str, thread: int, arguments: Mapping[str, object]) -> dict:
    return {"ph": "M", "pid": _PROCESS, "tid": thread, "name": what, "args": arguments}
