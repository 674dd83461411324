# SPDX-License-Identifier: Apache-2.0
"""Binary records of the weight streams (docs/architecture.md, Streams): descriptors, column tiles, norm records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vitforge.design.design import Design
from vitforge.design.geometry import ceil_div
from vitforge.errors import ModelError
from vitforge.quantize.model import QuantLinear, QuantNorm
from vitforge.quantize.pieces import Piece, Pieces
from vitforge_host.weight_words import COLUMN, ZERO_MULT, ZERO_SHIFT, crowded_group, dense_words, sparse_words

_EMIT = 1  # flag of a channel: the next matmul has it
NO_LANE = 15  # of a column that is added to no channel
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
    FEATURES = 3


class Destination(IntEnum):
    """Where the results of a column tile go."""

    LEFT = 0
    KEY = 1
    VALUE = 2
    RESIDUAL = 3
    LOGITS = 4


@dataclass(frozen=True, kw_only=True)
class Target:
    """Destination of one column tile.

    words, lanes, passes : to the residual: the channel of each column, and the pass in which it is added
    pass_count : that the tile takes; it may be more than its columns need
    """

    destination: Destination
    base: int
    group: int = 0
    stride: int = 0
    words: tuple[int, ...] = ()
    lanes: tuple[int, ...] = ()
    passes: tuple[int, ...] = ()
    pass_count: int = 1

    def encode(self, tc: int) -> bytes:
        """8 bytes, and one a column."""
        head = (self.destination | self.pass_count << 8, self.group, self.stride, self.base)
        places = zip(self.lanes, self.passes, self.words, strict=True)
        columns = [lane | number << 4 | word >> 8 << 7 for lane, number, word in places]
        return np.array(head, "<u2").tobytes() + bytes(columns + [NO_LANE] * (tc - len(columns)))


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
    name: str = ""  # for people
    has_gelu: bool = False
    ends_step: bool = False
    by_token: bool = False  # results leave a token a cycle: to the residual or to the host
    replaces: bool = False  # and replace what is there, instead of being added
    spares: bool = False  # and go to its spare row
    loads: bool = False  # activations that arrive meanwhile may be stored
    fast: bool = False  # as many as come
    slow: int = 0  # else one every 2 + slow cycles, while the array multiplies
    waits: bool = False  # a section of them must be complete first
    has_first: bool = False  # the first weight tile came with the job before
    first_half: int = 0  # of the weight buffer, that holds it
    sparse: bool = False  # 2:4 weights: a step of the reduction takes two k tiles
    next_sparse: bool = False  # the same of the next linear job
    next_k_tiles: int = 0  # of the first weight tile of the next linear job; 0: it comes with that job
    k_tiles: int = 0  # steps of the reduction
    column_tiles: int = 0
    token_tiles: int = 0
    seq_len: int = 0  # keys of softmax, rows of the residual, images of the class head
    src: tuple[int, int] = (0, 0)  # base, stride of a token tile
    scale: tuple[int, int] = (0, 0)  # mult, shift of scores
    right: tuple[int, int] = (0, 0)  # base, stride in K or V
    dst: tuple[int, int] = (0, 0)  # base, stride of context
    drains: int = 0  # cycles in which a finished tile of a linear job leaves
    context_scale: tuple[int, int] = (0, 0)  # mult, shift

    def encode(self) -> bytes:
        flags: tuple[bool, ...] = (self.has_gelu, self.ends_step, self.by_token, self.replaces, self.spares)
        flags += (self.loads, self.waits, self.has_first, bool(self.first_half), self.fast)
        flags += (self.sparse, self.next_sparse)
        last = (self.next_k_tiles, 0) if self.op == ArrayOp.LINEAR else self.context_scale
        return _words(
            self.op | sum(flag << 8 + i for i, flag in enumerate(flags)) | self.slow << 20,
            _halves(self.k_tiles, self.column_tiles),
            _halves(self.token_tiles, self.seq_len),
            _halves(*self.src),
            _halves(*self.scale),
            _halves(*self.right),
            _halves(0, self.drains) if self.op == ArrayOp.LINEAR else _halves(*self.dst),
            _halves(*last),
        )


@dataclass(frozen=True, kw_only=True)
class LinearJob:
    """A linear job with what it brings: its activation table and its column tiles."""

    job: ArrayJob
    table: bytes
    tiles: Pieces


def encode_jobs(jobs: Sequence[ArrayJob | LinearJob]) -> Pieces:
    """The stream of a section.

    A linear job brings the first weight tile of the next one in the section, so that only the first has to wait for
    its own. The halves of the weight buffer alternate over all column tiles.
    """
    linear = [item for item in jobs if isinstance(item, LinearJob)]
    pieces: list[Piece] = []
    half = done = 0
    for item in jobs:
        if isinstance(item, ArrayJob):
            pieces.append(Piece(item.encode()))
            continue
        following = linear[done + 1] if done + 1 < len(linear) else None
        job = replace(
            item.job,
            has_first=done > 0,
            first_half=half,
            next_k_tiles=following.job.k_tiles if following else 0,
            next_sparse=following.job.sparse if following else False,
        )
        tiles = item.tiles[done > 0 :] + (following.tiles[:1] if following else ())
        pieces += [Piece(job.encode() + item.table), *tiles]
        half, done = (half + len(item.tiles)) % 2, done + 1
    return tuple(pieces)


@dataclass(frozen=True, kw_only=True)
class NormJob:
    """Descriptor of one operation of a layer-norm unit, 32 bytes."""

    op: NormOp
    has_table: bool = False
    tokens: int = 0
    channels: int = 0  # k tiles of a row for LOAD
    residual_base: int = 0  # word of the first token
    out: tuple[int, int] = (0, 0)  # base, stride of a token tile
    out_row: int = 0  # of the first token in its tile
    shift: int = 0
    eps: int = 0

    def encode(self) -> bytes:
        return _words(
            self.op | self.has_table << 8,
            _halves(self.tokens, self.channels),
            self.residual_base,
            _halves(*self.out),
            self.shift,
            self.eps & 0xFFFFFFFF,
            self.eps >> 32,
            self.out_row,
        )


def _words_of(design: Design, weight: NDArray[np.int8], sparse: bool) -> NDArray[np.uint8]:
    """Raises ModelError where a group of four of a 2:4 matrix has more than two weights."""
    f = design.folding
    if not sparse:
        return dense_words(weight, f.tc, f.tk)
    if crowded_group(weight) is not None:
        raise ModelError("a matrix that is to be 2:4 has more than two weights in a group of four")
    return sparse_words(weight, f.tc, f.tk, design.beat_bytes)


def column_tiles(design: Design, layer: QuantLinear, targets: Sequence[Target], *, sparse: bool = False) -> Pieces:
    """The column tiles of ``layer``, in order: target and parameters, then the weights, dense or 2:4."""
    f, beat = design.folding, design.beat_bytes
    columns, rows = layer.weight.shape
    unit = 2 * f.tk if sparse else f.tk
    tiles, inputs = ceil_div(columns, f.tc), ceil_div(rows, unit) * unit
    weight = np.zeros((tiles * f.tc, inputs), np.int8)
    weight[:columns, :rows] = layer.weight
    words = _words_of(design, weight, sparse)
    records = np.zeros(tiles * f.tc, COLUMN)
    records["mult"], records["shift"] = ZERO_MULT, ZERO_SHIFT
    for name in ("bias", "mult", "shift"):
        records[name][:columns] = getattr(layer, name)
    param_bytes = ceil_div(f.tc * COLUMN.itemsize, beat) * beat
    heads = np.stack([np.frombuffer(target.encode(f.tc), np.uint8) for target in targets])
    for tile, target in enumerate(targets):
        records["word"][tile * f.tc : tile * f.tc + len(target.words)] = np.array(target.words, int) & 255
    head_bytes = ceil_div(heads.shape[1], beat) * beat
    params = np.zeros((tiles, head_bytes + param_bytes), np.uint8)
    params[:, : heads.shape[1]] = heads
    params[:, head_bytes : head_bytes + f.tc * COLUMN.itemsize] = records.view(np.uint8).reshape(tiles, -1)
    return tuple(Piece(head.tobytes(), part.tobytes()) for head, part in zip(params, words, strict=True))


def linear_job(
    design: Design,
    layer: QuantLinear,
    targets: Sequence[Target],
    *,
    name: str,
    src: tuple[int, int],
    token_tiles: int,
    drains: int,
    gelu: bytes = b"",
    sparse: bool = False,
    **flags: bool | int,
) -> LinearJob:
    """A LINEAR job with its activation table and column tiles, one a target.

    src : base and token-tile stride of its input in the left memory
    drains : cycles in which a finished tile leaves: its drain groups, or its tokens
    flags : further fields of `ArrayJob`
    """
    job = ArrayJob(
        op=ArrayOp.LINEAR,
        name=name,
        has_gelu=bool(gelu),
        k_tiles=ceil_div(layer.weight.shape[1], design.folding.tk * (2 if sparse else 1)),
        sparse=sparse,
        column_tiles=len(targets),
        token_tiles=token_tiles,
        src=src,
        drains=drains,
        **flags,  # type: ignore[arg-type]
    )
    return LinearJob(job=job, table=gelu, tiles=column_tiles(design, layer, targets, sparse=sparse))


def norm_records(design: Design, norm: QuantNorm, keep: NDArray[np.bool_] | None = None) -> bytes:
    """gamma, flags and beta of every channel, padded to whole column tiles and beats.

    keep : (D,) channels that the next layer reads; by default all
    """
    records = np.zeros(design.channel_tiles * design.folding.tc, _CHANNEL)
    dim = design.shape.embed_dim
    records["gamma"][:dim], records["beta"][:dim] = norm.gamma, norm.beta
    records["flags"][:dim] = _EMIT if keep is None else _EMIT * keep
    return pad(records.tobytes(), design.beat_bytes)


def residual_table(design: Design, table: NDArray) -> bytes:
    """A (N, D) int16 residual, in words of tc channels of a token, each padded to whole beats.

    Words of the same channels of tr tokens follow each other.
    """
    f, (tokens, dim) = design.folding, table.shape
    padded = np.zeros((design.residual_groups * f.tr, design.channel_tiles * f.tc), "<i2")
    padded[:tokens, :dim] = table
    grouped = padded.reshape(-1, f.tr, design.channel_tiles, f.tc).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(grouped).view(np.uint8).reshape(padded.size // f.tc, -1)
    stream = np.zeros((len(words), ceil_div(words.shape[1], design.beat_bytes) * design.beat_bytes), np.uint8)
    stream[:, : words.shape[1]] = words
    return stream.tobytes()
