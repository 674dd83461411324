# SPDX-License-Identifier: Apache-2.0
"""The table of intervals and depths belongs to the kernels as they are: every pipelined loop, and its own interval."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from vitforge.csim.build import find_compiler
from vitforge.design.loops import A3_LOOPS, LOOPS, SPARSE_MATMUL_LOOPS, LoopModel
from vitforge.resources import data_dir

HEADERS, HLS = data_dir("templates") / "include" / "vitforge", data_dir("templates") / "hls"
VIT = [*sorted(HEADERS.glob("*.hpp")), *sorted(HLS.glob("*.hpp.jinja"))]
PACKETS = sorted((HEADERS / "axis").glob("*.hpp"))
A3 = [*sorted((HEADERS / "a3").glob("*.hpp")), *sorted((HLS / "a3").glob("*.hpp.jinja")), HLS / "a3" / "top.cpp.jinja"]
SPARSE_MATMUL = [*sorted((HEADERS / "sparse_matmul").glob("*.hpp")), HLS / "sparse_matmul" / "top.cpp.jinja"]
SOURCES = [*VIT, *A3, *PACKETS, *SPARSE_MATMUL]
# What of the headers of the ViT the sparse matrix product runs: bursts, and descriptors.
OF_VIT = {"burst_beat", "header_beat", "write_beat"}
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


TABLES = {
    "vit": (VIT, LOOPS, set()),
    "a3": ([*A3, *PACKETS], A3_LOOPS, DMA),
    "sparse_matmul": ([*SPARSE_MATMUL, *PACKETS], SPARSE_MATMUL_LOOPS, DMA | OF_VIT),
}
CASES = [(kernel, *loop) for kernel, (sources, _, _) in TABLES.items() for loop in dict.fromkeys(marked_loops(sources))]


@pytest.mark.parametrize("kernel", TABLES)
def test_the_table_has_every_loop_and_no_other(kernel: str) -> None:
    sources, table, elsewhere = TABLES[kernel]
    assert {label for label, _, _ in marked_loops(sources)} == set(table) - elsewhere
    assert elsewhere <= set(table)


@pytest.mark.parametrize(("kernel", "label", "interval", "flushes"), CASES)
def test_the_table_says_what_the_pragma_does(kernel: str, label: str, interval: int, flushes: bool) -> None:
    table: dict[str, LoopModel] = TABLES[kernel][1]
    loop = table[label]
    assert (loop.interval, loop.flushes) == (interval, flushes)
    assert loop.depth >= 1


def test_every_dataflow_function_is_marked_as_region() -> None:
    for source in [*SOURCES, HLS / "top.cpp.jinja"]:
        text = source.read_text()
        assert text.count("#pragma HLS dataflow\n") == len(re.findall(r"VITFORGE_REGION\(\"", text)), source.name


@pytest.mark.parametrize("define", ["-D__SYNTHESIS__", "-DVITFORGE_NOTHING"])
def test_marks_vanish(define: str, tmp_path: Path) -> None:
    """For synthesis even if tracing is asked for, and for an ordinary csim: at most a counter is cast away, which is no
    circuit, and which keeps compilers from calling it unused."""
    source = tmp_path / "marks.cpp"
    source.write_text(
        '#include "vitforge/trace.hpp"\nint f() {\nVITFORGE_REGION("a")\nVITFORGE_PROCESS("b")\n'
        'VITFORGE_ITERATION("c", 0)\nVITFORGE_KIND_ITERATION("d", 0, 2)\nreturn 1;\n}\n'
    )
    flags = [define, "-DVITFORGE_TRACE"] if "SYNTHESIS" in define else [define]
    command = [find_compiler(), "-E", "-P", *flags, f"-I{data_dir('templates') / 'include'}", str(source)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "".join(text.replace("static_cast<void>(0);", "").split()) == "intf(){return1;}"
