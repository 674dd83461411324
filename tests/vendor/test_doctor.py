# SPDX-License-Identifier: Apache-2.0
"""`vitforge doctor` on the vendor tools: found on PATH or below their variables, too old, missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from vendor.conftest import CLASSIC, UNIFIED, Tools
from vitforge import boards
from vitforge.doctor import Finding, examine


def findings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Finding]:
    for name in ("XILINX_VITIS", "XILINX_HLS", "XILINX_VIVADO"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return {finding.name: finding for finding in examine()}


def test_tools_on_the_path(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add(*UNIFIED).tell(versions={"v++": "v++ v2024.2 (64-bit)"})
    found = findings(monkeypatch, PATH=tools.environment["PATH"])
    assert found["v++"].detail == f"2024.2, {tools.folder / 'v++'}"
    assert not found["vivado"].found
    assert "XILINX_VIVADO" in found["vivado"].cure
    assert not found["vivado"].required


def test_a_tool_that_is_too_old_is_missing_with_the_reason(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add(*UNIFIED).tell(versions={"v++": "v++ v2022.2"})
    found = findings(monkeypatch, PATH=tools.environment["PATH"])
    assert not found["v++"].found
    assert "v++ is 2022.2, and 2024.1 is the oldest that works" in found["v++"].cure


def test_tools_below_the_variables_of_the_vendor(tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add(*CLASSIC)
    tools.folder.rename(tmp_path / "bin-of-vitis")
    (tmp_path / "Vitis").mkdir()
    (tmp_path / "bin-of-vitis").rename(tmp_path / "Vitis" / "bin")
    found = findings(monkeypatch, PATH="/usr/bin:/bin", XILINX_HLS=str(tmp_path / "Vitis"))
    assert found["vitis_hls"].detail == f"2025.1, {tmp_path / 'Vitis' / 'bin' / 'vitis_hls'}"


def test_a_board_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "zcu104" in findings(monkeypatch)["board files"].detail
    (tmp_path / "broken.toml").write_text("name = ")
    monkeypatch.setattr(boards, "data_dir", lambda name: tmp_path)
    found = findings(monkeypatch)["board files"]
    assert found.required and not found.found
    assert "broken.toml: is not a TOML file" in found.cure


def test_a_wheel_for_a_board_beside_vitforge_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(monkeypatch)["driver"].found
    folder = tmp_path / "vitforge_host-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: vitforge-host\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = findings(monkeypatch)["driver"]
    assert found.required and not found.found
    assert "pip uninstall vitforge-host" in found.cure
