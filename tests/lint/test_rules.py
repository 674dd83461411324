# SPDX-License-Identifier: Apache-2.0
"""Every rule fails where a small kernel breaks it, and only there; what looks alike and is right passes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from lint.support import changed, lint_source
from vitforge.lint.rules import RULES


class Case(NamedTuple):
    """good.cpp with ``old`` replaced by ``new`` breaks ``rule``, and by that the rules ``also``.

    The finding is in the line with ``place``, and its sentence has ``words``.
    """

    rule: str
    old: str
    new: str
    place: str
    words: str
    also: tuple[str, ...] = ()


STORE = "        results.write(scaled.read());"
CALL = "    store(n, scaled, results);"
SUM = "        int sum = 0;"
PROCESSES = "    load(memory, n, words, counts);\n    scale<4>(words, counts, scaled);"
REVERSED = "    scale<4>(words, counts, scaled);\n    load(memory, n, words, counts);"
PARTITION = "#pragma HLS array_partition variable=bank type=complete dim=1"
LOAD = "#pragma HLS pipeline II=1\n#pragma HLS loop_tripcount max=1024\n        words.write"

BROKEN = [
    Case("parse", SUM, SUM + " sum = undeclared;", "undeclared", "undeclared identifier"),
    Case("include", '#include "sizes.hpp"', '#include "sizes.hpp"\n#include "missing.hpp"', "missing",
         "hls/ alone"),
    Case("include", '#include "sizes.hpp"', '#include "sizes.hpp"\n#include <cmath>', "cmath", "no other header"),
    Case("pragma-name", "#pragma HLS unroll", "#pragma HLS unrol", "unrol", "did you mean 'unroll'?"),
    Case("pragma-option", "type=complete dim=1", "type=complet dim=1", "complet", "one of block, cyclic, complete"),
    Case("pragma-option", "II=1 style=flp", "II=1 styl=flp", "styl=", "did you mean 'style'?"),
    Case("pragma-option", "II=1 style=flp", "II=0 style=flp", "II=0", "a whole number above 0"),
    Case("pragma-option", PARTITION, PARTITION + "\n#pragma HLS bind_storage type=ram_2p", "ram_2p", "needs variable="),
    Case("pragma-legacy", PARTITION, PARTITION + "\n#pragma HLS RESOURCE variable=bank core=RAM", "RESOURCE",
         "bind_op"),
    Case("pragma-legacy", PARTITION, PARTITION + "\n#pragma HLS data_pack variable=bank", "data_pack", "aggregate"),
    Case("pragma-place", "    counts[0] = n;", "    counts[0] = n;\n#pragma HLS unroll", "unroll", "for a loop"),
    Case("pragma-place", SUM, SUM + "\n#pragma HLS inline", "HLS inline", "for a function"),
    Case("pragma-place", SUM, SUM + "\n#pragma HLS loop_flatten off", "loop_flatten", "directly below the head"),
    Case("pragma-place", "typedef ap_uint<32> word_t;", "typedef ap_uint<32> word_t;\n#pragma HLS inline", "HLS inline",
         "stands in no function"),
    Case("pragma-variable", PARTITION, PARTITION.replace("bank", "banks"), "banks", "no variable of this function",
         ("memory-port",)),
    Case("pragma-variable", "words depth=4", "word depth=4", "variable=word ", "no variable of this function",
         ("stream-depth",)),
    Case("pragma-variable", PARTITION, PARTITION + "\n#pragma HLS array_reshape variable=bank dim=3", "dim=3",
         "has 2 dimensions"),
    Case("pragma-variable", SUM, SUM + "\n#pragma HLS array_partition variable=sum", "variable=sum", "no array"),
    Case("loop-label", "store_word:\n", "", "for (int i = 0; i < n; ++i) {", "store has no label"),
    Case("loop-tripcount", LOAD, LOAD.replace("#pragma HLS loop_tripcount max=1024\n", ""), "i < n", "loop_tripcount"),
    Case("loop-unroll", "lane < LANES", "lane < n", "lane < n", "its bound is no constant",
         ("loop-tripcount",)),
    Case("pipeline-ii", "pipeline II=1 style=flp", "pipeline style=flp", "style=flp", "states no II="),
    Case("dataflow-body", CALL, f"    n = n + 1;\n{CALL}", "n = n + 1", "declarations and calls"),
    Case("dataflow-body", CALL, f"    if (n > 0) {{\n    {CALL}\n    }}", "if (n > 0)", "declarations and calls",
         ("dataflow-channel",)),
    Case("dataflow-body", "store(n, scaled", "store(n + 1, scaled", "store(n + 1", "argument 1 of store"),
    Case("dataflow-channel", CALL, f"{CALL}\n    store(n, scaled, results);", "> scaled(",
         "2 consumers, store and store"),
    Case("dataflow-channel", CALL, "", "> scaled(", "has no consumer"),
    Case("dataflow-channel", CALL, "    store(n, words, results);", "> words(", "2 consumers, scale and store"),
    Case("dataflow-feedback", PROCESSES, REVERSED, "> words(", "leads back from load to scale"),
    Case("stream-depth", "#pragma HLS stream variable=words depth=4\n", "", "> words(", "states no depth"),
    Case("interface", "#pragma HLS interface mode=s_axilite port=n bundle=control\n", "", "small_top", "'n' has no"),
    Case("interface", "#pragma HLS interface mode=s_axilite port=return bundle=control\n", "", "small_top",
         "the return"),
    Case("interface", "#pragma HLS interface mode=s_axilite port=memory bundle=control\n", "", "small_top", "address"),
    Case("interface", "mode=axis port=results", "mode=s_axilite port=results", "small_top", "needs mode=axis"),
    Case("interface", "mode=s_axilite port=n bundle=control", "mode=ap_none port=n", "small_top", "ap_none is a wire"),
    Case("interface", "#pragma HLS interface mode=s_axilite port=n", "#pragma HLS INTERFACE ap_none port=n\n"
         "#pragma HLS interface mode=s_axilite port=n", "s_axilite port=n", "2 interfaces, ap_none and s_axilite"),
    Case("interface", "port=n bundle", "port=m bundle", "port=m ", "no argument 'm'"),
    Case("interface", "    counts[0] = n;", "#pragma HLS interface mode=axis port=words\n    counts[0] = n;",
         "port=words", "not the top function"),
    Case("interface-depth", " depth=1024\n", "\n", "m_axi", "has no depth="),
    Case("interface-depth", " depth=1024\n", " depth=512\n", "m_axi", "its array 1024 elements"),
    Case("interface-depth", " bundle=gmem", "", "m_axi", "has no bundle="),
    Case("memory-port", PARTITION + "\n", "", "bank[LANES]", "4 lanes write array 'bank'"),
    Case("memory-port", PARTITION, PARTITION.replace("complete", "cyclic factor=2"), "bank[LANES]", "2 lanes"),
    Case("memory-port", PARTITION, PARTITION.replace("dim=1", "dim=2"), "bank[LANES]", "4 lanes"),
    Case("multiplier", "low_half(word) * static_cast<short>(i)", "low_half(word) * i", "low_half(word) * i",
         "32 by 16 bits"),
    Case("multiplier", "static_cast<unsigned int>(memory[i])", "static_cast<unsigned int>(memory[i] * n)", "* n",
         "27 x 18"),
    Case("recursion", "    return static_cast<short>(", "    return low_half(word) & static_cast<short>(",
         "low_half(const", "calls itself"),
    Case("dynamic-memory", SUM, "        int *heap = new int[4];\n" + SUM, "new int", "no heap"),
    Case("dynamic-memory", SUM, "        free(nullptr);\n" + SUM, "free(", "no heap"),
    Case("library", SUM, "        const std::string name;\n" + SUM, "std::string", "std::string in scale"),
    Case("exception", SUM, "        if (n < 0) {\n            throw 1;\n        }\n" + SUM, "throw 1", "no exceptions"),
    Case("float", SUM, "        const float half = 0.5f;\n" + SUM, "float half", "floating point in scale"),
    Case("float", "words.write(static_cast<unsigned int>(memory[i]))",
         "words.write(static_cast<unsigned int>(static_cast<double>(memory[i])))", "double", "floating point in load"),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case.rule}-{case.words}")
def test_a_broken_rule_is_found_where_it_is_broken(case: Case, tmp_path: Path) -> None:
    source = changed((case.old, case.new))
    findings = lint_source(tmp_path, source).findings
    assert {found.rule for found in findings} == {case.rule, *case.also}
    found = next(found for found in findings if found.rule == case.rule and case.words in found.sentence)
    assert found.file == "hls/src/small_top.cpp"
    assert case.place in source.splitlines()[found.line - 1]


def test_the_small_kernel_keeps_every_rule(tmp_path: Path) -> None:
    assert lint_source(tmp_path).findings == ()


def test_an_array_may_not_pass_by_a_process(tmp_path: Path) -> None:
    source = changed(
        ("static void store(int n, ", "static void store(const int counts[2], "),
        ("store_word:", "    const int n = counts[0];\nstore_word:"),
        ("const int counts[2], hls::stream<word_t> &scaled) {", "int n, hls::stream<word_t> &scaled) {"),
        ("    const int n = counts[0];\nscale_word:", "scale_word:"),
        ("(words, counts, scaled)", "(words, n, scaled)"),
        ("store(n, scaled", "store(counts, scaled"),
    )
    found = lint_source(tmp_path, source).findings
    assert [finding.rule for finding in found] == ["dataflow-bypass"]
    assert "'counts' passes by scale on its way from load to store" in found[0].sentence


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PARTITION, PARTITION.replace("type=complete", "type=cyclic factor=4")),
        (PARTITION, PARTITION.replace("type=complete dim=1", "complete dim=0")),
        (PARTITION, PARTITION.replace("partition", "reshape")),
        (PARTITION + "\n", "#pragma HLS bind_op variable=sum op=add impl=fabric\n"),
        ("#pragma HLS unroll", "#pragma HLS if (depth > 2) unroll"),
        ("low_half(word) * static_cast<short>(i)", "i * 3"),
        ("low_half(word) * static_cast<short>(i)", "(i & 0x1ffff) * (n >> 6)"),
        ("(i + 1) % depth];", "(i + 1) % depth] + (depth < 3 ? n * n : 0);"),
        ("words.write(static_cast<unsigned int>(memory[i]));",
         "const int square = memory[i] * n;\n#pragma HLS bind_op variable=square op=mul impl=fabric\n"
         "        words.write(static_cast<unsigned int>(square));"),
        ("words.write(static_cast<unsigned int>(memory[i]));",
         "words.write(static_cast<unsigned int>(memory[i] * n));  // NOLINT(multiplier): once a launch"),
    ],
)  # fmt: skip
def test_what_is_right_passes(old: str, new: str, tmp_path: Path) -> None:
    interval = ("II=1 style=flp", "II=4 style=flp" if "bind_op variable=sum" in new else "II=1 style=flp")
    assert lint_source(tmp_path, changed((old, new), interval)).findings == ()


def test_a_waiver_is_for_its_rule_alone(tmp_path: Path) -> None:
    line = "words.write(static_cast<unsigned int>(memory[i] * n));  // NOLINT(float)"
    source = changed(("words.write(static_cast<unsigned int>(memory[i]));", line))
    assert [found.rule for found in lint_source(tmp_path, source).findings] == ["multiplier"]


@pytest.mark.parametrize(("part", "rules"), [("xczu7ev-ffvc1156-2-e", []), ("xc7z020clg400-1", ["multiplier"])])
def test_dsps_of_7_series_parts_are_narrower(part: str, rules: list[str], tmp_path: Path) -> None:
    product = (
        "(static_cast<ap_int<27> >(low_half(word)) + 0, static_cast<ap_int<27> >(sum) * static_cast<ap_int<18> >(i))"
    )
    source = changed(("low_half(word) * static_cast<short>(i)", f"static_cast<int>{product}"))
    assert [found.rule for found in lint_source(tmp_path, source, part=part).findings] == rules


def test_a_bench_may_use_the_library_but_no_file_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "outside.hpp").write_text("")
    bench = '#include <vector>\n#include "../../outside.hpp"\nint main() { return 0; }\n'
    (found,) = lint_source(tmp_path, bench=bench).findings
    assert (found.file, found.line, found.rule) == ("hls/tb/tb_main.cpp", 2, "include")


def test_legacy_commands_of_the_flow(tmp_path: Path) -> None:
    script = tmp_path / "vitis" / "run.tcl"
    script.parent.mkdir()
    script.write_text("open_component x\nconfig_array_partition -maximum_size 4096\n# config_sdx is not used\n")
    found = lint_source(tmp_path, config="config_sdx -target xocc\n").findings
    assert [(f.file, f.rule) for f in found] == [
        ("hls/hls_config.cfg", "pragma-legacy"),
        ("vitis/run.tcl", "pragma-legacy"),
    ]
    assert found[1].line == 2


def test_every_rule_has_an_example() -> None:
    assert {case.rule for case in BROKEN} | {"dataflow-bypass"} == set(RULES)


def test_the_document_has_every_rule() -> None:
    text = (Path(__file__).parents[2] / "docs" / "lint.md").read_text()
    assert [rule for rule in RULES if f"`{rule}`" not in text] == []
