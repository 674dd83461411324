# SPDX-License-Identifier: Apache-2.0
"""Binary records of the weight streams (docs/architecture.md, Streams): descriptors, column tiles, norm records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry, ceil_div
from vitforge.quantize.model import QuantLinear, QuantNorm

ZERO_MULT, ZERO_SHIFT = 1 << 15, 16  # parameters of a padding column: 0 stays 0
_EMIT, _IN_BRANCH = 1, 2  # flags of a channel: the next matmul has it, the branch before had it
_COLUMN = np.dtype([("bias", "<i4"), ("mult", "<u2"), ("shift", "u1"), ("zero", "u1")])
_CHANNEL = np.dtype([("gamma", "<i2"), ("flags", "<u2"), ("beta", "<i4")])


class ArrayOp(IntEnum):
    """What a MAC array does next."""

    END = 0
    LINEAR = 1
    SCORE = 2
    CONTEXT = 3


class NormOp(IntEnum):
    """What a layer-norm unit does next."""

    END = 0
    NORM = 1
    LOAD = 2


class Destination(IntEnum):
    """Where the results of a column tile go."""

    SCRATCH = 0
    KEY = 1
    VALUE = 2
    BRANCH = 3
    LOGITS = 4


@dataclass(frozen=True, kw_only=True)
class Target:
    """Destination of one column tile."""

    destination: Destination
    base: int
    group: int = 0
    stride: int = 0


def pad(data: bytes, multiple: int) -> bytes:
    """``data`` followed by zeros up to a multiple of ``multiple`` bytes."""
    return data + bytes(-len(data) % multiple)


def _halves(low: int, high: int) -> int:
    if not (0 <= low < 1 << 16 and 0 <= high < 1 << 16):
        raise OverflowError(f"a descriptor field of {low} or {high} does not fit 16 bits")
    return low | high << 16


def _words(*words: int) -> bytes:
    return np.array(words, "<u4").tobytes()


@dataclass(frozen=True, kw_only=True)
class ArrayJob:
    """Descriptor of one job of a MAC array, 32 bytes; addresses count entries of tt (or tc) x tk values."""

    op: ArrayOp
    from_scratch: bool = False
    has_gelu: bool = False
    ends_step: bool = False
    k_tiles: int = 0
    column_tiles: int = 0
    token_tiles: int = 0
    seq_len: int = 0
    src: tuple[int, int] = (0, 0)  # base, stride of a token tile
    scale: tuple[int, int] = (0, 0)  # mult, shift of scores
    right: tuple[int, int] = (0, 0)  # base, stride in K or V
    dst: tuple[int, int] = (0, 0)  # base, stride of context
    context_scale: tuple[int, int] = (0, 0)  # mult, shift

    def encode(self) -> bytes:
        return _words(
            self.op | self.from_scratch << 8 | self.has_gelu << 16 | self.ends_step << 24,
            _halves(self.k_tiles, self.column_tiles),
            _halves(self.token_tiles, self.seq_len),
            _halves(*self.src),
            _halves(*self.scale),
            _halves(*self.right),
            _halves(*self.dst),
            _halves(*self.context_scale),
        )


@dataclass(frozen=True, kw_only=True)
class NormJob:
    """Descriptor of one operation of a layer-norm unit, 32 bytes."""

    op: NormOp
    has_table: bool = False
    tokens: int = 0
    channels: int = 0  # k tiles of a row for LOAD
    branch: tuple[int, int] = (0, 0)  # base, stride of a drain group
    out: tuple[int, int] = (0, 0)  # base, stride of a token tile
    shift: int = 0
    eps: int = 0

    def encode(self) -> bytes:
        return _words(
            self.op | self.has_table << 8,
            _halves(self.tokens, self.channels),
            _halves(*self.branch),
            _halves(*self.out),
            self.shift,
            self.eps & 0xFFFFFFFF,
            self.eps >> 32,
            0,
        )


def column_tiles(design: Design, layer: QuantLinear, targets: Sequence[Target]) -> bytes:
    """The column tiles of ``layer``, in order: target, parameters, then k tiles of (column, lane) int8 weights."""
    f, beat = design.folding, design.beat_bytes
    columns, rows = layer.weight.shape
    tiles, k_tiles = ceil_div(columns, f.tc), ceil_div(rows, f.tk)
    weight = np.zeros((tiles * f.tc, k_tiles * f.tk), np.int8)
    weight[:columns, :rows] = layer.weight
    words = weight.reshape(tiles, f.tc, k_tiles, f.tk).transpose(0, 2, 1, 3).reshape(tiles, -1)
    records = np.zeros(tiles * f.tc, _COLUMN)
    records["mult"], records["shift"] = ZERO_MULT, ZERO_SHIFT
    for name in ("bias", "mult", "shift"):
        records[name][:columns] = getattr(layer, name)
    param_bytes = ceil_div(f.tc * _COLUMN.itemsize, beat) * beat
    stream = np.zeros((tiles, beat + param_bytes + words.shape[1]), np.uint8)
    heads = np.array([(t.destination, t.group, t.stride, t.base) for t in targets], "<u2")
    stream[:, :8] = heads.view(np.uint8)
    stream[:, beat : beat + f.tc * _COLUMN.itemsize] = records.view(np.uint8).reshape(tiles, -1)
    stream[:, beat + param_bytes :] = words.view(np.uint8)
    return stream.tobytes()


def linear_job(
    design: Design,
    engine: EngineGeometry,
    layer: QuantLinear,
    targets: Sequence[Target],
    src: tuple[int, int],
    *,
    tokens: int | None = None,
    from_scratch: bool = False,
    gelu: bytes = b"",
) -> bytes:
    """A LINEAR job of ``engine`` with its activation table and column tiles, one a target.

    src : base and token-tile stride of its input in XN, or in scratch; tokens : the image's where None
    """
    tokens = design.shape.seq_len if tokens is None else tokens
    job = ArrayJob(
        op=ArrayOp.LINEAR,
        from_scratch=from_scratch,
        has_gelu=bool(gelu),
        k_tiles=ceil_div(layer.weight.shape[1], design.folding.tk),
        column_tiles=len(targets),
        token_tiles=ceil_div(tokens, engine.tt),
        seq_len=tokens,
        src=src,
    )
    return job.encode() + gelu + column_tiles(design, layer, targets)


def norm_records(design: Design, norm: QuantNorm) -> bytes:
    """gamma, flags and beta of every channel, padded to whole column tiles and beats; all channels are kept."""
    records = np.zeros(design.channel_tiles * design.folding.tc, _CHANNEL)
    dim = design.shape.embed_dim
    records["gamma"][:dim], records["beta"][:dim] = norm.gamma, norm.beta
    records["flags"][:dim] = _EMIT | _IN_BRANCH
    return pad(records.tobytes(), design.beat_bytes)


def residual_table(design: Design, table: NDArray) -> bytes:
    """A (N, D) int16 residual, in words of lt tokens x tc channels, each padded to whole beats."""
    f, (tokens, dim) = design.folding, table.shape
    groups = ceil_div(tokens, f.lt)
    padded = np.zeros((groups * f.lt, design.channel_tiles * f.tc), "<i2")
    padded[:tokens, :dim] = table
    words = padded.reshape(groups, f.lt, design.channel_tiles, f.tc).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(words).view(np.uint8).reshape(groups * design.channel_tiles, -1)
    stream = np.zeros((len(words), ceil_div(words.shape[1], design.beat_bytes) * design.beat_bytes), np.uint8)
    stream[:, : words.shape[1]] = words
    return stream.tobytes()
