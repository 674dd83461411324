# SPDX-License-Identifier: Apache-2.0
"""`A3Design`: everything about one A3 overlay (Ham et al., HPCA 2020) that C++, driver and reports must agree on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property

from vitforge.boards import Board
from vitforge.design.a3_numbers import A3Numbers
from vitforge.design.geometry import ceil_div
from vitforge.design.registers import Argument, Register, register_map
from vitforge.design.rules import PACKING_DEPTH
from vitforge.errors import ConfigError

A3_TOP = "vitforge_a3"
A3_MAGIC = 0x56464133  # "VFA3"
A3_VERSION = 1  # of registers and packets
LANES = 2  # queries that candidates are selected for at a time: a pair
PORTS = 2  # rows that the memories of key and value give in a cycle: products of both with the query share a DSP
GROUP = 16  # rows that are filtered, or compared with the threshold, in a cycle
QUEUE = 4  # products of a column that candidate selection has ready: the cycles until a popped one is replaced
DSP_LANES = {"dsp48e1": (17, 25), "dsp48e2": (18, 27)}  # place of the upper operand of a pair, width of the port [bits]
OPERATIONS = {"identify": 0, "load": 1, "query": 2}

A3_ARGUMENTS: tuple[Argument, ...] = (
    Argument(name="op", kind="i32", description="0 identify, 1 load keys and values, 2 query"),
    Argument(name="n", kind="i32", description="rows of key and value"),
    Argument(name="d", kind="i32", description="elements of a row"),
    Argument(name="m", kind="i32", description="iterations of candidate selection; 0 takes all rows"),
    Argument(name="threshold", kind="i32", description="largest distance from the maximum that is kept, raw"),
    Argument(name="scale_mult", kind="i32", description="scale after the dot product: multiplier"),
    Argument(name="scale_shift", kind="i32", description="scale after the dot product: right shift"),
    Argument(name="pairs", kind="i32", description="pairs of queries in the packet"),
    Argument(name="single_from", kind="i32", description="pairs from this one on have one query"),
    Argument(name="unit_mask", kind="i32", description="units that take the rows of a load"),
    Argument(name="status", kind="out32", description="bit 0: packet too short, bit 1: packet too long"),
    Argument(name="candidates", kind="out32", description="rows that selection left, summed over the queries"),
    Argument(name="kept", kind="out32", description="rows that post-scoring left, summed over the queries"),
    Argument(name="cycles", kind="out32", description="cycles of the busiest stage of the busiest unit"),
    Argument(name="magic", kind="out32", description="0x56464133, the letters VFA3"),
    Argument(name="version", kind="out32", description="format version of registers and packets"),
    Argument(name="hash_lo", kind="out32", description="design hash, bytes 0 to 3"),
    Argument(name="hash_hi", kind="out32", description="design hash, bytes 4 to 7"),
)


@dataclass(frozen=True, kw_only=True)
class A3Design:
    """Shapes and widths of an overlay of ``units`` equal A3 pipelines.

    n_max, d_max : largest key (n, d) that fits; both are run-time values
    width : elements of a row in a cycle; a longer row takes several
    approximate : whether there is candidate selection
    """

    name: str
    board: Board
    clock_mhz: float
    n_max: int = 512
    d_max: int = 64
    width: int = 64
    units: int = 1
    approximate: bool = True
    numbers: A3Numbers = field(default_factory=A3Numbers)

    def __post_init__(self) -> None:
        limits = {"n_max": (self.n_max, 1, 4096), "d_max": (self.d_max, 1, 512), "units": (self.units, 1, 16)}
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}; an A3 design takes {low} to {high}")
        if self.width < self.per_beat or self.width > 128 or self.width % self.per_beat:
            raise ConfigError(
                f"width is {self.width}; it must be a multiple of the {self.per_beat} elements of a beat, at most 128"
            )

    # --- packets -------------------------------------------------------------------------------------
    @property
    def axi_bits(self) -> int:
        """Width of the AXI4-Stream ports."""
        return self.board.axi_bits

    @property
    def beat_bytes(self) -> int:
        return self.axi_bits // 8

    @property
    def element_bytes(self) -> int:
        """Of a query, key or value element in a packet."""
        return 1 if self.numbers.code_bits <= 8 else 2

    @property
    def per_beat(self) -> int:
        """Elements of a beat."""
        return self.beat_bytes // self.element_bytes

    @property
    def result_per_beat(self) -> int:
        return self.beat_bytes // self.numbers.result_bytes

    @property
    def sorted_per_beat(self) -> int:
        """Entries of the sorted key (row and value, 32 bits) of a beat."""
        return self.beat_bytes // 4

    # --- geometry --------------------------------------------------------------------------------------
    @cached_property
    def row_words(self) -> int:
        """Cycles of the longest row."""
        return ceil_div(self.d_max, self.width)

    @property
    def columns(self) -> int:
        """Columns of the sorted key: d_max in whole beats."""
        return ceil_div(self.d_max, self.per_beat) * self.per_beat

    @property
    def m_max(self) -> int:
        """Most iterations of candidate selection: as many as rows, the largest that the paper tries."""
        return self.n_max if self.approximate else 0

    @property
    def row_bits(self) -> int:
        return max(1, (self.n_max - 1).bit_length())

    @property
    def group_words(self) -> int:
        """Words of GROUP rows."""
        return ceil_div(self.n_max, GROUP)

    # --- widths ----------------------------------------------------------------------------------------
    @property
    def product_bits(self) -> int:
        """Signed width of a product of two codes; its smallest value is no product and marks an exhausted column."""
        return 2 * (self.numbers.code_bits - 1) + 1

    @property
    def dot_bits(self) -> int:
        """Signed width of a dot product."""
        return (self.numbers.limit**2 * self.d_max).bit_length() + 1

    @property
    def total_bits(self) -> int:
        """Signed width of what a pointer adds to a row, and of the sum of all products accepted so far."""
        return (self.numbers.limit**2 * max(1, self.m_max)).bit_length() + 1

    @property
    def sum_bits(self) -> int:
        """Unsigned width of a sum of scores."""
        return (self.numbers.score_limit * self.n_max).bit_length()

    @property
    def acc_bits(self) -> int:
        """Signed width of an accumulator of the output."""
        return (self.numbers.score_limit * self.numbers.limit * self.n_max).bit_length() + 1

    @cached_property
    def packing_depth(self) -> int:
        """Products of two rows that a cascade of DSPs sums before it is split; 0 where a pair does not fit a DSP."""
        (shift, port), limit = DSP_LANES[self.board.dsp_family], self.numbers.limit
        if (limit << shift) + limit >= 1 << (port - 1):
            return 0
        return min(PACKING_DEPTH[self.board.dsp_family], ((1 << (shift - 1)) - 1) // limit**2)

    @property
    def word_bits(self) -> int:
        """A word of a row: what a cycle takes of it."""
        return self.width * self.numbers.code_bits

    # --- registers ---------------------------------------------------------------------------------------
    @property
    def registers(self) -> tuple[Register, ...]:
        return register_map(A3_ARGUMENTS)

    @cached_property
    def hash(self) -> bytes:
        """32 bytes (SHA-256) over everything that determines the hardware."""
        facts = {
            "kernel": "a3",
            "format": A3_VERSION,
            "part": self.board.part,
            "dsp_family": self.board.dsp_family,
            "axi_bits": self.axi_bits,
            "numbers": asdict(self.numbers),
            **{name: getattr(self, name) for name in ("n_max", "d_max", "width", "units", "approximate")},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).digest()


def a3_design_to_dict(design: A3Design) -> dict[str, object]:
    """Plain data (JSON types) of ``design``."""
    return asdict(design)


def a3_design_from_dict(data: dict) -> A3Design:
    """The design of `a3_design_to_dict`'s data. Raises KeyError, TypeError, ValueError or ConfigError otherwise."""
    rest = {name: value for name, value in data.items() if name not in ("board", "numbers")}
    return A3Design(board=Board(**data["board"]), numbers=A3Numbers(**data["numbers"]), **rest)
