# SPDX-License-Identifier: Apache-2.0
"""A second compiler front end takes all generated sources as C++14 and C++17, with either header set, and has no
warning but about pragmas and labels, which only the vendor tool knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from a3.designs import DESIGNS as A3_DESIGNS
from lint.projects import ALL, write_hls
from vitforge.csim.headers import HEADER_SETS
from vitforge.design.loops import A3_LOOPS, a3_loops
from vitforge.lint.clang import parse
from vitforge.lint.pragmas import read_sources
from vitforge.lint.program import read_program

BENCH = ("tb/csim_api.cpp", "tb/tb_main.cpp")
WARNING = 2  # clang.cindex.Diagnostic.Warning
SAMPLE = [
    pair for pair in ALL if pair[1] in ("ragged", "one-head", "paper", "base", "wide") and pair != ("vit", "wide")
]


def complaints(source: Path, hls: Path, headers: str, std: str) -> list[str]:
    unit = parse(source, headers=HEADER_SETS[headers](), include_dirs=[hls / "include"], std=std)
    return [str(found) for found in unit.diagnostics if found.severity >= WARNING]


@pytest.mark.parametrize("std", ["c++14", "c++17"])
@pytest.mark.parametrize(("kernel", "name"), SAMPLE)
def test_clang_takes_what_we_generate(kernel: str, name: str, std: str, tmp_path: Path) -> None:
    hls = write_hls(kernel, name, tmp_path)
    top = hls / "src" / f"vitforge_{kernel}.cpp"
    assert all(complaints(top, hls, headers, std) == [] for headers in HEADER_SETS)
    assert all(complaints(hls / source, hls, "vitforge", std) == [] for source in BENCH)


def test_clang_would_complain(tmp_path: Path) -> None:
    """The check can fail: an error, and a warning."""
    hls = write_hls("sparse_matmul", "dense", tmp_path)
    source = hls / "src" / "vitforge_sparse_matmul.cpp"
    good = source.read_text()
    source.write_text(good + "int broken = missing;\n")
    assert "undeclared identifier 'missing'" in complaints(source, hls, "vitforge", "c++14")[0]
    source.write_text(good + "static int unused() { return 1; }\n")
    assert "unused function" in complaints(source, hls, "vitforge", "c++17")[0]


@pytest.mark.parametrize("name", sorted(A3_DESIGNS))
def test_the_report_knows_which_loops_of_a3_a_design_has(name: str, tmp_path: Path) -> None:
    design = A3_DESIGNS[name]
    hls = write_hls("a3", name, tmp_path)
    top = hls / "src" / "vitforge_a3.cpp"
    unit = parse(top, headers=HEADER_SETS["vitforge"](), include_dirs=[hls / "include"])
    program = read_program(unit, read_sources(tmp_path, [top, *hls.glob("include/**/*.hpp")]), "vitforge_a3")
    labels = {loop.label for function in program.instances.values() for loop in function.loops}
    expected = a3_loops(design.approximate, design.numbers.policy == "deferred")
    assert labels & A3_LOOPS.keys() == expected.keys() - {"feed_beat", "drain_beat"}  # those are the DMA's
