# SPDX-License-Identifier: Apache-2.0
"""The table of intervals and depths belongs to the kernels as they are: every pipelined loop, and its own interval."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from vitforge.csim.build import find_compiler
from vitforge.design.loops import A3_LOOPS, LOOPS, LoopModel
from vitforge.resources import data_dir

HEADERS, HLS = data_dir("templates") / "include" / "vitforge", data_dir("templates") / "hls"
VIT = [*sorted(HEADERS.glob("*.hpp")), *sorted(HLS.glob("*.hpp.jinja"))]
A3 = [*sorted((HEADERS / "a3").glob("*.hpp")), *sorted((HLS / "a3").glob("*.hpp.jinja")), HLS / "a3" / "top.cpp.jinja"]
SOURCES = [*VIT, *A3]
DMA = {"feed_beat", "drain_beat"}  # loops of the simulation, outside of the kernel
MARKED = re.compile(
    r"#pragma HLS pipeline II=(\d+)( style=flp)?\n(?:[^\n]*#pragma[^\n]*\n|//[^\n]*\n|[^\n{}]*;[^\n]*\n)*?"
    r"\s*VITFORGE_(?:KIND_)?ITERATION\(\"(\w+)\""
)


def marked_loops(sources: list[Path]) -> list[tuple[str, int, bool]]:
    """(label, interval of the pragma, whether it flushes) of every marked loop."""
    found = [match for source in sources for match in MARKED.findall(source.read_text())]
    return [(label, int(ii), bool(style)) for ii, style, label in found]


def test_every_pipelined_loop_is_marked_once() -> None:
    pipelined = sum(source.read_text().count("#pragma HLS pipeline") for source in SOURCES)
    marks = sum(len(re.findall(r"^\s+VITFORGE_(?:KIND_)?ITERATION\(", source.read_text(), re.M)) for source in SOURCES)
    assert pipelined == marks == len(marked_loops(SOURCES))


@pytest.mark.parametrize(("sources", "table"), [(VIT, LOOPS), (A3, A3_LOOPS)], ids=["vit", "a3"])
def test_the_table_has_every_loop_and_no_other(sources: list[Path], table: dict[str, LoopModel]) -> None:
    assert {label for label, _, _ in marked_loops(sources)} == set(table) - DMA


@pytest.mark.parametrize(("label", "interval", "flushes"), marked_loops(SOURCES))
def test_the_table_says_what_the_pragma_does(label: str, interval: int, flushes: bool) -> None:
    loop = (A3_LOOPS | LOOPS)[label]
    assert (loop.interval, loop.flushes) == (interval, flushes)
    assert loop.depth >= 1


def test_every_dataflow_function_is_marked_as_region() -> None:
    for source in [*SOURCES, HLS / "top.cpp.jinja"]:
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
