# SPDX-License-Identifier: Apache-2.0
"""`vitforge generate`: every board, within its caps, deterministic, complete, and safe for what was there."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from vitforge.boards import RESOURCES, list_boards, load_board
from vitforge.cli import main
from vitforge.generate import GenerateResult, generate

KEYS = {"board", "dsp", "dsp_limit", "bram36", "uram", "cycles_per_image", "folding"}


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", list_boards())
def test_every_board_gets_a_design_within_its_caps(name: str, tmp_path: Path) -> None:
    start = time.perf_counter()
    done = CliRunner().invoke(main, ["generate", "--board", name, "-o", str(tmp_path / "out"), "--json"])
    seconds = time.perf_counter() - start
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert set(facts) >= KEYS
    board = load_board(name)
    assert facts["board"] == name
    assert facts["dsp_limit"] == board.limit("dsp")
    for resource in RESOURCES:
        assert 0 <= facts[resource] <= board.limit(resource), resource
    assert facts["cycles_per_image"] > 0
    assert seconds < 10  # 3 s for a user; the machine of a test run may be busy


def test_works_alone_in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["generate", "--board", "zcu104"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "vitforge-zcu104" / "project.json").is_file()
    assert "cycles per image" in done.stdout


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again = (generate(board=load_board("zcu104"), output=tmp_path / name) for name in ("first", "again"))
    assert files_of(again.directory) == files_of(first.directory)


def test_the_project_is_complete(generated: GenerateResult) -> None:
    names = set(files_of(generated.directory))
    expected = {
        "project.json",
        "hls/src/vitforge_vit.cpp",
        "hls/include/hw_config.hpp",
        "hls/include/model_config.hpp",
        "hls/include/types.hpp",
        "hls/include/vitforge/mac_array.hpp",
        "hls/tb/tb_main.cpp",
        "hls/data/logits.bin",
        "hls/hls_config.cfg",
        "vitis/Makefile",
        "weights/vitforge.blob",
        "weights/manifest.json",
        "overlay/vitforge.hwh",
        "overlay/vitforge.sim.json",
        "host/vitforge_host/driver.py",
        "host/notebooks/vit_classification.ipynb",
        "host/notebooks/vit_classification.npz",
        "report/estimate.json",
        "report/resources.json",
    }
    assert expected <= names


def test_hls_sources_include_nothing_from_outside(generated: GenerateResult) -> None:
    """As synthesis sees them: what serves `vitforge trace` alone is behind a guard."""
    hls = generated.directory / "hls"
    allowed = {"ap_int.h", "hls_stream.h"}
    trace = re.compile(
        r"^#if defined\(VITFORGE_TRACE\) && !defined\(__SYNTHESIS__\)$.*?^#else$", re.DOTALL | re.MULTILINE
    )
    for path in [*hls.glob("src/*.cpp"), *hls.glob("include/**/*.hpp")]:
        for name in re.findall(r'#include ["<](.+?)[">]', trace.sub("", path.read_text())):
            assert name in allowed or (hls / "include" / name).is_file(), f"{path.name} includes {name}"


def test_every_loop_of_the_kernels_is_labelled(generated: GenerateResult) -> None:
    for path in (generated.directory / "hls" / "include" / "vitforge").glob("*.hpp"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.match(r"\s*(for|while) \(", line):
                assert re.fullmatch(r"\s*\w+:", lines[number - 1]), f"{path.name}:{number + 1}: {line.strip()}"


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter.tex").write_text("years of work")
    done = CliRunner().invoke(main, ["generate", "--board", "zcu104", "-o", str(output)])
    assert done.exit_code == 2
    assert files_of(output) == {"chapter.tex": b"years of work"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--board", "zcu14"], "zcu104"),
        (["--board", "zcu104", "--clock-mhz", "200"], "187.4"),
        (["--board", "zcu104", "--clock-mhz", "-1"], "clock_mhz"),
        (["--board", "zcu104", "--model", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--board", 'zcu104"; rm -rf /'], "unknown board"),
        ([], "--board"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["generate", *arguments, "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bord = 'zcu104'", "board"),
        ("board = 'zcu104'\n[folding]\ntt_nsa = 7", "tt_nsa"),
        ("board = 'zcu104'\nclock_mhz = -3", "clock_mhz"),
        ("board = 'zcu104'\nname = '../x'", "name"),
        ("board = 'zcu104'\nname = 'x\"; exec rm'", "name"),
        ("board = 'zcu104'\nname = '{{ 7 * 7 }}'", "name"),
        ("board = 'zcu104'\nname = '[exec ls]'", "name"),
        ("board = ", "TOML"),
    ],
)
def test_bad_config_gets_one_sentence(text: str, says: str, tmp_path: Path) -> None:
    config = tmp_path / "vitforge.toml"
    config.write_text(text)
    done = CliRunner().invoke(main, ["generate", "--config", str(config), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_too_big_for_the_board_is_refused_by_resource(tmp_path: Path) -> None:
    board = Path(os.fspath(tmp_path)) / "tiny.toml"
    facts = load_board("pynq-z2")
    lines = [f"{key} = {getattr(facts, key)!r}".replace("'", '"') for key in ("title", "part", "dsp_family", "ps")]
    lines += [
        f"{key} = {getattr(facts, key)}"
        for key in ("lut", "ff", "uram", "axi_bits", "hp_ports", "pll_mhz", "clock_mhz")
    ]
    lines += ['name = "tiny"', "bram36 = 2", "dsp = 220", f'pynq_image = "{facts.pynq_image}"']
    board.write_text("\n".join(lines))
    done = CliRunner().invoke(main, ["generate", "--board-file", str(board), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "bram36" in done.stderr.lower() or "BRAM" in done.stderr
    assert not (tmp_path / "out").exists()


def test_estimate_repeats_what_generate_printed(generated: GenerateResult) -> None:
    done = CliRunner().invoke(main, ["estimate", str(generated.directory), "--json"])
    assert done.exit_code == 0, done.output
    facts, printed = json.loads(done.stdout), generated.to_json()
    assert (facts["cycles_per_image"], facts["fps"]) == (printed["cycles_per_image"], printed["fps"])
    table = CliRunner().invoke(main, ["estimate", str(generated.directory)])
    assert f"{facts['cycles_per_image']:,}" in table.stdout
