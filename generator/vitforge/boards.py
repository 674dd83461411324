# SPDX-License-Identifier: Apache-2.0
"""Boards: the facts of `boards/*.toml`, and the share of each resource that a design may use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass

from vitforge.errors import ConfigError
from vitforge.names import NAME_RULE, is_name
from vitforge.resources import data_dir
from vitforge.validate import check, nearest, read_toml

RESOURCES = ("lut", "ff", "bram36", "uram", "dsp")
DEFAULT_CAPS: Mapping[str, float] = {"lut": 0.70, "ff": 0.50, "bram36": 0.80, "uram": 0.80, "dsp": 0.90}
"""Fraction of each resource that a design may use and still close timing (docs/decisions.md)."""

MAX_DIVISOR = 63  # of each of the two dividers between the PLL and a PL clock
_CLOCK_TOLERANCE = 5e-4  # relative: 187.5 means 1499.985 / 8

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
PartName = Annotated[str, Field(pattern=r"^[a-z0-9][a-zA-Z0-9-]{3,47}$")]
BoardPart = Annotated[str, Field(pattern=r"^[a-z0-9.]+:[a-zA-Z0-9_.-]+:[a-z0-9_]+$")]
OneLine = Annotated[str, Field(pattern=r"^[\w ().,;:/+-]{1,80}$")]
PynqBoard = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class Board:
    """One board. Raises pydantic's ``ValidationError`` on a bad value; `load_board` turns that into a sentence."""

    name: str  # short name on the command line
    title: OneLine  # as its maker writes it
    part: PartName  # device with package and speed grade, as the vendor tools take it
    dsp_family: Literal["dsp48e1", "dsp48e2"]
    ps: Literal["zynq7000", "zynqmp"]  # processing system
    lut: Count
    ff: Count
    bram36: Count  # block RAMs of 36 Kib
    uram: Count  # ultra RAMs of 288 Kib
    dsp: Count
    ddr_gbps: Positive | None = None  # peak of the PS DDR [GB/s]; None = not known to us
    axi_bits: Literal[64, 128]  # native width of a high-performance port
    hp_ports: Annotated[int, Field(ge=1, le=8)]
    pll_mhz: Positive  # the PLL that PL clocks are divided from, in the usual preset
    clock_mhz: Positive  # PL clock that a design gets unless told otherwise
    pynq_image: OneLine
    pynq_board: PynqBoard | None = None  # what the image's environment has as BOARD; None = not known to us
    board_part: BoardPart | None = None  # of Vivado's board files, without a version; a bitstream needs its preset
    caps: dict[str, Share] = field(default_factory=lambda: dict(DEFAULT_CAPS), hash=False)

    @field_validator("name")
    @classmethod
    def _name_is_safe(cls, name: str) -> str:
        if not is_name(name):
            raise ValueError(f"a board name is {NAME_RULE}")
        return name

    @field_validator("caps")
    @classmethod
    def _caps_are_complete(cls, caps: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(caps) - set(RESOURCES))
        if unknown:
            raise ValueError(f"no resource '{unknown[0]}'; caps are for {', '.join(RESOURCES)}")
        return {**DEFAULT_CAPS, **caps}

    def limit(self, resource: str) -> int:
        """How many of ``resource`` (one of `RESOURCES`) a design may use: the cap's share, rounded down."""
        return math.floor(getattr(self, resource) * self.caps[resource] + 1e-9)

    def legal_clocks(self) -> tuple[float, float]:
        """Lowest and highest PL clock [MHz] that the dividers can make."""
        return self.pll_mhz / MAX_DIVISOR**2, self.pll_mhz

    def legal_clock(self, mhz: float) -> float:
        """Return ``mhz`` [MHz] if the PS can make it, within 0.05 %.

        Raises
        ------
        ConfigError
            Otherwise, with the nearest clocks below and above: a PL clock is the PLL divided by d0 * d1, each 1 to 63.
        """
        lowest, highest = self.legal_clocks()
        if not (math.isfinite(mhz) and lowest * (1 - _CLOCK_TOLERANCE) <= mhz <= highest * (1 + _CLOCK_TOLERANCE)):
            raise ConfigError(
                f"clock_mhz = {mhz:g} is outside what {self.title} can make: {lowest:.3f} to {highest:g} MHz"
            )
        below = max(clock for clock in self._clocks() if clock <= mhz * (1 + _CLOCK_TOLERANCE))
        if below >= mhz * (1 - _CLOCK_TOLERANCE):
            return mhz
        above = min(clock for clock in self._clocks() if clock > mhz)
        raise ConfigError(
            f"clock_mhz = {mhz:g} does not exist on {self.title}, whose PLL of {self.pll_mhz:g} MHz is divided by "
            f"whole numbers; the nearest are {below:.3f} and {above:.3f} MHz"
        )

    def _clocks(self) -> set[float]:
        divisors = range(1, MAX_DIVISOR + 1)
        return {self.pll_mhz / (first * second) for first in divisors for second in divisors}


def load_board(name: str) -> Board:
    """The board ``name`` of `list_boards`; raises `ConfigError` with the nearest name if there is none."""
    path = data_dir("boards") / f"{name}.toml"
    if name not in list_boards():
        known = list_boards()
        raise ConfigError(f"unknown board {name!r}{nearest(name, known)}; boards are {', '.join(known)}")
    return load_board_file(path)


def load_board_file(path: Path) -> Board:
    """A board from a user's TOML file with the keys of those in `boards/`; raises `ConfigError`."""
    return check(Board, read_toml(path), str(path), {"": BOARD_KEYS, "caps": RESOURCES})


def list_boards() -> list[str]:
    """Names of the boards that ship, sorted."""
    return sorted(path.stem for path in data_dir("boards").glob("*.toml"))


def board_facts(board: Board) -> dict[str, Any]:
    """All fields of ``board``, and the limits that the caps leave, as plain data for ``--json``."""
    facts = {key: getattr(board, key) for key in BOARD_KEYS}
    return {**facts, "limits": {resource: board.limit(resource) for resource in RESOURCES}}


BOARD_KEYS = tuple(item.name for item in fields(Board))
