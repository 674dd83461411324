# SPDX-License-Identifier: Apache-2.0
"""``python -m vitforge_host doctor`` on what looks like a board."""

from __future__ import annotations

import os

import pytest

from vitforge_host import sim
from vitforge_host.__main__ import main
from vitforge_host.doctor import examine
from vitforge_host.finding import Finding, missing


@pytest.fixture
def on_board(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(sim, "on_board", lambda: True)
    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setenv("XILINX_XRT", "/usr")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return monkeypatch


def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in examine()}


def test_a_board_where_nothing_is_missing(on_board: pytest.MonkeyPatch) -> None:
    found = findings()
    assert (found["BOARD"].detail, found["XILINX_XRT"].detail) == ("ZCU104", "/usr")
    assert missing(list(found.values())) == []


def test_each_finding_has_its_cure(on_board: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_board.delenv("BOARD")
    on_board.delenv("XILINX_XRT")
    on_board.setattr(os, "geteuid", lambda: 1000)
    found = findings()
    assert [finding.name for finding in missing(list(found.values()))] == ["root", "XILINX_XRT"]
    assert "in Jupyter" in found["root"].cure and "XILINX_XRT=/usr" in found["XILINX_XRT"].cure
    assert not found["BOARD"].found and "export BOARD" in found["BOARD"].cure
    assert main(["doctor"]) == 3
    assert "MISSING root" in capsys.readouterr().out


def test_without_an_overlay_it_says_how_to_get_one() -> None:
    assert "vitforge package" in findings()["overlays"].cure
