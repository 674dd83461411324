# SPDX-License-Identifier: Apache-2.0
"""`make -C vitis`, the build without vitforge: the same command lines, and the end at a failure."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from vendor.conftest import CLASSIC, UNIFIED, VIVADO, Tools
from vitforge.vendor.runner import build
from vitforge_host.pair import check_pair


@pytest.mark.parametrize("flow", [UNIFIED, CLASSIC], ids=["unified", "classic"])
def test_make_runs_the_same_commands(flow: tuple[str, ...], project: Path, tools: Tools) -> None:
    for name in ("bitstream.tcl", "block_design.tcl"):
        (project / "vitis" / name).touch()
    tools.add(*flow, *VIVADO)
    make = ["make", "--no-print-directory", "-C", str(project / "vitis"), "bitstream"]
    subprocess.run(make, check=True, capture_output=True, env=os.environ | tools.environment)
    check_pair(project / "overlay/vitforge.bit")
    by_make = [(call["argv"], call["cwd"]) for call in tools.calls()]
    assert (project / "overlay/vitforge.bit").read_bytes().endswith(b"built")
    build(project, force=True, environment=tools.environment)
    assert [(call["argv"], call["cwd"]) for call in tools.calls()[len(by_make) :]] == by_make


def test_make_names_a_tool_that_is_not_there(project: Path, tools: Tools) -> None:
    make = ["make", "-C", str(project / "vitis"), "csynth"]
    done = subprocess.run(make, capture_output=True, text=True, env=os.environ | tools.environment)
    assert done.returncode != 0
    assert "vitforge: there is no vitis_hls on PATH; source the settings64.sh of Vitis first" in done.stderr


def test_make_stops_at_a_failure(project: Path, tools: Tools) -> None:
    tools.add(*UNIFIED).tell(csynth={"code": 1})
    make = ["make", "-C", str(project / "vitis"), "ip"]
    assert subprocess.run(make, capture_output=True, env=os.environ | tools.environment).returncode != 0
    assert tools.steps() == ["csynth"]
