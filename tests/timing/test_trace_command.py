# SPDX-License-Identifier: Apache-2.0
"""`vitforge trace` on the model that ships: figures, what can be solved again, deadlocks, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vitforge.cli import main
from vitforge.csim import build
from vitforge.csim.project import load_project
from vitforge.design.loops import LOOPS
from vitforge.timing import record as recorder
from vitforge.timing.ddr import launch_bytes, linear_bytes
from vitforge.timing.estimate import estimate
from vitforge.timing.record import record
from vitforge.timing.trace import trace as trace_project
from vitforge_host.blob import read_blob

# The closed form leaves out waits for DDR and layer norm, which this small model cannot hide.
ESTIMATE_WITHIN = 0.25
ARRAYS = ("nsa_array", "nmp_array")
DEADLOCK = ("--depth", "ln1_values=1")


def trace(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["trace", str(project), *arguments])


def facts_of(project: Path, *arguments: str) -> dict[str, Any]:
    done = trace(project, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def sentence(done: Result, code: int) -> str:
    """What a refusal says: nothing on stdout, one line on stderr."""
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith("vitforge: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture(scope="module")
def facts(project: Path) -> dict[str, Any]:
    return facts_of(project)


@pytest.fixture
def recorded(project: Path, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, once traced; whoever compiles or runs it again fails."""

    def fail(*arguments: object, **more: object) -> None:
        raise AssertionError("a kept recording is enough")

    monkeypatch.setattr(build, "_compile", fail)
    monkeypatch.setattr(recorder, "run_model", fail)
    return project


def test_figures_agree_with_each_other(facts: dict[str, Any]) -> None:
    assert facts["fps"] == pytest.approx(facts["clock_mhz"] * 1e6 / facts["cycles_per_image"], abs=0.05)
    roof = facts["macs_per_image"] / (2 * 1728 * facts["cycles_per_image"])
    assert facts["dsp_roof_fraction"] == pytest.approx(roof, abs=1e-4)
    assert facts["latency_cycles"] > facts["cycles_per_image"]
    assert 0 < facts["engine_balance"] <= 1
    loads = sorted(facts["busy"][name] for name in ARRAYS)
    assert facts["engine_balance"] == pytest.approx(loads[0] / loads[1], abs=1e-3)
    assert facts["deadlock"] is None


def test_ddr_bytes_are_those_that_the_recording_reads(project: Path, facts: dict[str, Any]) -> None:
    """All beats of lists and streams, and what leaves; of the arrays' streams weights alone are read again."""
    result = trace_project(project, smallest=False)
    counts = {"chunk_beat": 0, "burst_beat": 0, "store_class": 0, "keep_beat": 0}
    for (_, loop, _), count in result.machine.solve(result.recording).iterations.items():
        counts[loop] = counts.get(loop, 0) + count
    design, manifest = result.project.design, read_blob(result.project.blob()).manifest
    read = (counts["chunk_beat"] + counts["burst_beat"]) * design.beat_bytes
    total, kept = launch_bytes(manifest, result.report.images)
    assert (read + 4 * counts["store_class"], counts["keep_beat"] * design.beat_bytes) == (total, kept)
    assert facts["ddr_bytes_per_launch"] == kept > 0
    more = launch_bytes(manifest, result.report.images + 4)[0] - total
    assert facts["ddr_bytes_per_image"] == more / 4
    linear = linear_bytes(manifest, range(design.shape.depth))
    assert linear % (design.folding.tc * design.folding.tk) == 0 and 0 < linear < facts["ddr_bytes_per_image"]


def test_every_unit_is_busy_for_a_part_of_the_time(facts: dict[str, Any]) -> None:
    assert set(facts["busy"]) >= {*ARRAYS, "softmax", "layer norm 1, output", "DDR port, MLP array", "results"}
    assert all(0 < fraction <= 1 for fraction in facts["busy"].values())
    assert all(0 < row["fraction"] <= 1 for row in facts["stalls"])


def test_dsps_are_those_of_the_design(project: Path, facts: dict[str, Any]) -> None:
    report = json.loads((project / "report" / "resources.json").read_text())
    assert facts["dsp"] == report["dsp"]


