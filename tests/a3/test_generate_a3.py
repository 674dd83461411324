# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate --kernel a3`: complete, deterministic, within the caps, and one sentence for what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vitforge.a3_generate import A3GenerateResult, generate_a3
from vitforge.boards import RESOURCES, list_boards, load_board
from vitforge.cli import main
from vitforge.config import ProjectConfig
from vitforge.csim.project import kernel_of, load_a3_project, load_project
from vitforge.errors import ConfigError
from vitforge.generate import generate
from vitforge.timing.a3_estimate import a3_cycles

KEYS = {
    *("directory", "kernel", "board", "clock_mhz", "dsp", "dsp_limit", "bram36", "uram", "lut", "ff", "n_max", "d_max"),
    *("m_max", "width", "units", "units_that_fit", "queries_at_once", "normalisation", "integer_bits"),
    *("fraction_bits", "cycles_per_query", "latency_cycles"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> A3GenerateResult:
    """ZCU104, everything by default."""
    return generate_a3(board=load_board("zcu104"), output=tmp_path_factory.mktemp("project") / "a3")


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
def test_every_board_gets_a_design_within_its_caps(name: str, tmp_path: Path) -> None:
    done = run("generate", "--kernel", "a3", "--board", name, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert set(facts) >= KEYS
    board = load_board(name)
    assert (facts["kernel"], facts["board"], facts["dsp_limit"]) == ("a3", name, board.limit("dsp"))
    assert all(0 <= facts[resource] <= board.limit(resource) for resource in RESOURCES)
    assert facts["units_that_fit"] >= facts["units"] == 1
    assert facts["queries_at_once"] == 2
    rows = -(-facts["d_max"] // facts["width"]) * facts["n_max"]
    assert facts["cycles_per_query"] <= (rows + 9) / 2


def test_works_alone_in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("generate", "--kernel", "a3", "--board", "zcu104")
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["vitforge-a3-zcu104"]
    assert "a3 on AMD ZCU104, 300 MHz" in done.stdout
    assert "1 of 2 that fit; 2 queries at once" in done.stdout


def test_same_input_gives_the_same_bytes(project: A3GenerateResult, tmp_path: Path) -> None:
    again = generate_a3(board=load_board("zcu104"), output=tmp_path / "again")
    assert files_of(again.directory) == files_of(project.directory)


def test_the_project_is_complete(project: A3GenerateResult) -> None:
    files = files_of(project.directory)
    expected = {
        *("project.json", "hls/src/vitforge_a3.cpp", "hls/include/a3_config.hpp", "hls/include/vitforge/a3/dot.hpp"),
        *("hls/tb/tb_main.cpp", "hls/tb/csim_api.cpp", "hls/hls_config.cfg", "vitis/Makefile", "vitis/run_hls.tcl"),
        *("overlay/vitforge.hwh", "overlay/vitforge.bit", "overlay/vitforge.sim.json", "overlay/vitforge.a3.json"),
        *("host/vitforge_host/__init__.py", "report/estimate.json", "report/resources.json", "report/fit.json"),
    }
    assert expected <= set(files)
    assert not any(name.startswith("weights/") for name in files)
    resources = json.loads(files["report/resources.json"])
    assert resources["dsp"] == project.to_json()["dsp"]


def test_the_tools_are_told_of_every_file(project: A3GenerateResult) -> None:
    hls = project.directory / "hls"
    lines = [line.partition("=") for line in (hls / "hls_config.cfg").read_text().splitlines()]
    named = {value for key, _, value in lines if key in ("syn.file", "tb.file")}
    data = {f"data/{path.name}" for path in (hls / "data").iterdir()}
    assert data and named == {"src/vitforge_a3.cpp", "tb/tb_main.cpp"} | data
    assert {(key, value) for key, _, value in lines} >= {
        ("part", "xczu7ev-ffvc1156-2-e"),
        ("syn.top", "vitforge_a3"),
        ("package.ip.name", "vitforge_a3"),
    }
    script = (project.directory / "vitis" / "run_hls.tcl").read_text()
    assert all(name in script for name in data)


def test_sources_include_nothing_from_outside(project: A3GenerateResult) -> None:
    hls = project.directory / "hls"
    trace = re.compile(
        r"^#if defined\(VITFORGE_TRACE\) && !defined\(__SYNTHESIS__\)$.*?^#else$", re.DOTALL | re.MULTILINE
    )
    for path in [*hls.glob("src/*.cpp"), *hls.glob("include/**/*.hpp")]:
        for name in re.findall(r'#include ["<](.+?)[">]', trace.sub("", path.read_text())):
            allowed = name in ("ap_int.h", "hls_stream.h") or (hls / "include" / name).is_file()
            assert allowed, f"{path.name} includes {name}"


def test_the_project_is_read_back(project: A3GenerateResult, tmp_path: Path) -> None:
    found = load_a3_project(project.directory)
    assert found.design == project.fitted.design
    assert found.settings == {"board": "zcu104", "m": None, "t": None}
    assert kernel_of(project.directory) == "a3"
    with pytest.raises(
        ConfigError, match="is a project of an A3 overlay; this takes a project of a Vision Transformer"
    ):
        load_project(project.directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "a4"}, "is not a vitforge project file"),
        ({"kernel": []}, "is not a vitforge project file"),
        ({"generator": "other"}, "is not a vitforge project file"),
        ({"design": []}, "is not a vitforge project file"),
        ({"design": {}}, "is not a vitforge project file"),
        ({"design_hash": "00"}, "was changed after it was generated"),
        ({"kernel": "vit"}, "is not a vitforge project file"),
    ],
)
def test_a_damaged_project_file(
    change: dict[str, object], message: str, project: A3GenerateResult, tmp_path: Path
) -> None:
    content = json.loads((project.directory / "project.json").read_bytes())
    (tmp_path / "project.json").write_text(json.dumps({**content, **change}))
    for command in ("csim", "trace", "estimate"):
        refused(run(command, tmp_path), message)


def test_sizes_of_the_config_file(tmp_path: Path) -> None:
    config = tmp_path / "vitforge.toml"
    config.write_text(
        "kernel = 'a3'\nname = 'story'\nboard = 'zcu102'\nclock_mhz = 250.0\n[a3]\nn_max = 60\nd_max = 40\nwidth = 32\n"
        "integer_bits = 3\nfraction_bits = 4\nnormalisation = 'divide_first'\nm = 30\nt = 5\n"
        "[folding]\ntc = 4\n"  # of the other kernel
    )
    done = run("generate", "--config", config, "--units", 2, "--n-max", 50, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    wanted = {
        "n_max": 50,
        "d_max": 40,
        "width": 32,
        "units": 2,
        "integer_bits": 3,
        "fraction_bits": 4,
        "m": 30,
        "t": 5.0,
    }
    assert {key: facts[key] for key in wanted} == wanted
    assert (facts["normalisation"], facts["clock_mhz"], facts["m_max"]) == ("divide_first", 250.0, 50)
    found = load_a3_project(tmp_path / "out")
    assert (found.design.name, found.settings["m"], found.settings["t"]) == ("story", 30, 5.0)


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        (["--model", "x"], "", "--model is an option of kernel vit, and this is kernel a3; leave it out"),
        (["--calibration", "x"], "", "--calibration is an option of kernel vit"),
        (["--kernel", "vit", "--units", "2"], "", "--units is an option of kernel a3, and this is kernel vit"),
        (["--kernel", "vit", "--normalisation", "deferred"], "", "--normalisation is an option of kernel a3"),
        (["--n-max", "0"], "", "a3.n_max = 0 should be greater than or equal to 1"),
        (["--d-max", "513"], "", "a3.d_max = 513 should be less than or equal to 512"),
        (["--units", "9"], "", "9 units need"),
        (["--clock-mhz", "200"], "", "clock_mhz = 200 does not exist on AMD ZCU104"),
        ([], "[a3]\nwidth = 12", "width is 12; it must be a multiple of the 8 elements of a beat"),
        ([], "[a3]\ninteger_bits = 7\nfraction_bits = 6", "at most 10 together, not 7 and 6"),
        ([], "[a3]\nm = 513", "a3.m = 513 is more than the 512 rows of n_max; try 512"),
        ([], "[a3]\nm = 5\napproximate = false", "a3.m = 5 needs candidate selection"),
        ([], "[a3]\nt = 0.0", "a3.t = 0.0 should be greater than 0"),
        ([], "[a3]\nt = 101", "a3.t = 101 should be less than or equal to 100"),
        ([], "[a3]\nnormalization = 'deferred'", "unknown key 'a3.normalization' (did you mean 'normalisation'?)"),
        (["--kernel", "a3", "--board", "zcu14"], "", "did you mean 'zcu104'?"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], config: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "vitforge.toml"
    file.write_text("kernel = 'a3'\nboard = 'zcu104'\n" + config)
    refused(run("generate", "--config", file, "-o", tmp_path / "out", *arguments), message)
    assert not (tmp_path / "out").exists()


def test_each_generator_takes_its_kernel(tmp_path: Path) -> None:
    board = load_board("zcu104")
    with pytest.raises(ConfigError, match="kernel is 'a3', and this generates 'vit'; call vitforge.a3_generate"):
        generate(board=board, output=tmp_path / "x", config=ProjectConfig(kernel="a3"))
    with pytest.raises(ConfigError, match="kernel is 'vit', and this generates 'a3'; call vitforge.generate"):
        generate_a3(board=board, output=tmp_path / "x", config=ProjectConfig())


def test_options_of_the_other_kernel(project: A3GenerateResult) -> None:
    for command in ("csim", "trace"):
        refused(run(command, project.directory, "--images", 12), "--images is for a Vision Transformer, and ")


def test_estimate_repeats_what_generate_printed(project: A3GenerateResult) -> None:
    done = run("estimate", project.directory, "--json")
    assert done.exit_code == 0, done.output
    facts, printed = json.loads(done.stdout), project.to_json()
    assert (facts["cycles_per_query"], facts["latency"]) == (printed["cycles_per_query"], printed["latency_cycles"])
    assert "cycles per query" in run("estimate", project.directory).stdout


def test_closed_form(project: A3GenerateResult) -> None:
    design = project.fitted.design
    base = a3_cycles(design, 320, 64)
    assert base.interval <= 320 + 9
    assert base.latency <= 3 * 320 + 27
    chosen = a3_cycles(design, 320, 64, 160, candidates=100, kept=50)
    assert chosen.interval <= 160 + 16
    assert chosen.limited_by == "selection"
    assert a3_cycles(design, 320, 64, 20, candidates=19, kept=10).interval < base.interval / 8
    assert a3_cycles(design, 320, 64, 160, candidates=320, kept=10).limited_by == "dot"
    assert a3_cycles(design, 320, 20).interval == a3_cycles(design, 319, 20).interval == 320
    for wrong in ((0, 64, None), (513, 64, None), (320, 65, None), (320, 64, 0), (320, 64, 513)):
        with pytest.raises(ConfigError, match="takes 1 to"):
            a3_cycles(design, *wrong)
