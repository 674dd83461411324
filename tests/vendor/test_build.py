# SPDX-License-Identifier: Apache-2.0
"""`vitforge build` with stubs of the vendor tools: which commands run, what is kept, and what a failure says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vendor.conftest import CLASSIC, UNIFIED, VIVADO, Tools, small_project
from vitforge.errors import CheckError, ConfigError, ToolError
from vitforge.vendor.runner import STATE, BuildError, build
from vitforge_host.errors import OverlayError
from vitforge_host.pair import check_pair

HLS = ["--config", "hls_config.cfg", "--work_dir", "../vitis/build/hls"]


def statuses(project: Path, tools: Tools, until: str = "bitstream", force: bool = False) -> dict[str, str]:
    result = build(project, until=until, force=force, environment=tools.environment)
    return {step.name: step.status for step in result.steps}


def failure(project: Path, tools: Tools, until: str = "bitstream") -> BuildError:
    with pytest.raises(BuildError) as caught:
        build(project, until=until, environment=tools.environment)
    return caught.value


def test_the_way_to_a_bitstream(project: Path, tools: Tools) -> None:
    result = build(project, environment=tools.add(*UNIFIED, *VIVADO).environment)
    assert [(call["argv"], Path(call["cwd"]).name) for call in tools.calls()] == [
        (["v++", "--compile", "--mode", "hls", *HLS], "hls"),
        (["vitis-run", "--mode", "hls", "--package", *HLS], "hls"),
        (["vivado", "-mode", "batch", "-nojournal", "-nolog", "-source", "bitstream.tcl"], "vitis"),
    ]
    assert (project / "overlay/vitforge.bit").read_bytes().endswith(b"built")
    check_pair(project / "overlay/vitforge.bit")
    assert result.outputs["bitstream"] == str(project / "overlay/vitforge.bit")
    assert (project / "vitis/build/ip/component.xml").exists()
    recorded = json.loads((project / STATE).read_text())
    assert recorded["tools"]["vivado"]["version"] == "2025.1"
    assert "INFO: csynth" in Path(result.steps[0].log).read_text()


def test_files_of_two_builds_are_refused_before_they_are_loaded(project: Path, tools: Tools) -> None:
    build(project, environment=tools.add(*UNIFIED, *VIVADO).environment)
    handoff = project / "overlay/vitforge.hwh"
    handoff.write_text(handoff.read_text() + "<!-- another -->")
    with pytest.raises(OverlayError, match=r"vitforge.hwh is not the file that vitforge.sha256 beside it lists"):
        check_pair(project / "overlay/vitforge.bit")


def test_cosim_follows_synthesis_and_exports_nothing(project: Path, tools: Tools) -> None:
    assert statuses(project, tools.add(*UNIFIED), "cosim") == {"csynth": "done", "cosim": "done"}


def test_old_releases_are_driven_by_tcl(project: Path, tools: Tools) -> None:
    tools.add(*CLASSIC, *VIVADO).tell(versions={"vitis_hls": "Vitis HLS v2022.1"})
    assert statuses(project, tools)["bitstream"] == "done"
    assert [call["argv"] for call in tools.calls()[:2]] == 2 * [["vitis_hls", "-f", "run_hls.tcl"]]
    assert tools.steps() == ["csynth", "ip", "bitstream"]


def test_new_commands_come_first(project: Path, tools: Tools) -> None:
    statuses(project, tools.add(*UNIFIED, *CLASSIC), "csynth")
    assert tools.calls()[0]["argv"][0] == "v++"


def test_a_release_that_is_too_old_for_them_falls_back(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED, *CLASSIC).tell(versions={"v++": "v++ v2023.1", "vitis_hls": "vitis_hls v2023.1"})
    statuses(project, tools, "csynth")
    assert tools.calls()[0]["argv"][0] == "vitis_hls"


@pytest.mark.parametrize("variable", ["XILINX_VITIS", "XILINX_HLS"])
def test_tools_are_found_below_the_variables_of_the_vendor(variable: str, project: Path, tools: Tools) -> None:
    tools.add(*CLASSIC)
    home = tools.folder.parent / "Vitis"
    home.mkdir()
    shutil.copytree(tools.folder, home / "bin")
    result = build(project, until="csynth", environment={"PATH": "/usr/bin:/bin", variable: str(home)})
    assert result.steps[0].status == "done"


def test_a_second_build_keeps_what_is_done(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED, *VIVADO)
    statuses(project, tools, "csynth")
    assert statuses(project, tools) == {"csynth": "kept", "ip": "done", "bitstream": "done"}
    assert set(statuses(project, tools).values()) == {"kept"}
    assert tools.steps() == ["csynth", "ip", "bitstream"]


def test_a_changed_source_runs_all_again(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED, *VIVADO)
    statuses(project, tools)
    source = project / "hls/src/vitforge_a3.cpp"
    source.write_text(source.read_text() + "// changed\n")
    assert set(statuses(project, tools).values()) == {"done"}


def test_force_runs_all_again(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED)
    statuses(project, tools, "ip")
    assert set(statuses(project, tools, "ip", force=True).values()) == {"done"}


def test_a_product_that_was_deleted_is_made_again(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED)
    statuses(project, tools, "csynth")
    shutil.rmtree(project / "vitis/build/hls")
    assert statuses(project, tools, "csynth") == {"csynth": "done"}


def test_a_build_goes_on_behind_the_last_good_step(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED, *VIVADO).tell(bitstream={"code": 1, "says": "ERROR: [Place 30-99] no room"})
    failure(project, tools)
    tools.tell(bitstream={})
    assert statuses(project, tools) == {"csynth": "kept", "ip": "kept", "bitstream": "done"}


def test_generating_again_keeps_what_is_built(tmp_path: Path, tools: Tools) -> None:
    tools.add(*UNIFIED)
    statuses(small_project(tmp_path / "a3"), tools, "ip")
    assert set(statuses(small_project(tmp_path / "a3"), tools, "ip").values()) == {"kept"}
    assert set(statuses(small_project(tmp_path / "a3", n_max=64), tools, "ip").values()) == {"done"}


def test_what_an_earlier_run_left_does_not_pass_for_a_result(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED, *VIVADO)
    statuses(project, tools)
    for step in ("csynth", "ip", "bitstream"):
        tools.tell(**{step: {"leaves": False}})
        with pytest.raises(BuildError, match=f"{step} failed: it left no"):
            build(project, force=True, environment=tools.environment)
        tools.tell(**{step: {}})


@pytest.mark.parametrize("damage", ["not json", "{}", '{"steps": {"csynth": {"name": 1}}}', '{"steps": []}'])
def test_a_broken_state_is_none(damage: str, project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED)
    statuses(project, tools, "csynth")
    (project / STATE).write_text(damage)
    assert statuses(project, tools, "csynth") == {"csynth": "done"}


# --- what is missing -------------------------------------------------------------------------------------


def test_without_tools_nothing_runs(project: Path, tools: Tools) -> None:
    with pytest.raises(ToolError, match=r"no Vitis HLS was found: v\+\+ is not on PATH.*source its settings64.sh"):
        build(project, environment=tools.environment)
    assert not (project / "vitis/build").exists()


def test_without_vivado_no_step_of_a_bitstream_runs(project: Path, tools: Tools) -> None:
    with pytest.raises(ToolError, match="a bitstream needs Vivado: vivado is not on PATH"):
        build(project, environment=tools.add(*UNIFIED).environment)
    assert tools.calls() == []


def test_a_wrong_version_is_named(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED).tell(versions={"v++": "v++ v2023.1"})
    with pytest.raises(ToolError, match=r"v\+\+ is 2023.1 and must be 2024.1 or newer"):
        build(project, until="csynth", environment=tools.environment)


def test_another_directory_is_refused(tmp_path: Path, tools: Tools) -> None:
    with pytest.raises(ConfigError):
        build(tmp_path, environment=tools.add(*UNIFIED, *VIVADO).environment)
    assert tools.calls() == []


# --- what fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"code": 1, "says": "ERROR: [Common 17-345] A valid license was not found"}, "XILINXD_LICENSE_FILE"),
        ({"code": 1, "says": "ERROR: std::bad_alloc"}, "ran out of memory"),
        ({"signal": 9}, "it was killed; most often memory ran out"),
        ({"code": 137}, "it was killed; most often memory ran out"),
        ({"signal": 15}, "it was ended by SIGTERM, and its log names no error"),
        ({"code": 1, "says": "ERROR: [HLS 200-1023] Part 'xczu7ev' is not installed."}, "add its family"),
        ({"code": 3, "says": "INFO: nothing to see"}, "it ended with exit code 3, and its log names no error"),
        ({"code": 1, "says": "ERROR: [HLS 207-2163] width 18360 > 8191"}, 'it said "ERROR: [HLS 207-2163] width 18360'),
        ({"leaves": False}, "it left no csynth.xml report"),
        ({"report": "<profile><Part>"}, "csynth.xml is broken"),
        ({"code": 1, "says": "ERROR: [Common 17-70] no space left on device"}, "the disk is full"),
    ],
)
def test_why_synthesis_failed(told: dict, message: str, project: Path, tools: Tools) -> None:
    error = failure(project, tools.add(*UNIFIED).tell(csynth=told), "csynth")
    first, *last = str(error).splitlines()
    assert first.startswith("csynth failed: ")
    assert message in first
    assert "vitis/build/logs/csynth.log" in first
    assert any(line.strip() in told.get("says", "INFO: csynth") for line in last)
    assert error.exit_code == 3
    assert [step.status for step in error.result.steps] == ["failed"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"leaves": False}, "it left no cosim.rpt report"),
        (
            {"report": "|   Verilog|      Fail|   NA|   NA|   NA|"},
            r"the RTL does not do what the C\+\+ does: .*says Fail",
        ),
        ({"report": "|      VHDL|   NA|   NA|   NA|   NA|\n|   Veri"}, "does not say how the simulation went"),
        ({"code": 1, "says": "ERROR: [COSIM 212-360] ended with result -1"}, r"it said .ERROR: \[COSIM 212-360\]"),
    ],
)
def test_why_cosimulation_failed(told: dict, message: str, project: Path, tools: Tools) -> None:
    statuses(project, tools.add(*UNIFIED), "cosim")
    (project / STATE).unlink()
    assert re.search(message, str(failure(project, tools.tell(cosim=told), "cosim")))


def test_export_of_releases_that_died_of_the_year_2022(project: Path, tools: Tools) -> None:
    said = "ERROR: '2211211530' is an invalid argument. Please specify an integer value: bad lexical cast"
    error = failure(project, tools.add(*UNIFIED).tell(ip={"code": 1, "says": said}), "ip")
    assert "AR 76960" in str(error)


def test_an_export_without_an_ip_is_a_failure(project: Path, tools: Tools) -> None:
    error = failure(project, tools.add(*UNIFIED).tell(ip={"leaves": False}), "ip")
    assert "it left no IP" in str(error)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"code": 1, "says": "ERROR: vitforge: timing is not met by 0.4 ns"}, "lower clock_mhz"),
        ({"code": 1, "says": "ERROR: [Board 49-71] The board_part definition was not found"}, "board files"),
        ({"leaves": False}, "it left no vitforge.xsa"),
    ],
)
def test_why_a_bitstream_failed(told: dict, message: str, project: Path, tools: Tools) -> None:
    assert message in str(failure(project, tools.add(*UNIFIED, *VIVADO).tell(bitstream=told)))


def test_a_platform_that_broke_off_is_a_failure(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED, *VIVADO).tell(bitstream={"breaks_off": True})
    assert "vitforge.xsa is broken" in str(failure(project, tools))


def test_the_handoff_of_another_design_is_refused(project: Path, tools: Tools) -> None:
    before = (project / "overlay/vitforge.hwh").read_bytes()
    moved = before.decode().replace('NAME="ADDRESS_OFFSET" VALUE="16"', 'NAME="ADDRESS_OFFSET" VALUE="24"')
    tools.add(*UNIFIED, *VIVADO).tell(bitstream={"handoff": moved})
    with pytest.raises(CheckError, match="register op of vitforge:hls:vitforge_a3:1.0 lies elsewhere"):
        build(project, environment=tools.environment)
    tools.tell(bitstream={"handoff": "<EDKSYSTEM/>"})
    with pytest.raises(CheckError, match="has no vitforge:hls:vitforge_a3:1.0; it is of another project"):
        build(project, force=True, environment=tools.environment)
    tools.tell(bitstream={"bit": "00000000"})
    with pytest.raises(CheckError, match=r"is no \.bit file"):
        build(project, force=True, environment=tools.environment)
    assert (project / "overlay/vitforge.hwh").read_bytes() == before


# --- from outside ----------------------------------------------------------------------------------------


def command(project: Path, tools: Tools, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "vitforge", "build", str(project), *arguments]


def test_json_is_one_object_even_when_a_step_fails(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED).tell(csynth={"code": 1, "says": "ERROR: [HLS 200-1] no"})
    done = subprocess.run(
        command(project, tools, "--until", "csynth", "--json"),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | tools.environment,
    )
    assert done.returncode == 3
    (step,) = json.loads(done.stdout)["steps"]
    assert (step["name"], step["status"]) == ("csynth", "failed")
    assert done.stderr.startswith("vitforge: csynth failed: ")


def test_an_interrupted_build_ends_its_tool_and_goes_on_later(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED).tell(ip={"hangs": True})
    running = subprocess.Popen(
        command(project, tools, "--until", "ip"), stderr=subprocess.PIPE, env=os.environ | tools.environment
    )
    deadline = time.monotonic() + 60
    while not (tools.folder / "hangs").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert (running.returncode, said.strip()) == (130, b"vitforge: interrupted")
    assert json.loads((project / STATE).read_text())["steps"]["ip"]["status"] == "interrupted"
    tools.tell(ip={})
    assert statuses(project, tools, "ip") == {"csynth": "kept", "ip": "done"}
