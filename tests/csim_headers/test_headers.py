# SPDX-License-Identifier: Apache-2.0
"""Our csim headers give what AMD's give, and refuse what AMD's let pass."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vitforge.csim.build import build_executable, build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import OVERRIDE, find_amd_headers, own_headers
from vitforge.errors import CheckError, ToolError

HERE = Path(__file__).parent


@pytest.mark.parametrize("std", ["c++14", "c++17"])
def test_same_output_as_amds_headers(std: str) -> None:
    outputs = []
    for headers in (own_headers(), find_amd_headers()):
        program = build_executable(
            [HERE / "ap_int_program.cpp"], headers=headers, include_dirs=[], name="ap_int", opt="-O1", std=std
        )
        done = subprocess.run([str(program)], capture_output=True, text=True, check=True, timeout=60)
        outputs.append(done.stdout.splitlines())
    assert len(outputs[0]) > 3000
    assert outputs[0] == outputs[1]


@pytest.fixture(scope="module")
def faults() -> CsimLibrary:
    return CsimLibrary(build_shared([HERE / "faults.cpp"], headers=own_headers(), include_dirs=[], name="faults"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty_read", "empty stream numbers"),
        ("leftover", "stream numbers still holds 1 tokens"),
        ("range_outside", "bits 96 to 90 of a word of 96 bits"),
        ("range_backwards", "bits 7 to 8 of a word of 96 bits"),
        ("too_big_for_its_field", "256 does not fit a field of 8 bits"),
        ("negative_in_a_field", "-2 does not fit a field of 64 bits"),
        ("long_word_in_a_short_field", "does not fit a field of 128 bits"),
        ("word_in_a_short_field", "256 does not fit a field of 8 bits"),
        ("signed_word_in_a_short_field", "-129 does not fit a field of 8 bits"),
        ("long_field_in_a_short_field", "512 does not fit a field of 8 bits"),
        ("unsigned_compared_with_negative", "comparison of a negative value with an unsigned one"),
        ("negative_shift", "shift by -1 bits"),
    ],
)
def test_mistakes_are_named(faults: CsimLibrary, name: str, says: str) -> None:
    with pytest.raises(CheckError, match=says):
        faults.call(name)


def test_tokens_keep_their_order(faults: CsimLibrary) -> None:
    assert faults.call("tokens_in_order") == 0


def test_a_fault_does_not_stick(faults: CsimLibrary) -> None:
    with pytest.raises(CheckError):
        faults.call("leftover")
    assert faults.call("all_right") == 7


def test_where_amds_headers_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (OVERRIDE, "XILINX_HLS", "XILINX_VITIS"):
        monkeypatch.delenv(name, raising=False)
    package = find_amd_headers()
    assert package.origin == "package hls4ml"
    monkeypatch.setenv("XILINX_HLS", str(tmp_path / "vitis"))
    assert find_amd_headers() == package  # an installation without headers is passed over
    include = tmp_path / "vitis" / "include"
    include.mkdir(parents=True)
    for name in ("ap_int.h", "hls_stream.h"):
        (include / name).write_text("")
    assert find_amd_headers().origin == "$XILINX_HLS"
    monkeypatch.setenv(OVERRIDE, str(package.include_dirs[0]))
    assert find_amd_headers().origin == f"${OVERRIDE}"
    monkeypatch.setenv(OVERRIDE, str(tmp_path))
    with pytest.raises(ToolError, match=OVERRIDE):
        find_amd_headers()


def test_without_amds_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitforge.csim.headers.find_spec", lambda name: None)
    for name in (OVERRIDE, "XILINX_HLS", "XILINX_VITIS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ToolError, match="pip install") as caught:
        find_amd_headers()
    assert caught.value.exit_code == 3
