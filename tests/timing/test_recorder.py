# SPDX-License-Identifier: Apache-2.0
"""What a traced simulation records of a small dataflow, and that untraced nothing of it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitforge.csim.build import build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import own_headers
from vitforge.errors import CheckError, ConfigError, ModelError
from vitforge.resources import data_dir
from vitforge.timing.builder import RecordingBuilder
from vitforge.timing.recording import Recording, begin_recording, decode, end_recording
from vitforge.timing.solver import LoopTiming, solve

SOURCE = Path(__file__).with_name("dataflow.cpp")


def compiled(*defines: str) -> CsimLibrary:
    include = data_dir("templates") / "include"
    path = build_shared([SOURCE], headers=own_headers(), include_dirs=[include], name="dataflow", defines=defines)
    return CsimLibrary(path)


@pytest.fixture(scope="module")
def traced() -> CsimLibrary:
    return compiled("VITFORGE_TRACE")


def run(library: CsimLibrary, count: int, blocks: int) -> None:
    values = np.arange(count * blocks, dtype=np.int32)
    results = np.zeros(count * blocks // 2, np.int32)
    library.call("run_blocks", values, count, blocks, results)
    assert results.tolist() == [4 * i + 1 for i in range(count * blocks // 2)]


def record(library: CsimLibrary, count: int, blocks: int) -> Recording:
    begin_recording(library)
    run(library, count, blocks)
    return end_recording(library)


def by_hand(count: int, blocks: int) -> Recording:
    builder = RecordingBuilder()
    with builder.process("compute"):
        for _ in range(blocks):
            with builder.region("block"):
                header, words, sums = builder.stream("header"), builder.stream("words"), builder.stream("sums")
                with builder.process("source"):
                    builder.write(header)
                    for i in range(count):
                        builder.iteration("source_word", i, writes=[words])
                with builder.process("pairs"):
                    builder.read(header)
                    for i in range(count):
                        writes = [sums] if i % 2 else []
                        builder.iteration("pair_word", i, [words], writes, 2 if i % 2 else 0)
                    builder.write(sums)
                with builder.process("sink"):
                    for _ in range(count // 2 + 1):
                        builder.read(sums)
    return builder.build()


def test_a_recording_equals_one_by_hand(traced: CsimLibrary) -> None:
    recording = record(traced, 6, 3)
    assert recording.node_paths == (
        "top",
        "top/compute",
        "top/compute/block",
        "top/compute/block/source",
        "top/compute/block/pairs",
        "top/compute/block/sink",
    )
    assert recording.stream_paths[1] == "top/compute/block/words"
    assert np.array_equal(recording.words, by_hand(6, 3).words)


def test_a_recording_grows_with_different_logs_only(traced: CsimLibrary) -> None:
    few, many = record(traced, 100, 2), record(traced, 100, 50)
    assert len(few.words) == len(many.words)
    assert many.logs[-2].events.tolist() == [[3, 2, 3, 50]]


def test_each_recording_starts_empty(traced: CsimLibrary) -> None:
    first = record(traced, 8, 2)
    run(traced, 4, 1)
    assert np.array_equal(record(traced, 8, 2).words, first.words)


def test_a_recorded_dataflow_can_be_solved(traced: CsimLibrary) -> None:
    recording = record(traced, 6, 3)
    timings = {"source_word": LoopTiming(1, 2), "pair_word": LoopTiming(1, 3)}
    found = solve(recording, timings, dict.fromkeys(recording.stream_paths, 2), call_cycles=1, watch="block")
    assert found.deadlock is None
    assert found.iterations["top/compute/block/pairs", "pair_word", 2] == 9
    starts, ends = zip(*((call.start, call.end) for call in found.invocations), strict=True)
    assert starts[1:] == tuple(end + 2 for end in ends[:-1])


def test_a_recording_is_saved_and_loaded(tmp_path: Path) -> None:
    recording = by_hand(10, 2)
    recording.save(tmp_path / "run.npz")
    loaded = Recording.load(tmp_path / "run.npz")
    assert np.array_equal(loaded.words, recording.words)
    assert loaded.node_paths == recording.node_paths and loaded.patterns == recording.patterns


def test_a_file_that_is_no_recording(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", words=np.arange(20, dtype=np.uint32))
    with pytest.raises(ModelError, match="is no recording"):
        Recording.load(tmp_path / "other.npz")
    with pytest.raises(ConfigError, match="cannot be read"):
        Recording.load(tmp_path / "missing.npz")
    with pytest.raises(ValueError, match="version"):
        decode(np.zeros(3, np.uint32))


def test_an_operation_outside_a_process_is_refused(traced: CsimLibrary) -> None:
    begin_recording(traced)
    with pytest.raises(CheckError, match="stream words belongs to no process of region region"):
        traced.call("run_unmarked")
    assert record(traced, 4, 1).used_loops == ("pair_word", "source_word")


def test_without_tracing_nothing_is_recorded() -> None:
    library = compiled()
    run(library, 6, 3)
    assert library.call("run_unmarked") == 1
    with pytest.raises(CheckError, match="no function vitforge_trace_begin"):
        begin_recording(library)
    assert b"vitforge_csim8Recorder" not in library.path.read_bytes()
