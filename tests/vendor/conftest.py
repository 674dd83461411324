# SPDX-License-Identifier: Apache-2.0
"""A project to build, and stubs of the vendor tools that leave what the tools would, or fail as they do."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vitforge.a3_generate import generate_a3
from vitforge.boards import load_board
from vitforge.config import A3Config, ProjectConfig

STUB = '''#!{python}
"""Stands for {name}: writes down how it was called, says what it was told to say, and leaves its products."""
import json, os, pathlib, signal, sys, time, zipfile
here = pathlib.Path(__file__).parent
told = json.loads((here / "told.json").read_text())
name = "{name}"
if sys.argv[1:] in (["--version"], ["-version"]):
    print(told.get("versions", {{}}).get(name, name + " v2025.1 (64-bit)"))
    sys.exit(0)
vitis = pathlib.Path.cwd().parent / "vitis"
build = vitis / "build"
if name == "v++":
    step = "csynth"
elif name == "vitis-run":
    step = "cosim" if "--cosim" in sys.argv else "ip"
elif name == "vitis_hls":
    step = (build / "options.tcl").read_text().split("{{")[1].split("}}")[0]
else:
    step = "bitstream"
with open(here / "calls.jsonl", "a") as file:
    file.write(json.dumps({{"step": step, "argv": [name, *sys.argv[1:]], "cwd": os.getcwd()}}) + "\\n")
says = told.get(step, {{}})
print(says.get("says", "INFO: " + step), flush=True)
if says.get("hangs"):
    (here / "hangs").touch()
    time.sleep(60)
if says.get("signal"):
    os.kill(os.getpid(), says["signal"])
if says.get("code"):
    sys.exit(says["code"])
work = build / ("vitis_hls/solution1" if name == "vitis_hls" else "hls/hls")
if says.get("leaves", True):
    if step == "csynth":
        report = work / "syn" / "report" / "vitforge_a3_csynth.xml"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(says.get("report", "<profile/>"))
    elif step == "cosim":
        report = work / "sim" / "report" / "vitforge_a3_cosim.rpt"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(says.get("report", "|   Verilog|      Pass|   90|   95|   100|   NA|   NA|   NA|   250|"))
    elif step == "ip":
        ip = work / "impl" / "ip"
        ip.mkdir(parents=True, exist_ok=True)
        (ip / "component.xml").write_text("<component/>")
    elif step == "bitstream":
        handoff = says.get("handoff") or (vitis.parent / "overlay" / "vitforge.hwh").read_text()
        with zipfile.ZipFile(build / "vitforge.xsa", "w") as xsa:
            xsa.writestr("vitforge.bit", bytes.fromhex(says.get("bit", "00090ff0")) + b"built")
            xsa.writestr("vitforge.hwh", handoff)
            xsa.writestr("blocks/vitforge_smartconnect_0.hwh", "<EDKSYSTEM/>")
        if says.get("breaks_off"):
            os.truncate(build / "vitforge.xsa", 40)
'''
UNIFIED, CLASSIC, VIVADO = ("v++", "vitis-run"), ("vitis_hls",), ("vivado",)


@dataclass
class Tools:
    """Stub tools in a folder; ``told`` says what each step does."""

    folder: Path
    told: dict[str, object] = field(default_factory=dict)

    def add(self, *names: str) -> Tools:
        for name in names:
            path = self.folder / name
            path.write_text(STUB.format(python=sys.executable, name=name))
            path.chmod(0o755)
        return self.tell()

    def tell(self, **told: object) -> Tools:
        self.told |= told
        (self.folder / "told.json").write_text(json.dumps(self.told))
        return self

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}:/usr/bin:/bin"}

    def calls(self) -> list[dict]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def steps(self) -> list[str]:
        return [call["step"] for call in self.calls()]


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Tools(folder).tell()


def small_project(directory: Path, n_max: int = 32) -> Path:
    config = ProjectConfig(kernel="a3", a3=A3Config(n_max=n_max, d_max=16))
    return generate_a3(board=load_board("zcu104"), output=directory, config=config).directory


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_project(tmp_path_factory.mktemp("vendor") / "a3")


@pytest.fixture
def project(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "a3"))