def test_assumptions_are_part_of_the_result(facts: dict[str, Any]) -> None:
    assert set(facts["loops"]) == set(LOOPS)
    assert facts["loops"]["array_cycle"]["interval"] == 1


def test_fifos_have_the_declared_depth_and_need_no_more(facts: dict[str, Any]) -> None:
    fifos = {row["name"]: row for row in facts["fifos"]}
    assert {"ln1_values", "nsa_beats", "nmp_activations", "scores"} <= set(fifos)
    assert fifos["nsa_words"]["depth"] == fifos["ln1_beats"]["depth"] == 64
    assert all(1 <= row["smallest"] <= row["depth"] for row in facts["fifos"])
    assert all(row["occupancy"] <= row["depth"] for row in facts["fifos"])


def test_estimate_is_near(project: Path, facts: dict[str, Any]) -> None:
    modelled = estimate(load_project(project).design)
    assert modelled.fps == pytest.approx(facts["fps"], rel=ESTIMATE_WITHIN)
    assert modelled.latency_cycles == pytest.approx(facts["latency_cycles"], rel=0.1)
    assert modelled.dsp_roof_fraction == pytest.approx(facts["dsp_roof_fraction"], rel=ESTIMATE_WITHIN)


def test_table_says_simulated_and_what_is_assumed(recorded: Path) -> None:
    done = trace(recorded)
    assert done.exit_code == 0
    for part in (
        "simulated, 12 images",
        "images per second",
        "stalls",
        "FIFOs",
        "assumed of each loop",
        "once a launch",
    ):
        assert part in done.stdout
    assert "measured" not in done.stdout


def test_another_clock_needs_no_other_run(recorded: Path, facts: dict[str, Any]) -> None:
    slower = facts_of(recorded, "--clock-mhz", "250")
    assert slower["clock_mhz"] == pytest.approx(250, rel=0.01)
    assert slower["fps"] < facts["fps"]
    assert slower["cycles_per_image"] <= facts["cycles_per_image"]  # DDR gives more bytes a cycle


def test_another_depth_needs_no_other_run(recorded: Path, facts: dict[str, Any]) -> None:
    shallow = facts_of(recorded, "--depth", "nmp_beats=8", "--depth", "nsa_beats=8")
    assert {row["depth"] for row in shallow["fifos"] if row["name"] in ("nmp_beats", "nsa_beats")} == {8}
    assert shallow["cycles_per_image"] > facts["cycles_per_image"]


def test_smallest_depths_cost_nothing_together(recorded: Path, facts: dict[str, Any]) -> None:
    depths = [f"--depth={row['name']}={row['smallest']}" for row in facts["fifos"]]
    again = facts_of(recorded, *depths)["cycles_per_image"]
    assert again == pytest.approx(facts["cycles_per_image"], rel=1e-3)  # the launch as a whole ends in the same cycle


def test_fifos_three_deep_never_lock_up(recorded: Path, facts: dict[str, Any]) -> None:
    """All but the one whose depth is derived: the tool may choose what it likes for the others."""
    others = [row["name"] for row in facts["fifos"] if not row["name"].endswith("_values")]
    assert len(others) > 10
    shallow = facts_of(recorded, *(part for name in others for part in ("--depth", f"{name}=3")))
    assert shallow["deadlock"] is None


def test_a_deadlock_is_one_sentence_with_its_cure(recorded: Path) -> None:
    text = sentence(trace(recorded, *DEADLOCK), 1)
    assert "deadlock at cycle" in text
    assert "layer norm 1, sums waits for ln1_values, which is full (depth 1)" in text
    assert "layer norm 1, output waits for ln1_scales, which is empty (depth 4)" in text
    assert re.search(r"deepen ln1_values to \d+$", text)


