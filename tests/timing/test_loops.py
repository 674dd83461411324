# SPDX-License-Identifier: Apache-2.0
"""The table of intervals and depths belongs to the kernels as they are: every pipelined loop, and its own interval."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from vitforge.csim.build import find_compiler
from vitforge.design.loops import LOOPS
from vitforge.resources import data_dir

KERNELS = sorted((data_dir("templates") / "include" / "vitforge").glob("*.hpp"))
SOURCES = [*KERNELS, *sorted((data_dir("templates") / "hls").glob("*.hpp.jinja"))]
MARKED = re.compile(r"#pragma HLS pipeline II=(\d+)\n(?:[^\n]*#pragma[^\n]*\n|//[^\n]*\n|[^\n{}]*;[^\n]*\n)*?"
                    r"\s*VITFORGE_(?:KIND_)?ITERATION\(\"(\w+)\"")  # fmt: skip


def marked_loops() -> list[tuple[str, int]]:
    """(label, interval of the pragma) of every marked loop."""
    return [(label, int(ii)) for source in SOURCES for ii, label in MARKED.findall(source.read_text())]


def test_every_pipelined_loop_is_marked_once() -> None:
    pipelined = sum(source.read_text().count("#pragma HLS pipeline") for source in SOURCES)
    marks = sum(len(re.findall(r"^\s+VITFORGE_(?:KIND_)?ITERATION\(", source.read_text(), re.M)) for source in SOURCES)
    assert pipelined == marks == len(marked_loops())


def test_the_table_has_every_loop_and_no_other() -> None:
    assert {label for label, _ in marked_loops()} == set(LOOPS)


@pytest.mark.parametrize(("label", "interval"), marked_loops())
def test_the_interval_is_that_of_the_pragma(label: str, interval: int) -> None:
    assert LOOPS[label].interval == interval
    assert LOOPS[label].depth >= 1


def test_every_dataflow_function_is_marked_as_region() -> None:
    for source in [*SOURCES, data_dir("templates") / "hls" / "top.cpp.jinja"]:
        text = source.read_text()
        assert text.count("#pragma HLS dataflow\n") == len(re.findall(r"VITFORGE_REGION\(\"", text)), source.name


@pytest.mark.parametrize("define", ["-D__SYNTHESIS__", "-DVITFORGE_NOTHING"])
def test_marks_vanish(define: str, tmp_path: Path) -> None:
    """For synthesis even if tracing is asked for, and for an ordinary csim."""
    source = tmp_path / "marks.cpp"
    source.write_text(
        '#include "vitforge/trace.hpp"\nint f() {\nVITFORGE_REGION("a")\nVITFORGE_PROCESS("b")\n'
        'VITFORGE_ITERATION("c", 0)\nVITFORGE_KIND_ITERATION("d", 0, 2)\nreturn 1;\n}\n'
    )
    flags = [define, "-DVITFORGE_TRACE"] if "SYNTHESIS" in define else [define]
    command = [find_compiler(), "-E", "-P", *flags, f"-I{data_dir('templates') / 'include'}", str(source)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "".join(text.split()) == "intf(){return1;}"
