# SPDX-License-Identifier: Apache-2.0
"""Boards: the facts that ship, a user's own file, and what a wrong one gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitforge.boards import RESOURCES, board_facts, list_boards, load_board, load_board_file
from vitforge.errors import ConfigError
from vitforge.resources import data_dir

SHIPPED = ["kv260", "pynq-z2", "rfsoc4x2", "ultra96v2", "zcu102", "zcu104", "zcu111"]
ZCU104 = (data_dir("boards") / "zcu104.toml").read_text()


def test_the_boards_that_ship() -> None:
    assert list_boards() == SHIPPED


def test_zcu104_is_the_zu7ev() -> None:
    board = load_board("zcu104")
    assert (board.part, board.dsp_family, board.ps) == ("xczu7ev-ffvc1156-2-e", "dsp48e2", "zynqmp")
    assert (board.lut, board.ff, board.bram36, board.uram, board.dsp) == (230_400, 460_800, 312, 96, 1_728)
    assert (board.axi_bits, board.clock_mhz, board.ddr_gbps) == (128, 300.0, 17.07)
    assert board.limit("dsp") == 1555  # 90 % of 1728, rounded down
    assert board.limit("bram36") == 249  # 80 % of 312


def test_pynq_z2_is_the_seven_series_board() -> None:
    board = load_board("pynq-z2")
    assert (board.dsp_family, board.ps, board.axi_bits, board.dsp) == ("dsp48e1", "zynq7000", 64, 220)


def test_an_unconfirmed_fact_is_left_out() -> None:
    assert load_board("rfsoc4x2").ddr_gbps is None
    assert load_board("zcu102").pynq_board is None


@pytest.mark.parametrize("name", SHIPPED)
def test_each_board_has_a_legal_default_clock_and_its_own_name(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.legal_clock(board.clock_mhz) == board.clock_mhz
    assert all(0 <= board.limit(resource) <= getattr(board, resource) for resource in RESOURCES)
    assert board_facts(board)["limits"]["dsp"] <= 0.9 * board.dsp


@pytest.mark.parametrize("mhz", [500, 375, 300, 250, 187.5, 166.66, 100, 75])
def test_clocks_that_divide_the_pll(mhz: float) -> None:
    assert load_board("zcu104").legal_clock(mhz) == mhz


def test_a_clock_that_does_not_exist_names_its_neighbours() -> None:
    with pytest.raises(ConfigError, match=r"200 does not exist on AMD ZCU104.*187\.498 and 214\.284 MHz"):
        load_board("zcu104").legal_clock(200)


@pytest.mark.parametrize("mhz", [0.1, 1600, float("inf"), float("nan"), -300])
def test_a_clock_out_of_range_names_the_range(mhz: float) -> None:
    with pytest.raises(ConfigError, match=r"outside what AMD ZCU104 can make: 0\.378 to 1499"):
        load_board("zcu104").legal_clock(mhz)


@pytest.mark.parametrize(("typed", "meant"), [("zcu14", "zcu104"), ("ZCU104", "zcu104"), ("pynqz2", "pynq-z2")])
def test_an_unknown_board_names_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown board '{typed}' .did you mean '{meant}'"):
        load_board(typed)


@pytest.mark.parametrize("name", ["../zcu104", "/etc/passwd", "", "zcu104\n", "{{ 7 }}"])
def test_a_board_name_is_no_path(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown board"):
        load_board(name)


def test_a_users_own_board(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(ZCU104.replace('name = "zcu104"', 'name = "mine"') + "\n[caps]\ndsp = 0.8\n")
    board = load_board_file(file)
    assert board.name == "mine"
    assert board.limit("dsp") == 1382
    assert board.limit("lut") == 161_280  # what [caps] leaves out keeps its default


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("uram = 96", "urm = 96", r"unknown key 'urm' \(did you mean 'uram'\?\)"),
        ("lut = 230_400", "lut = -4", "lut = -4 should be greater than or equal to 0"),
        ("lut = 230_400", 'lut = "many"', "lut = 'many' should be a valid integer"),
        ("lut = 230_400\n", "", "key 'lut' is missing"),
        ('"dsp48e2"', '"dsp58"', "dsp_family = 'dsp58' should be 'dsp48e1' or 'dsp48e2'"),
        ("axi_bits = 128", "axi_bits = 96", "axi_bits = 96 should be 64 or 128"),
        ("clock_mhz = 300.0", "clock_mhz = inf", "clock_mhz = inf should be a finite number"),
        ('name = "zcu104"', 'name = "../x"', "name = '../x': a board name is a lower-case letter"),
        ('"AMD ZCU104"', '"x\\ny"', r"title = 'x\\ny': String should match pattern"),
        ('"AMD ZCU104"', '"{{ x }}"', "title = '{{ x }}': String should match pattern"),
        ("-2-e", '-2-e; exec rm"', "is not a TOML file"),
        ("xczu7ev-ffvc1156-2-e", "xczu7ev; exec rm", "part = 'xczu7ev; exec rm': String should match pattern"),
    ],
)
def test_a_wrong_board_file_gets_one_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    assert old in ZCU104
    file.write_text(ZCU104.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        load_board_file(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("caps", "message"), [("dsp = 1.5", "less than or equal to 1"), ("dps = 0.5", "no resource 'dps'")]
)
def test_wrong_caps(tmp_path: Path, caps: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"{ZCU104}\n[caps]\n{caps}\n")
    with pytest.raises(ConfigError, match=message):
        load_board_file(file)


def test_a_missing_board_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read \(No such file"):
        load_board_file(tmp_path / "none.toml")
