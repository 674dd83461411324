# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate`, `csim` and `trace` of a sparse_matmul overlay, and one sentence for what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vitforge.boards import RESOURCES, list_boards, load_board
from vitforge.cli import main
from vitforge.config import ProjectConfig, SparseMatmulConfig
from vitforge.csim.project import kernel_of, load_a3_project, load_sparse_matmul_project
from vitforge.design.sparse_matmul import SparseMatmulDesign
from vitforge.design.sparse_matmul_fit import fit_sparse_matmul
from vitforge.errors import CapacityError, ConfigError
from vitforge.sparse_matmul_generate import SparseMatmulGenerateResult, generate_sparse_matmul
from vitforge_host import SparseMatmul
from vitforge_host.sim import SimDevice

SMALL = SparseMatmulConfig(rows_max=60, k_max=512, n_max=256, tt=6, tc=8)
KEYS = {
    *("directory", "kernel", "board", "clock_mhz", "dsp", "dsp_limit", "bram36", "uram", "lut", "ff", "tt", "tc", "tk"),
    *("td", "rows_max", "block_rows", "k_max", "n_max", "sparse", "macs_per_cycle", "reasons"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SparseMatmulGenerateResult:
    """A small array on ZCU104."""
    output = tmp_path_factory.mktemp("project") / "small"
    config = ProjectConfig(kernel="sparse_matmul", sparse_matmul=SMALL)
    return generate_sparse_matmul(board=load_board("zcu104"), output=output, config=config)


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(done: Result, message: str) -> None:
    assert done.exit_code == 2, done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr


@pytest.mark.parametrize("name", list_boards())
def test_every_board_gets_an_array_within_its_caps(name: str, tmp_path: Path) -> None:
    done = run("generate", "--kernel", "sparse_matmul", "--board", name, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    facts, board = json.loads(done.stdout), load_board(name)
    assert set(facts) == KEYS
    assert (facts["kernel"], facts["board"], facts["dsp_limit"]) == ("sparse_matmul", name, board.limit("dsp"))
    assert all(0 <= facts[resource] <= board.limit(resource) for resource in RESOURCES)
    wide = 2 if board.dsp_family == "dsp48e1" else 1
    assert facts["dsp"] == facts["tt"] // 2 * facts["tc"] * facts["tk"] + wide * facts["td"] * facts["tc"]
    assert facts["block_rows"] >= facts["rows_max"] >= facts["tt"]
    assert facts["macs_per_cycle"] == facts["tt"] * facts["tc"] * facts["tk"]


def test_the_fit_takes_most_of_the_dsps_where_they_limit() -> None:
    for name in ("zcu104", "kv260", "pynq-z2"):
        board = load_board(name)
        fitted = fit_sparse_matmul(board)
        assert fitted.resources.dsp > 0.9 * board.limit("dsp")
        assert any("dsp and the limit is" in reason for reason in fitted.reasons)


def test_same_input_gives_the_same_bytes(project: SparseMatmulGenerateResult, tmp_path: Path) -> None:
    first = fit_sparse_matmul(load_board("zcu104"), rows_max=60, k_max=512, n_max=256, tt=6, tc=8)
    assert first == project.fitted
    config = ProjectConfig(kernel="sparse_matmul", sparse_matmul=SMALL)
    again = [generate_sparse_matmul(board=load_board("zcu104"), output=tmp_path / name, config=config) for name in "ab"]
    assert files_of(again[0].directory) == files_of(again[1].directory)


def test_the_project_is_complete_and_read_back(project: SparseMatmulGenerateResult) -> None:
    files = files_of(project.directory)
    expected = {
        *("project.json", "hls/src/vitforge_sparse_matmul.cpp", "hls/include/sparse_matmul_config.hpp"),
        *("hls/include/vitforge/sparse_matmul/multiply.hpp", "hls/tb/tb_main.cpp", "hls/tb/csim_api.cpp"),
        *("hls/hls_config.cfg", "vitis/Makefile", "overlay/vitforge.hwh", "overlay/vitforge.sparse_matmul.json"),
        *("host/vitforge_host/sparse_matmul.py", "report/fit.json", "report/estimate.json", "report/resources.json"),
    }
    assert expected <= set(files)
    found = load_sparse_matmul_project(project.directory)
    assert found.design == project.fitted.design and kernel_of(project.directory) == "sparse_matmul"
    with pytest.raises(ConfigError, match="is a project of a sparse_matmul overlay; this takes a project of an A3"):
        load_a3_project(project.directory)


def test_sources_include_nothing_from_outside(project: SparseMatmulGenerateResult) -> None:
    hls = project.directory / "hls"
    trace = re.compile(
        r"^#if defined\(VITFORGE_TRACE\) && !defined\(__SYNTHESIS__\)$.*?^#else$", re.DOTALL | re.MULTILINE
    )
    for path in [*hls.glob("src/*.cpp"), *hls.glob("include/**/*.hpp")]:
        text = trace.sub("", path.read_text())
        for name in re.findall(r'#include ["<](.+?)[">]', text):
            allowed = name in ("ap_int.h", "hls_stream.h") or (hls / "include" / name).is_file()
            assert allowed, f"{path.name} includes {name}"


def test_every_loop_has_a_label_and_says_how_it_runs(project: SparseMatmulGenerateResult) -> None:
    hls = project.directory / "hls"
    for path in [*hls.glob("src/*.cpp"), *hls.glob("include/**/*.hpp")]:
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            where = f"{path.name}: {line}"
            if re.match(r"\s*(for|while) \(", line):
                assert lines[number - 1].strip().endswith(":"), where
                assert lines[number + 1].startswith("#pragma HLS "), where
            if line.startswith("#pragma HLS pipeline"):
                assert " II=" in line, where
            assert len(line) <= 120, where


def test_csim_finds_no_difference_and_the_driver_its_library(project: SparseMatmulGenerateResult) -> None:
    done = run("csim", project.directory, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["mismatches"], facts["headers"]) == (0, ["vitforge", "amd"])
    assert {row["name"] for row in facts["kernels"]} == {"array", "requantize", "launches"}
    rng = np.random.default_rng(0)
    x, weights = rng.integers(-128, 128, (70, 9)).astype(np.int8), rng.integers(-127, 128, (11, 9)).astype(np.int8)
    with SparseMatmul(project.directory / "overlay", device=SimDevice(ddr_bytes=1 << 26)) as matmul:
        matmul.load(weights)
        assert np.array_equal(matmul(x), x.astype(int) @ weights.T.astype(int))


def test_simulated_cycles_are_near_the_ideal_and_pruning_saves_them(
    project: SparseMatmulGenerateResult, tmp_path: Path
) -> None:
    done = run("trace", project.directory, "--json", "--perfetto", tmp_path / "timeline.json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    design, cases = project.fitted.design, facts["cases"]
    assert list(cases) == ["dense", "structured_50", "two_of_four", "structured_50_two_of_four"]
    dense = cases["dense"]
    assert dense["macs"] == design.block_rows * design.k_max * design.n_max
    assert dense["ideal_cycles"] == dense["macs"] // design.macs_per_cycle
    for case in cases.values():
        assert case["ideal_cycles"] <= case["cycles"] < case["launch_cycles"]
        assert case["macs_per_cycle"] == pytest.approx(case["macs"] / case["cycles"], abs=0.1)
    assert dense["cycles"] < 1.1 * dense["ideal_cycles"]
    assert cases["structured_50"]["speedup"] > 1.5 and cases["two_of_four"]["speedup"] > 1.5
    assert cases["structured_50_two_of_four"]["speedup"] > 2
    assert {row["name"] for row in facts["fifos"]} >= {"head", "orders", "tiles", "words"}
    assert all(row["smallest"] <= row["depth"] for row in facts["fifos"])
    assert facts["loops"]["array_cycle"]["interval"] == 1
    events = json.loads((tmp_path / "timeline.json").read_text())["traceEvents"]
    assert {"multiplies", "multiplies and drains", "first block arrives"} <= {event["name"] for event in events}
    shallow = run("trace", project.directory, "--depth", "words=0")
    refused(shallow, "FIFO words cannot be 0 deep")


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        (["--model", "x"], "", "--model is an option of kernel vit, and this is kernel sparse_matmul; leave it out"),
        (["--units", "2"], "", "--units is an option of kernel a3, and this is kernel sparse_matmul"),
        (["--kernel", "a3", "--k-max", "9"], "", "--k-max is an option of kernel sparse_matmul, and this is kernel a3"),
        (["--k-max", "4097"], "", "sparse_matmul.k_max = 4097 should be less than or equal to 4096"),
        (["--rows-max", "0"], "", "sparse_matmul.rows_max = 0 should be greater than or equal to 1"),
        ([], "tt = 200", "tt = 200 needs"),
        ([], "tc = 3", "tc is 3; on AMD ZCU104 it must be 8 or 4 or 2"),
        ([], "tt = 14\ntc = 4", "tt is 14; with tc = 4 it must be a multiple of 4"),
        ([], "sparsity = true", "unknown key 'sparse_matmul.sparsity' (did you mean 'sparse'?)"),
        (["--clock-mhz", "200"], "", "clock_mhz = 200 does not exist on AMD ZCU104"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], config: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "vitforge.toml"
    file.write_text(f"kernel = 'sparse_matmul'\nboard = 'zcu104'\n[sparse_matmul]\n{config}\n")
    refused(run("generate", "--config", file, "-o", tmp_path / "out", *arguments), message)
    assert not (tmp_path / "out").exists()


def test_tokens_alone_are_enough_where_some_columns_go_with_them() -> None:
    assert fit_sparse_matmul(load_board("zcu104"), tt=6).design.tc == 8  # with 4 or 2 columns it would be no whole tile
    with pytest.raises(ConfigError, match="tt is 7; with tc = 8 it must be a multiple of 2"):
        fit_sparse_matmul(load_board("zcu104"), tt=7)


def test_what_does_not_fit_says_what_would() -> None:
    with pytest.raises(CapacityError, match=r"does not fit AMD ZCU104: tt = 64 needs .* it fits with tt = 48"):
        fit_sparse_matmul(load_board("zcu104"), tt=64, tc=8)
    with pytest.raises(CapacityError, match=r"pynq|PYNQ.*; it fits with .*k_max = \d+"):
        fit_sparse_matmul(load_board("pynq-z2"), rows_max=4096, k_max=4096)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("csim", "--images", 4), "--images is for a Vision Transformer"),
        (("trace", "--images", 4), "--images is for a Vision Transformer"),
        (("trace", "--n", 4), "--n is for an A3 overlay"),
    ],
)
def test_options_of_other_kernels(
    arguments: tuple[object, ...], message: str, project: SparseMatmulGenerateResult
) -> None:
    refused(run(arguments[0], project.directory, *arguments[1:]), message)


def test_the_hash_is_of_the_hardware_alone() -> None:
    design = fit_sparse_matmul(load_board("zcu104")).design
    board = load_board("zcu104")

    def other(**changes: object) -> SparseMatmulDesign:
        names = ("name", "clock_mhz", "tt", "tc", "tk", "td", "rows_max", "k_max", "n_max", "sparse")
        return SparseMatmulDesign(board=board, **{name: getattr(design, name) for name in names} | changes)  # type: ignore[arg-type]

    assert other(name="x", clock_mhz=100.0).hash == design.hash
    for changes in ({"tt": 16}, {"k_max": 17}, {"sparse": False}, {"rows_max": 3}):
        assert other(**changes).hash != design.hash
