# SPDX-License-Identifier: Apache-2.0
"""An overlay for another board is refused before the first register access; a PC simulates those of all boards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitforge_host import A3, OverlayError, VitAccelerator, sim
from vitforge_host.board import board_name
from vitforge_host.sim import SimDevice


class Counting(SimDevice):
    """A simulated board that counts what reaches it."""

    reached = 0

    def mmap(self, base_addr: int, length: int) -> Any:
        self.reached += 1
        return super().mmap(base_addr, length)

    def get_bitfile_metadata(self, bitfile: str, partial: bool = False) -> Any:
        self.reached += 1
        return super().get_bitfile_metadata(bitfile, partial)

    def download(self, bitstream: Any, parser: Any = None) -> None:
        self.reached += 1
        super().download(bitstream, parser)


@pytest.fixture
def device() -> Counting:
    return Counting(ddr_bytes=1 << 24)


def test_another_board_is_refused_before_anything_reaches_it(
    make_overlay: Callable[..., str],
    blob_path: Path,
    make_a3: Callable[..., Any],
    device: Counting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    text = "is for the board zcu104, whose BOARD is ZCU104, and here BOARD is Pynq-Z2; generate and build"
    with pytest.raises(OverlayError, match=text):
        VitAccelerator(make_overlay(), blob_path, device)
    with pytest.raises(OverlayError, match=text):
        A3(make_a3()[0], device)
    assert device.reached == 0


@pytest.mark.parametrize("name", ["ZCU104", "zcu104", None])
def test_its_own_board_and_a_pc_are_not(
    make_overlay: Callable[..., str],
    blob_path: Path,
    device: Counting,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
) -> None:
    if name is None:
        monkeypatch.delenv("BOARD", raising=False)
    else:
        monkeypatch.setenv("BOARD", name)
    with VitAccelerator(make_overlay(), blob_path, device):
        assert device.reached > 0


def test_an_overlay_that_names_no_board_runs_anywhere(
    make_overlay: Callable[..., str], blob_path: Path, device: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARD", "KV260")
    bitfile = make_overlay()
    described = Path(bitfile).with_suffix(".vit.json")
    content = json.loads(described.read_text())
    described.write_text(json.dumps(content | {"pynq_board": None}))
    VitAccelerator(bitfile, blob_path, device).close()


def test_the_device_tree_tells_where_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.setattr(sim, "DEVICE_TREE", str(tmp_path))
    assert board_name() == ""
    (tmp_path / "chosen").mkdir()
    (tmp_path / "chosen" / "pynq_board").write_bytes(b"ZCU104\0")
    assert board_name() == "ZCU104"
    monkeypatch.setenv("BOARD", "KV260")
    assert board_name() == "KV260"


def test_a_remote_board_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Remote:
        capabilities = {"REMOTE": True}
        name = "ZCU104"

    monkeypatch.setenv("BOARD", "KV260")
    assert board_name(Remote()) == "ZCU104"
    Remote.name = "Unknown"
    assert board_name(Remote()) == ""
