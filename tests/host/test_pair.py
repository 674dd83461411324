# SPDX-License-Identifier: Apache-2.0
"""Files that do not belong together are refused before anything is written to hardware."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitforge_host import IdentityError, OverlayError, VitAccelerator
from vitforge_host.pair import BitHeader, check_pair, check_part, checksum_file, read_header
from vitforge_host.sim import SimDevice

ZCU104 = ("zynquplus", "xczu7ev", "ffvc1156", "-2-e")
PYNQ_Z2 = ("zynq", "7z020", "clg400", "-1")


class Untouchable(SimDevice):
    """A board on which each register access fails the test."""

    def mmap(self, base_addr: int, length: int) -> Any:
        raise AssertionError("a register was touched")

    def download(self, bitstream: Any, parser: Any = None) -> None:
        raise AssertionError("the bitstream was loaded")


@pytest.fixture
def untouchable() -> SimDevice:
    return Untouchable(ddr_bytes=1 << 20)


def bit(part: str, design: str = "vitforge_wrapper;UserID=0XFFFFFFFF;Version=2024.1") -> bytes:
    """The start of a `.bit`, field by field as Vivado writes it."""
    fields = [(b"a", design), (b"b", part), (b"c", "2026/01/02"), (b"d", "03:04:05")]
    out = bytes.fromhex("00090ff00ff00ff00ff0000001")
    for letter, text in fields:
        value = text.encode() + b"\0"
        out += letter + len(value).to_bytes(2, "big") + value
    return out + b"e" + (8).to_bytes(4, "big") + b"\xff" * 8


def hwh(arch: str, device: str, package: str, grade: str) -> str:
    info = f'ARCH="{arch}" DEVICE="{device}" NAME="vitforge" PACKAGE="{package}" SPEEDGRADE="{grade}"'
    return f"<EDKSYSTEM><SYSTEMINFO {info}/></EDKSYSTEM>"


@pytest.fixture
def pair(tmp_path: Path) -> Callable[[bytes, str], Path]:
    def write(bitstream: bytes, handoff: str) -> Path:
        (tmp_path / "x.hwh").write_text(handoff)
        (tmp_path / "x.bit").write_bytes(bitstream)
        return tmp_path / "x.bit"

    return write


@pytest.mark.parametrize(
    ("part", "info"), [("xczu7ev-ffvc1156-2-e", ZCU104), ("7z020clg400", PYNQ_Z2), ("xc7z020clg400-1", PYNQ_Z2)]
)
def test_files_of_one_part_go_together(pair: Callable[..., Path], part: str, info: tuple[str, ...]) -> None:
    path = pair(bit(part), hwh(*info))
    assert read_header(path) == BitHeader("vitforge_wrapper", part)
    check_pair(path)


@pytest.mark.parametrize("part", ["xczu3eg-sbva484-1-e", "xczu7eg-ffvc1156-2-e", "7z020clg400"])
def test_a_bitstream_for_another_part_is_refused(
    pair: Callable[..., Path], part: str, untouchable: SimDevice, blob_path: Path
) -> None:
    path = pair(bit(part), hwh(*ZCU104))
    with pytest.raises(OverlayError, match=f"x.bit is for part {part}, and x.hwh beside it for xczu7ev"):
        VitAccelerator(path, blob_path, untouchable)


def test_a_bitstream_must_be_for_the_part_of_the_board(pair: Callable[..., Path]) -> None:
    path = pair(bit("7z020clg400"), hwh(*PYNQ_Z2))
    check_part(path, "xc7z020clg400-1")
    with pytest.raises(OverlayError, match="x.bit is for part 7z020clg400, and the board has xczu7ev-ffvc1156-2-e"):
        check_part(path, "xczu7ev-ffvc1156-2-e")


def test_what_has_no_header_is_left_to_pynq(pair: Callable[..., Path], tmp_path: Path) -> None:
    check_pair(pair(b"a .bin has none", hwh(*ZCU104)))
    check_pair(pair(bit("xczu7ev-ffvc1156-2-e"), "not XML"))
    (tmp_path / "x.hwh").unlink()
    check_pair(tmp_path / "x.bit")


def test_listed_checksums_must_hold(
    pair: Callable[..., Path], tmp_path: Path, untouchable: SimDevice, blob_path: Path
) -> None:
    path = pair(bit("xczu7ev-ffvc1156-2-e"), hwh(*ZCU104))
    (tmp_path / "x.sha256").write_text(checksum_file(path))
    subprocess.run(["sha256sum", "--check", "x.sha256"], cwd=tmp_path, check=True, capture_output=True)
    check_pair(path)
    (tmp_path / "x.hwh").write_text(hwh(*ZCU104).replace("vitforge", "other"))  # of another build of the same part
    with pytest.raises(OverlayError, match="x.hwh is not the file that x.sha256 beside it lists; copy all files"):
        VitAccelerator(path, blob_path, untouchable)
    (tmp_path / "x.sha256").write_text("nonsense")
    with pytest.raises(OverlayError, match="x.bit is not the file that x.sha256"):
        check_pair(path)


def test_a_blob_of_another_design_is_refused(
    make_overlay: Callable[..., str], blob_path: Path, untouchable: SimDevice
) -> None:
    bitfile = make_overlay()
    described = Path(bitfile).with_suffix(".vit.json")
    content = json.loads(described.read_text())
    described.write_text(json.dumps(content | {"design_hash": "00" * 32}))
    with pytest.raises(IdentityError, match="for design 0{16}…, the weight blob for design .*same generated project"):
        VitAccelerator(bitfile, blob_path, untouchable)
    for damaged in ("{", "[]", '{"kernel": "vit"}'):
        described.write_text(damaged)
        with pytest.raises(OverlayError, match=r"vitforge.vit.json does not describe an overlay"):
            VitAccelerator(bitfile, blob_path, untouchable)


def test_without_a_description_the_hardware_tells(
    make_overlay: Callable[..., str], blob_path: Path, thread_device: SimDevice
) -> None:
    bitfile = make_overlay(HASH_LO="0x12345678u")
    Path(bitfile).with_suffix(".vit.json").unlink()
    with pytest.raises(IdentityError, match="built for design 78563412"):
        VitAccelerator(bitfile, blob_path, thread_device)


def test_a_stub_of_another_hwh_is_refused(
    make_overlay: Callable[..., str], blob_path: Path, untouchable: SimDevice
) -> None:
    bitfile = make_overlay()
    handoff = Path(bitfile).with_suffix(".hwh")
    handoff.write_text(handoff.read_text() + "\n")
    with pytest.raises(OverlayError, match="was made for another vitforge.hwh than the one beside it"):
        VitAccelerator(bitfile, blob_path, untouchable)
