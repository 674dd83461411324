# SPDX-License-Identifier: Apache-2.0
"""`vitforge report`: what the tools reported beside what was predicted, in several layouts, whole and broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from report.conftest import CLASSIC, put
from vitforge.errors import ConfigError
from vitforge.report.compare import report


def test_without_any_report_all_is_missing_and_nothing_fails(project: Path) -> None:
    found = report(project)
    assert found.reported == {}
    assert [re.split(" lies|:", sentence)[0] for sentence in found.missing] == [
        "no report of C synthesis",
        "no report of C/RTL co-simulation",
        "no report of utilisation",
        "no report of timing",
        "no accuracy",
    ]
    assert all(loop.reached is None and not loop.misses for loop in found.loops)
    assert found.predicted["dsp"] == 272
    assert found.predicted["clock_mhz"] == 300


def test_all_reports(built: Path) -> None:
    found = report(built)
    csynth = found.reported["csynth"]
    assert (csynth["dsp"], csynth["lut"], csynth["bram36"], csynth["uram"]) == (275, 70321, 65.5, 16)
    assert csynth["clock_mhz"] == 411.4
    assert csynth["latency_cycles"] is None  # "undef" is no number
    assert csynth["release"] == "2025.1"
    assert found.reported["implementation"] == {"lut": 68010, "ff": 59992, "bram36": 69.5, "uram": 16, "dsp": 272}
    assert (found.reported["cosim"]["status"], found.reported["cosim"]["latency_cycles"]) == ("Pass", 14804)
    assert found.reported["timing"]["worst_slack_ns"] == -0.12


def test_a_loop_that_missed_its_interval_is_marked(built: Path) -> None:
    loops = {loop.name: loop for loop in report(built).loops}
    assert (loops["select_step"].stated, loops["select_step"].reached) == (1, 2)
    assert [name for name, loop in loops.items() if loop.misses] == ["select_step"]
    assert (loops["dot_word"].modelled_depth, loops["dot_word"].depth) == (12, 14)


def test_a_loop_that_was_merged_with_another_is_found(built: Path) -> None:
    loops = {loop.name: loop for loop in report(built).loops}
    assert loops["gather_beat"].reached == 1


def test_intervals_that_are_not_known_are_named(built: Path) -> None:
    (sentence,) = [text for text in report(built).missing if "names no interval" in text]
    assert "load_beat" in sentence
    assert "dot_word" not in sentence


def test_reports_of_older_releases(project: Path) -> None:
    put(project, CLASSIC, "classic_csynth.xml", "vitforge_a3_csynth.xml")
    found = report(project)
    assert found.reported["csynth"]["dsp"] == 280
    assert found.reported["csynth"]["latency_cycles"] == 70123
    assert {loop.name: loop.reached for loop in found.loops}["dot_word"] == 1


def test_a_simulation_that_failed(project: Path) -> None:
    report_file = put(project, CLASSIC.replace("syn", "sim"), "cosim.rpt", "vitforge_a3_cosim.rpt")
    report_file.write_text(report_file.read_text().replace("Pass", "Fail").replace("14804", "NA"))
    cosim = report(project).reported["cosim"]
    assert (cosim["status"], cosim["latency_cycles"]) == ("Fail", None)


def test_a_report_under_another_name_is_known_by_its_content(project: Path) -> None:
    put(project, "vitis/build/hls/elsewhere", "classic_csynth.xml", "csynth.xml")
    assert report(project).reported["csynth"]["dsp"] == 280


def test_a_report_without_its_content_is_named(project: Path) -> None:
    put(project, "vitis/build/hls", "classic_csynth.xml", "vitforge_a3_csynth.xml").write_text("<profile/>")
    (sentence,) = [text for text in report(project).missing if "C synthesis" in text]
    assert sentence.endswith("vitforge_a3_csynth.xml has not what is in one")


def test_a_report_half_written_is_named_and_the_rest_is_shown(built: Path) -> None:
    path = next(built.rglob("vitforge_a3_csynth.xml"))
    path.write_text(path.read_text()[:400])
    found = report(built)
    assert any("vitforge_a3_csynth.xml is broken" in sentence for sentence in found.missing)
    assert found.reported["implementation"]["dsp"] == 272


@pytest.mark.parametrize(
    ("name", "what"),
    [("utilization.rpt", "utilisation"), ("timing_summary.rpt", "slack"), ("vitforge_a3_cosim.rpt", "simulation")],
)
def test_a_text_report_that_broke_off_is_named(name: str, what: str, built: Path) -> None:
    next(built.rglob(name)).write_text("| CLB LUTs")
    assert any(name in sentence and what in sentence for sentence in report(built).missing)


def test_another_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        report(tmp_path)


def test_command_prints_one_object(built: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    command = [sys.executable, "-m", "vitforge", "report", str(built), "--json", "--html", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"predicted", "reported", "loops", "missing"} <= json.loads(done.stdout).keys()
    assert page.exists()


def test_command_marks_what_missed(built: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "vitforge", "report", str(built)], capture_output=True, text=True)
    assert "MISSED" in done.stdout
    assert "timing is not met" in done.stdout


def test_a_page_that_cannot_be_written_is_a_sentence(built: Path) -> None:
    command = [sys.executable, "-m", "vitforge", "report", str(built), "--html", str(built / "no" / "r.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "r.html cannot be written" in done.stderr
