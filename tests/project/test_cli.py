# SPDX-License-Identifier: Apache-2.0
"""The command line: help, exit codes, one sentence for bad input, one object for --json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import vitforge.boards as boards_module
import vitforge.doctor as doctor_module
from project.command import Outcome, Vitforge, parse
from vitforge.cli import main
from vitforge.config import load_config
from vitforge_host.blob import BlobError
from vitforge_host.errors import AcceleratorTimeout, BusError, OverlayError

COMMANDS = [
    "a3",
    "blob",
    "boards",
    "build",
    "csim",
    "demo",
    "doctor",
    "estimate",
    "generate",
    "init",
    "lint",
    "package",
    "prune",
    "quantize",
    "report",
    "trace",
]


def refused(outcome: Outcome, message: str) -> None:
    """Exit code 2 and one sentence on stderr that holds ``message``."""
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("vitforge: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_all_commands_are_there() -> None:
    assert sorted(main.commands) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_that_parses(name: str, vitforge: Vitforge) -> None:
    outcome = vitforge(name, "--help")
    assert outcome.code == 0
    assert f"Example: vitforge {name}" in outcome.out
    example = main.commands[name].epilog
    assert example is not None
    for line in example.removeprefix("Example: ").split(" && "):
        parse(line)


@pytest.mark.parametrize("name", ["csim", "demo", "estimate", "generate", "lint", "quantize", "trace"])
def test_commands_that_measure_take_json(name: str) -> None:
    assert "--json" in {option for p in main.commands[name].params for option in p.opts}


def test_no_command_shows_the_list(vitforge: Vitforge) -> None:
    outcome = vitforge("--help")
    assert outcome.code == 0
    assert all(f"  {name} " in outcome.out for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["nope"], ["boards", "--nope"], ["csim"], ["csim", "x", "--images", "many"]])
def test_wrong_use_is_exit_code_2(arguments: list[str], vitforge: Vitforge) -> None:
    outcome = vitforge(*arguments)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert "--help shows what it takes" in outcome.err


def test_boards(vitforge: Vitforge) -> None:
    outcome = vitforge("boards")
    assert outcome.code == 0
    assert all(name in outcome.out for name in boards_module.list_boards())
    assert "xczu7ev-ffvc1156-2-e" in outcome.out


def test_boards_json_is_one_object(vitforge: Vitforge) -> None:
    outcome = vitforge("boards", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = {board["name"]: board for board in json.loads(outcome.out)["boards"]}
    assert sorted(found) == boards_module.list_boards()
    assert found["zcu104"]["limits"]["dsp"] == 1555


def test_one_board(vitforge: Vitforge) -> None:
    assert "1,555 (90%)" in vitforge("boards", "zcu104").out
    refused(vitforge("boards", "zcu14"), "did you mean 'zcu104'?")


def test_init_writes_a_config_that_loads(vitforge: Vitforge, tmp_path: Path) -> None:
    file = tmp_path / "vitforge.toml"
    assert vitforge("init", file, "--board", "kv260", "--name", "my-vit").code == 0
    settings = load_config(file)
    assert (settings.board, settings.name) == ("kv260", "my-vit")
    file.write_text("mine")
    refused(vitforge("init", file), "exists already")
    assert file.read_text() == "mine"


def test_init_of_an_a3_overlay(vitforge: Vitforge, tmp_path: Path) -> None:
    file = tmp_path / "vitforge.toml"
    assert vitforge("init", file, "--kernel", "a3").code == 0
    settings = load_config(file)
    assert (settings.kernel, settings.name) == ("a3", "a3")


def test_init_refuses_bad_names(vitforge: Vitforge, tmp_path: Path) -> None:
    refused(vitforge("init", tmp_path / "a", "--name", 'x"\n[csim]'), "is not allowed")
    refused(vitforge("init", tmp_path / "a", "--board", "kv26"), "did you mean 'kv260'?")
    refused(vitforge("init", tmp_path / "no" / "a"), "cannot be written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        (["--board", "zcu14"], "", "unknown board 'zcu14' (did you mean 'zcu104'?)"),
        ([], "", "no board is given; add --board zcu104"),
        (["--board", "zcu104", "--board-file", "x.toml"], "", "both name a board"),
        (["--board-file", "none.toml"], "", "none.toml: cannot be read"),
        (["--board", "zcu104"], "clok_mhz = 300.0", "unknown key 'clok_mhz' (did you mean 'clock_mhz'?)"),
        (["--board", "zcu104"], "name = '{{ x }}'", "name = '{{ x }}': a name is"),
        (["--board", "zcu104"], 'name = "a\'; exec rm"', "a name is a lower-case letter"),
        (["--board", "zcu104"], "clock_mhz = 200.0", "clock_mhz = 200 does not exist on AMD ZCU104"),
        (["--board", "zcu104", "--clock-mhz", "-1"], "", "clock_mhz = -1.0 should be greater than 0"),
        (["--board", "zcu104"], "[folding]\ntc = 0", "folding.tc = 0 should be greater than or equal to 1"),
        (["--board", "zcu104", "--model", "none.safetensors"], "", "none.safetensors"),
        (["--board", "zcu104", "--n-max", "20"], "", "--n-max is an option of kernel a3, and this is kernel vit"),
        (["--board", "zcu104", "--kernel", "a3", "--model", "x"], "", "--model is an option of kernel vit"),
        (["--board", "zcu104"], "kernel = 'a4'", "kernel = 'a4' should be 'vit', 'a3' or 'sparse_matmul'"),
    ],
)
def test_generate_refuses_bad_input_and_writes_nothing(
    arguments: list[str],
    config: str,
    message: str,
    vitforge: Vitforge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vitforge.toml").write_text(config)
    refused(vitforge("generate", *arguments, "--config", "vitforge.toml"), message)
    assert [p.name for p in tmp_path.iterdir()] == ["vitforge.toml"]


@pytest.mark.parametrize("command", [["generate", "--board", "zcu104"], ["demo"]])
def test_a_directory_that_is_not_ours_is_left_alone(command: list[str], vitforge: Vitforge, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    refused(vitforge(*command, "-o", tmp_path), "was not written by vitforge")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_csim_of_no_project(vitforge: Vitforge, tmp_path: Path) -> None:
    refused(vitforge("csim", tmp_path), "project.json cannot be read")


@pytest.mark.parametrize("option", [["--n", "20"], ["--d", "64"], ["--m", "10"], ["--t", "5"]])
def test_trace_takes_options_of_the_kernel_that_the_project_has(
    option: list[str], vitforge: Vitforge, tmp_path: Path
) -> None:
    (tmp_path / "project.json").write_text(
        '{"generator": "vitforge", "settings": {}}'
    )  # from before there was a choice
    outcome = vitforge("trace", tmp_path, *option)
    refused(outcome, f"{option[0]} is for an A3 overlay, and {tmp_path} is a Vision Transformer; leave it out")


def test_generate_works_alone_in_an_empty_directory(
    vitforge: Vitforge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = vitforge("generate", "--board", "zcu104")
    assert (outcome.code, outcome.err) == (0, "")
    assert "AMD ZCU104, 300 MHz" in outcome.out
    assert [p.name for p in tmp_path.iterdir()] == ["vitforge-zcu104"]
    assert json.loads(Path("vitforge-zcu104/project.json").read_bytes())["generator"] == "vitforge"
    config_file = Path("vitforge-zcu104/hls/hls_config.cfg").read_text()
    assert (
        config_file.index("part=xczu7ev-ffvc1156-2-e") < config_file.index("[hls]") < config_file.index("clock=300MHz")
    )
    for line in config_file.splitlines():
        key, _, value = line.partition("=")
        if key in ("syn.file", "tb.file"):
            assert Path("vitforge-zcu104/hls", value).is_file(), line


def test_doctor_finds_what_the_tests_run_with(vitforge: Vitforge) -> None:
    outcome = vitforge("doctor", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    checks = {check["name"]: check for check in report["checks"]}
    assert report["good"]
    assert checks["pynq"]["detail"] == "4.0.0"
    assert all(checks[name]["found"] for name in ("Python", "numpy", "g++", "AMD ap_int headers"))
    assert not checks["v++"]["required"]
    assert "all that `vitforge demo` needs is here" in vitforge("doctor").out


def test_doctor_without_a_compiler(vitforge: Vitforge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = vitforge("doctor")
    assert outcome.code == 3
    assert "missing: apt install g++" in outcome.out


def test_csim_without_a_compiler(vitforge: Vitforge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert vitforge("generate", "--board", "zcu104", "-o", tmp_path / "x").code == 0
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("VITFORGE_CACHE", str(tmp_path / "cache"))  # nothing compiled earlier
    outcome = vitforge("csim", tmp_path / "x")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.startswith("vitforge: ")
    assert "apt install g++" in outcome.err


def test_an_error_shows_its_traceback_only_with_debug(vitforge: Vitforge) -> None:
    assert "Traceback" not in vitforge("boards", "x").err
    outcome = vitforge("boards", "x", "--debug")
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("vitforge: unknown board 'x'")


def test_a_bug_of_ours_is_called_one(vitforge: Vitforge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "examine", lambda: 1 // 0)
    outcome = vitforge("doctor")
    assert outcome.code == 1
    assert outcome.err.startswith("vitforge: internal error: ZeroDivisionError")
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(("error", "code"), [(BlobError, 2), (OverlayError, 2), (AcceleratorTimeout, 1), (BusError, 1)])
def test_errors_of_the_host_package(
    error: type[Exception], code: int, vitforge: Vitforge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error("what, where, what would be right")

    monkeypatch.setattr(doctor_module, "examine", fail)
    outcome = vitforge("doctor")
    assert (outcome.code, outcome.err) == (code, "vitforge: what, where, what would be right\n")


def test_interruption(vitforge: Vitforge, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(boards_module, "list_boards", interrupt)
    outcome = vitforge("boards")
    assert (outcome.code, outcome.err.strip()) == (130, "vitforge: interrupted")


def test_the_module_runs_as_a_program() -> None:
    paths = [str(Path(module.__file__).parents[1]) for module in (boards_module, __import__("vitforge_host"))]
    result = subprocess.run(
        [sys.executable, "-m", "vitforge", "boards", "nope", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("vitforge: unknown board 'nope'")


def test_parse_is_a_real_check() -> None:
    with pytest.raises(click.UsageError):
        parse("vitforge boards --nope")
