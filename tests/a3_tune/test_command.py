# SPDX-License-Identifier: Apache-2.0
"""`vitforge a3 tune`: what it prints and writes, and one sentence for what is wrong."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from a3_tune.conftest import Data, make_data, save
from vitforge.cli import main
from vitforge.config import load_config

KEYS = {
    *("m", "t", "error", "search_error", "cycles_per_query", "latency_cycles", "speedup", "pareto", "points", "exact"),
    *("tolerance", "quantisation_error", "within_tolerance", "metric", "config", "plot", "saturated", "warnings"),
}
SMALL = {"n": 6, "count": 6}  # few settings and one stretch to simulate


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["a3", "tune", *(str(argument) for argument in arguments)])


def refused(done: Result, message: str) -> None:
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr


def test_help_shows_an_example_that_parses() -> None:
    for command in (["a3", "--help"], ["a3", "tune", "--help"]):
        assert "Example: vitforge a3 tune --keys" in CliRunner().invoke(main, command).stdout
    group = main.commands["a3"]
    assert group.epilog is not None
    _, _, *arguments = shlex.split(group.epilog.removeprefix("Example: "))
    assert arguments[0] == "tune"
    group.commands["tune"].make_context("tune", arguments[1:])


def test_writes_choice_plot_and_json(project: Path, here: Path) -> None:
    options = [*save(make_data("peaky", **SMALL), here), "--project", project, "--tolerance", 0.2]
    done = run(*options, "--plot", "front.png", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) >= KEYS
    assert found["within_tolerance"] and found["error"] <= 0.2 == found["tolerance"]
    assert found["speedup"] == pytest.approx(found["exact"]["cycles_per_query"] / found["cycles_per_query"])
    assert found["quantisation_error"] == found["exact"]["error"]
    assert (found["config"], found["plot"]) == ("vitforge.toml", "front.png")
    errors = [point["error"] for point in found["pareto"]]
    assert errors == sorted(errors, reverse=True)
    assert [found["m"], found["t"]] in [[point["m"], point["t"]] for point in found["points"]]
    image = (here / "front.png").read_bytes()
    assert image.startswith(b"\x89PNG") and 20_000 < len(image) < 400_000
    config = load_config(here / "vitforge.toml")
    assert (config.kernel, config.board, config.a3.m, config.a3.t) == ("a3", "zcu104", found["m"], found["t"])
    assert (config.a3.n_max, config.a3.d_max, config.a3.width) == (24, 8, 8)  # those of the project


def test_a_temporary_project_of_the_config(here: Path) -> None:
    text = "# mine\nboard = 'zcu104'\n[a3]\nn_max = 24  # rows\nd_max = 8\nwidth = 8\nm = 300\n"
    (here / "mine.toml").write_text(text)
    options = save(make_data("flat", **SMALL), here)
    done = run(*options, "--tolerance", 0.05, "--config", "mine.toml", "--plot", "front.svg")
    assert done.exit_code == 0, done.output
    assert "all rows" in done.stdout and "choice" in done.stdout and "mine.toml" in done.stdout
    assert (here / "mine.toml").read_text().startswith(text.replace("m = 300", "# m = 300"))
    assert load_config(here / "mine.toml").a3.m is None
    drawn = (here / "front.svg").read_text()
    assert "<svg" in drawn and len(drawn) > 20_000
    assert sorted(path.name for path in here.iterdir()) == [
        *("front.svg", "keys.npy", "mine.toml", "queries.npy", "values.npy")
    ]


def test_a_tolerance_out_of_reach(project: Path, here: Path) -> None:
    (here / "vitforge.toml").write_text("[a3]\nm = 3\n")
    options = [*save(make_data("flat", **SMALL), here), "--project", project]
    done = run(*options, "--tolerance", 1e-4, "--plot", "front.png", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert set(found) >= KEYS
    assert not found["within_tolerance"]
    assert found["error"] is found["cycles_per_query"] is found["config"] is None
    assert (here / "vitforge.toml").read_text() == "[a3]\nm = 3\n"
    assert (here / "front.png").exists()
    assert "no setting keeps the relative output error within 0.0001: quantisation to 4 + 4 bits" in done.stderr
    reachable = done.stderr.partition("try a tolerance of ")[2].split(",")[0]
    assert run(*options, "--tolerance", reachable).exit_code == 0


def test_saturated_values_are_counted(project: Path, here: Path) -> None:
    data = make_data("flat", **SMALL)
    data.keys[0, 0], data.keys[1, 1], data.queries[2, 3] = 40, -17, 16
    done = run(*save(data, here), "--project", project, "--tolerance", 5, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["saturated"] == {"keys": 2, "values": 0, "queries": 1}
    assert "2 of 48 elements of the keys are beyond +-15.9375 and were saturated" in done.stderr


def test_a_metric_from_the_current_directory(project: Path, here: Path) -> None:
    (here / "my_tune_metric.py").write_text(
        "import numpy\n\ndef largest(outputs, exact):\n    return numpy.abs(outputs - exact).max()\n"
    )
    options = [*save(make_data("flat", **SMALL), here), "--project", project, "--json"]
    before = list(sys.path)
    done = run(*options, "--tolerance", 0.5, "--metric", "my_tune_metric:largest")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metric"] == "my_tune_metric:largest"
    assert sys.path == before


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("my_metric", "must name a function, as in package.module:function"),
        (":f", "must name a function"),
        ("no_such_module:f", "cannot be imported (ModuleNotFoundError: No module named 'no_such_module')"),
        ("json:nothing", "names no function: json has no callable nothing"),
        ("json:__name__", "names no function"),
        ("math:hypot", "the metric math:hypot failed: TypeError"),
    ],
)
def test_a_metric_that_is_none(metric: str, message: str, project: Path, here: Path) -> None:
    options = [*save(make_data("flat", **SMALL), here), "--project", project]
    refused(run(*options, "--tolerance", 0.5, "--metric", metric), message)
    assert not (here / "vitforge.toml").exists()


FLAT = make_data("flat", **SMALL)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (make_data("flat", n=25, count=4), "have 25 rows, and the design holds 24; generate it with n_max = 25"),
        (make_data("flat", d=9, count=4), "have 9 columns, and the design holds 8; generate it with d_max = 9"),
        (make_data("flat", n=6, count=3), "leave 1 to search with and 2 held out; each part needs at least 2"),
        (FLAT._replace(keys=FLAT.keys[:5]), "do not go together"),
        (FLAT._replace(queries=FLAT.queries[:, :5]), "do not go together"),
        (FLAT._replace(queries=FLAT.queries[None]), "do not go together"),
        (Data(*(array[0] for array in FLAT)), "do not go together"),
        (Data(*(array[None, None] for array in FLAT)), "do not go together"),
        (FLAT._replace(keys=FLAT.keys[:0], values=FLAT.values[:0]), "keys (0, 8) are empty"),
        (FLAT._replace(values=np.where(FLAT.values > 1, np.nan, FLAT.values)), "values have "),
        (FLAT._replace(queries=FLAT.queries + np.inf), "queries have 48 of 48 elements that are no finite number"),
        (FLAT._replace(keys=FLAT.keys * 1j), "keys are of type complex128; they must be real numbers"),
        (FLAT._replace(values=FLAT.values * 0), "exact attention gives zeros alone"),
        (FLAT._replace(keys=FLAT.keys * 1e200, queries=FLAT.queries * 1e200), "is not finite; scale them down"),
    ],
)
def test_data_that_does_not_fit(data: Data, message: str, project: Path, here: Path) -> None:
    refused(run(*save(data, here), "--project", project, "--tolerance", 0.5), message)


def test_files_that_are_no_arrays(project: Path, here: Path) -> None:
    save(FLAT, here)
    (here / "text.npy").write_text("no array")
    (here / "empty.npy").write_text("")
    (here / "cut.npy").write_bytes((here / "keys.npy").read_bytes()[:-9])
    np.save(here / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.savez(here / "archive.npz", keys=FLAT.keys)
    for name, message in (
        ("none.npy", "none.npy cannot be read (No such file or directory); give a .npy file of keys"),
        ("text.npy", "text.npy is not a .npy file; save keys as numbers with numpy.save"),
        ("empty.npy", "empty.npy is not a .npy file"),
        ("cut.npy", "cut.npy is not a .npy file"),
        ("objects.npy", "objects.npy holds Python objects"),
        ("archive.npz", "archive.npz is an archive of arrays; save keys alone"),
        (".", "cannot be read (Is a directory)"),
    ):
        others = ["--values", "values.npy", "--queries", "queries.npy", "--project", project, "--tolerance", 1]
        refused(run("--keys", name, *others), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tolerance", "0"], "tolerance is 0; it must be a number above 0"),
        (["--tolerance", "-1"], "tolerance is -1"),
        (["--tolerance", "nan"], "tolerance is nan"),
        (["--tolerance", "much"], "--help shows what it takes"),
        (["--scale", "0"], "scale is 0.0; it must lie in"),
        (["--held-out", "1.5"], "held_out is 1.5; it must be a fraction of the queries"),
        (["--held-out", "0.9"], "leave 1 to search with and 5 held out"),
        (["--seed", "-1"], "--help shows what it takes"),
        (["--board", "zcu104"], "--project has one; leave it out"),
        (["--project", "nothing"], "project.json cannot be read"),
        (["--plot", "front.jpg"], "front.jpg is no file for a plot; give one that ends in .png or .svg"),
        (["--plot", "nowhere/front.png"], "nowhere is no directory; --plot takes a file to write"),
        (["--config", "nowhere/vitforge.toml"], "nowhere is no directory to write to"),
        (["--config", "broken.toml"], "broken.toml: is not a TOML file"),
        (["--config", "wrong.toml"], "wrong.toml: unknown key 'a3.q'"),
        (["--config", "inline.toml"], "inline.toml: its table a3 is written in a way that cannot be edited here"),
    ],
)
def test_bad_options_get_one_sentence(options: list[str], message: str, project: Path, here: Path) -> None:
    (here / "broken.toml").write_text("[a3\n")
    (here / "wrong.toml").write_text("[a3]\nq = 1\n")
    (here / "inline.toml").write_text("a3 = { m = 5 }\n")
    refused(run(*save(FLAT, here), "--tolerance", 0.5, "--project", project, *options), message)
    assert not (here / "vitforge.toml").exists()


def test_an_unknown_board(here: Path) -> None:
    refused(run(*save(FLAT, here), "--tolerance", 0.5, "--board", "zcu14"), "did you mean 'zcu104'?")


def test_a_plot_without_matplotlib(project: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = run(*save(FLAT, here), "--tolerance", 0.5, "--project", project, "--plot", "front.png")
    assert done.exit_code == 3
    assert "the plot needs matplotlib; pip install 'vitforge[plot]'" in done.stderr
