# SPDX-License-Identifier: Apache-2.0
"""`SparseMatmulDesign`: all that C++, driver and reports share about an overlay of the sparse MAC array alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from vitforge.boards import Board
from vitforge.design.geometry import ceil_div
from vitforge.design.registers import Argument, Register, register_map
from vitforge.design.rules import PACKING_DEPTH
from vitforge.errors import ConfigError

SPARSE_MATMUL_TOP = "vitforge_sparse_matmul"
SPARSE_MATMUL_MAGIC = 0x5646534D  # "VFSM"
SPARSE_MATMUL_VERSION = 1  # of registers, packets and matrix records
LEFT_PARTS = 2  # entries of the left memory that a beat of activations fills, and that a 2:4 step reads
SIDES = 2  # blocks of rows that it holds
WIDE_PARTS = 4  # beats of a group of int32 results
MOST = 4096  # inputs, outputs and rows: a sum of so many products fits the 27 bits of an accumulator
MOST_TOKENS = 256
SETTLE_CYCLES = 4  # from the last weight of a column tile to its first step
HEADER_BYTES = 32
MASKS_PER_BEAT = 8  # a beat of keep mask is for so many of activations
ACTIVATION_LOWEST = {"dsp48e1": -127, "dsp48e2": -128}  # a pair with -128 does not fit the 25 bits of a DSP48E1

SPARSE_MATMUL_ARGUMENTS: tuple[Argument, ...] = (
    Argument(name="matrix", kind="ptr", bundle="gmem_matrix", description="matrix record in DDR"),
    Argument(name="matrix_beats", kind="i32", description="beats of the record"),
    Argument(name="head_beats", kind="i32", description="beats of its header and keep mask"),
    Argument(name="rows", kind="i32", description="rows of activations; 0 only fills the identity registers"),
    Argument(name="status", kind="out32", description="bit 0: packet too short, bit 1: packet too long"),
    Argument(name="cycles", kind="out32", description="cycles in which the array multiplied or drained"),
    Argument(name="magic", kind="out32", description="0x5646534d, the letters VFSM"),
    Argument(name="version", kind="out32", description="format version of registers, packets and records"),
    Argument(name="hash_lo", kind="out32", description="design hash, bytes 0 to 3"),
    Argument(name="hash_hi", kind="out32", description="design hash, bytes 4 to 7"),
)


@dataclass(frozen=True, kw_only=True)
class SparseMatmulDesign:
    """Parallelism and largest sizes of one array of tt tokens x tc columns x tk lanes.

    k_max, n_max : most inputs and outputs of a matrix; both are run-time values
    rows_max : rows that are multiplied under one pass of the weights, rounded up to whole token tiles; a launch may
        have any number, and then takes several passes
    td : tokens that leave in a cycle; with tc columns they are a beat of int8
    sparse : whether the array takes 2:4 matrices too
    """

    name: str
    board: Board
    clock_mhz: float
    tt: int
    tc: int
    tk: int
    td: int
    rows_max: int
    k_max: int = 1024
    n_max: int = 1024
    sparse: bool = True

    def __post_init__(self) -> None:
        for name in ("rows_max", "k_max", "n_max"):
            if not 1 <= getattr(self, name) <= MOST:
                raise ConfigError(f"{name} is {getattr(self, name)}; a sparse_matmul design takes 1 to {MOST}")
        if self.tk != lanes_of(self.board):
            raise ConfigError(
                f"tk is {self.tk}; on {self.board.title} it must be {lanes_of(self.board)}, so that a beat of "
                "activations fills two entries of the left memory"
            )
        if self.tc not in columns_of(self.board):
            choices = " or ".join(map(str, columns_of(self.board)))
            raise ConfigError(f"tc is {self.tc}; on {self.board.title} it must be {choices}")
        if self.td * self.tc != self.beat_bytes:
            raise ConfigError(f"td is {self.td}; with tc = {self.tc} it must be {self.beat_bytes // self.tc}")
        step = token_step(self.td)
        if not step <= self.tt <= MOST_TOKENS or self.tt % step:
            raise ConfigError(
                f"tt is {self.tt}; with tc = {self.tc} it must be a multiple of {step}, at most {MOST_TOKENS}"
            )

    # --- streams -----------------------------------------------------------------------------------------
    @property
    def axi_bits(self) -> int:
        """Width of the streams, and of the port that reads matrices."""
        return self.board.axi_bits

    @property
    def beat_bytes(self) -> int:
        return self.axi_bits // 8

    @property
    def row_beats(self) -> int:
        """Of the longest row of activations, and words of it in the left memory."""
        return ceil_div(self.k_max, self.beat_bytes)

    @property
    def mask_beats(self) -> int:
        """Of the longest keep mask."""
        return ceil_div(self.row_beats, MASKS_PER_BEAT)

    @property
    def head_beats(self) -> int:
        return HEADER_BYTES // self.beat_bytes + self.mask_beats

    # --- geometry ----------------------------------------------------------------------------------------
    @property
    def token_tiles(self) -> int:
        return ceil_div(self.rows_max, self.tt)

    @property
    def column_tiles(self) -> int:
        return ceil_div(self.n_max, self.tc)

    @property
    def max_k_tiles(self) -> int:
        """Steps of the longest reduction."""
        return ceil_div(self.k_max, self.tk)

    @property
    def block_rows(self) -> int:
        """Rows that the array multiplies at a time, in whole token tiles; a longer launch takes several blocks."""
        return self.token_tiles * self.tt

    @property
    def left_depth(self) -> int:
        """Entries of each left memory: a block works while the next one arrives."""
        return SIDES * self.token_tiles * self.row_beats

    @property
    def param_beats(self) -> int:
        """What precedes the weights of a column tile: target and records (`weight_tile.hpp`)."""
        return ceil_div(8 + self.tc, self.beat_bytes) + ceil_div(8 * self.tc, self.beat_bytes)

    @property
    def word_beats(self) -> int:
        """Of the weights of a step."""
        return self.tc * self.tk // self.beat_bytes

    @property
    def tile_beats(self) -> int:
        """Of the largest column tile."""
        dense = self.param_beats + self.max_k_tiles * self.word_beats
        return max(dense, self.param_beats + self.row_beats * (self.word_beats + 1)) if self.sparse else dense

    @property
    def max_cycles(self) -> int:
        """Upper bound of the array's cycles in a block, for the tool's report."""
        drain = self.tt // self.td * WIDE_PARTS
        work = self.token_tiles * max(self.max_k_tiles, drain)
        return self.column_tiles * max(work, self.tile_beats + SETTLE_CYCLES) + drain

    @property
    def macs_per_cycle(self) -> int:
        """Products that the array makes in a cycle."""
        return self.tt * self.tc * self.tk

    @property
    def activation_lowest(self) -> int:
        return ACTIVATION_LOWEST[self.board.dsp_family]

    # --- registers ---------------------------------------------------------------------------------------
    @property
    def registers(self) -> tuple[Register, ...]:
        return register_map(SPARSE_MATMUL_ARGUMENTS)

    @property
    def hash(self) -> bytes:
        """32 bytes (SHA-256) over everything that determines the hardware."""
        names = ("tt", "tc", "tk", "td", "rows_max", "k_max", "n_max", "sparse", "axi_bits")
        facts = {
            "kernel": "sparse_matmul",
            "format": SPARSE_MATMUL_VERSION,
            "part": self.board.part,
            "dsp_family": self.board.dsp_family,
            **{name: getattr(self, name) for name in names},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).digest()


def lanes_of(board: Board) -> int:
    """tk: half a beat of activations, which is the depth of a DSP cascade on every board that we know."""
    lanes = board.axi_bits // 8 // LEFT_PARTS
    if lanes > PACKING_DEPTH[board.dsp_family]:
        raise ConfigError(
            f"{board.title} has {board.axi_bits}-bit ports, whose beats are longer than two cascades of "
            f"{PACKING_DEPTH[board.dsp_family]} {board.dsp_family} DSPs; set axi_bits = 64"
        )
    return lanes


def columns_of(board: Board) -> tuple[int, ...]:
    """tc: divisors of tk with which weights are whole beats, largest first; int32 results leave in four parts."""
    lanes = lanes_of(board)
    return tuple(tc for tc in range(lanes, 1, -1) if lanes % tc == 0)


def token_step(td: int) -> int:
    """What tt must be a multiple of: whole groups that leave, and pairs that share a DSP."""
    return td if td % 2 == 0 else 2 * td


def sparse_matmul_to_dict(design: SparseMatmulDesign) -> dict[str, object]:
    """Plain data (JSON types) of ``design``."""
    return asdict(design)


def sparse_matmul_from_dict(data: dict) -> SparseMatmulDesign:
    """The design of that data. Raises KeyError, TypeError, ValueError or ConfigError otherwise."""
    return SparseMatmulDesign(
        board=Board(**data["board"]), **{name: value for name, value in data.items() if name != "board"}
    )