def test_a_deadlock_in_json_and_its_cure_cures(recorded: Path) -> None:
    done = trace(recorded, *DEADLOCK, "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["fps"] is None
    deadlock = found["deadlock"]
    assert {wait["fifo"] for wait in deadlock["circle"]} >= {"ln1_values"}
    depth = int(deadlock["cure"].removeprefix("deepen ln1_values to "))
    assert facts_of(recorded, "--depth", f"ln1_values={depth}")["deadlock"] is None
    assert trace(recorded, "--depth", f"ln1_values={depth - 1}").exit_code == 1  # it is the smallest


def test_no_timeline_of_a_deadlock(recorded: Path, tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    sentence(trace(recorded, *DEADLOCK, "--perfetto", str(path)), 1)
    assert not path.exists()


def test_wrong_results_have_no_times(project: Path, tmp_path: Path) -> None:
    changed = tmp_path / "project"
    shutil.copytree(project, changed)
    source = changed / "hls" / "include" / "vitforge" / "requantize.hpp"
    text = source.read_text()
    assert "(shift - 1)" in text
    source.write_text(text.replace("(shift - 1)", "(shift - 2)"))  # rounds at a quarter instead of a half
    said = sentence(trace(changed), 1)
    assert "differs from the golden model" in said
    assert f"vitforge csim {changed}" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--depth", "nowhere=4"), "no FIFO is called 'nowhere'; there are "),
        (("--depth", "scores"), "as in --depth scores=32"),
        (("--depth", "scores=-1"), "as in --depth scores=32"),
        (("--depth", "scores=0"), "the least is 1"),
        (("--images", "11"), "a steady state needs at least 12"),
        (("--clock-mhz", "299"), "does not exist"),
        (("--perfetto", "nowhere/timeline.json"), "nowhere is no directory"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_bad_arguments_are_refused_in_a_sentence(recorded: Path, arguments: tuple[str, ...], says: str) -> None:
    assert says in sentence(trace(recorded, *arguments), 2)


def test_a_directory_that_is_no_project(tmp_path: Path) -> None:
    assert "project.json" in sentence(trace(tmp_path), 2)


def test_a_recording_grows_slower_than_its_images(project: Path) -> None:
    found = load_project(project)
    short, long = record(found, 12), record(found, 48)
    assert long.words.nbytes < 2 * short.words.nbytes
    assert len(long.logs) == len(short.logs)  # an image more does nothing new


@pytest.fixture(scope="module")
def events(project: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    path: Path = tmp_path_factory.mktemp("timeline") / "timeline.json"
    facts_of(project, "--perfetto", str(path))
    return json.loads(path.read_text())["traceEvents"]


def tracks(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for event in events:
        if event["ph"] == "X":
            found[names[event["tid"]]].append(event)
    return found


def test_timeline_has_a_track_a_unit_in_order(events: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    assert {event["ph"] for event in events} == {"M", "X"}
    assert all({"pid", "tid", "name", "args"} <= set(event) for event in events)
    found = tracks(events)
    units = {name for name in facts["busy"] if name not in ARRAYS and "requantisation" not in name}
    assert set(found) == {"steps", "attention array", "MLP array"} | units
    numbers = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
    assert len(set(numbers.values())) == len(numbers)
    assert numbers["steps"] < numbers["layer norm 1, sums"] < numbers["attention array"] < numbers["MLP array"]


def test_timeline_names_what_is_done(events: list[dict[str, Any]]) -> None:
    found = {track: {event["name"] for event in slices} for track, slices in tracks(events).items()}
    assert found["attention array"] >= {"QKV, head 0", "scores, head 0", "context, head 0", "projection", "class head"}
    assert found["MLP array"] >= {"FC1", "FC2", "FC1 of the class token"}
    assert "patch embedding" in found["attention array"] | found["MLP array"]
    assert found["softmax"] == {"softmax of a head"}
    assert not any(re.search(r"_|^$", name) for names in found.values() for name in names)  # no labels of loops


def test_slices_follow_each_other_in_microseconds(events: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    for slices in tracks(events).values():
        ordered = sorted(slices, key=lambda event: event["args"]["start"])
        for event, following in zip(ordered, ordered[1:], strict=False):
            assert event["args"]["start"] + event["args"]["cycles"] <= following["args"]["start"]
        for event in ordered:
            assert event["ts"] == pytest.approx(event["args"]["start"] / facts["clock_mhz"])
            assert event["dur"] == pytest.approx(event["args"]["cycles"] / facts["clock_mhz"])
            assert event["dur"] > 0


def test_steps_of_the_timeline_are_the_steady_state(events: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    steps = tracks(events)["steps"]
    assert sum(event["args"]["cycles"] for event in steps) == pytest.approx(4 * facts["cycles_per_image"], rel=0.01)
