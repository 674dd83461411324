# SPDX-License-Identifier: Apache-2.0
"""The timeline is JSON that a viewer of trace events understands."""

from __future__ import annotations

import json
from pathlib import Path

from vitforge.timing.perfetto import write_timeline
from vitforge.timing.solution import Slice

SLICES = (
    Slice("top/net", "net", None, 0, 400),
    Slice("top/net/array", "array_cycle", 1, 100, 300),
    Slice("top/net/array", "array_cycle", 0, 300, 310),
    Slice("top/net/norm", "norm_word", 1, 20, 60),
)


def read(path: Path) -> tuple[dict[int, str], list[dict]]:
    events = json.loads(path.read_text())["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    return names, [e for e in events if e["ph"] == "X"]


def test_a_track_for_each_block_and_microseconds_at_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    assert write_timeline(path, SLICES, 200.0, kinds={("array_cycle", 0): "drain"}) == 4
    names, events = read(path)
    assert list(names.values()) == ["top/net", "top/net/array", "top/net/norm"]
    assert [(names[e["tid"]], e["name"], e["ts"], e["dur"]) for e in events] == [
        ("top/net", "net", 0.0, 2.0),
        ("top/net/array", "array_cycle", 0.5, 1.0),
        ("top/net/array", "drain", 1.5, 0.05),
        ("top/net/norm", "norm_word", 0.1, 0.2),
    ]
    assert events[1]["args"] == {"start": 100, "cycles": 200, "kind": 1}


def test_tracks_can_be_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    assert write_timeline(path, SLICES, 100.0, track=lambda s: "unit" if "array" in s.node else None) == 2
    assert read(path)[0] == {1: "unit"}


def test_nothing_to_show_is_still_a_timeline(tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    assert write_timeline(path, (), 100.0) == 0
    assert read(path) == ({}, [])
