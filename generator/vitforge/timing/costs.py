# SPDX-License-Identifier: Apache-2.0
"""Closed-form cycles of what a unit does in a step: the loops of the kernels, counted; nothing is run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from vitforge.design.block_sizes import BlockSizes, Tiles, block_sizes, tiles_shape
from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry, LinearShape, ceil_div
from vitforge.design.loops import CALL_CYCLES, LOOPS
from vitforge.design.restore import free_passes

HEADER_BYTES = 32


def loop(label: str, iterations: int) -> int:
    """Cycles of a run of the loop ``label`` that never waits."""
    return LOOPS[label].cycles(iterations)


def header(design: Design) -> int:
    """Cycles to read a descriptor."""
    return loop("header_beat", HEADER_BYTES // design.beat_bytes)


@dataclass(frozen=True, kw_only=True)
class JobCost:
    """One job of an array, or the norms of a step."""

    cycles: int
    work: int  # cycles in which the array multiplies, or a layer norm sends
    room: int = 0  # activations that can be stored meanwhile, at most
    closed: int = 0  # cycles before the first of them

    def __add__(self, other: JobCost) -> JobCost:
        return JobCost(
            cycles=self.cycles + other.cycles,
            work=self.work + other.work,
            room=self.room + other.room,
            closed=self.closed if self.room else self.cycles + other.closed,
        )


NOTHING = JobCost(cycles=0, work=0)


def linear_job(
    design: Design,
    engine: EngineGeometry,
    shape: LinearShape,
    token_tiles: int,
    *,
    columns: int | None = None,
    drains: int | None = None,
    stores: bool = False,
    is_first: bool = False,
    next_beats: int = 0,
    gelu: bool = False,
    loads: bool = False,
    fast: bool = False,
) -> JobCost:
    """A linear job over ``token_tiles``: every column tile as long as its products or its successor's weights take.

    drains : cycles in which a finished tile leaves; its drain groups if None
    stores : results go to the left memory
    next_beats : of the first weight tile of the next linear job; 0 if there is none in the section
    """
    columns = shape.column_tiles if columns is None else columns
    drains = engine.drain_groups if drains is None else drains
    work = token_tiles * max(shape.steps, drains)
    period = max(work, shape.tile_beats)
    cycles = (columns - 1) * period + max(work + drains, next_beats)
    products = columns * token_tiles * shape.steps
    before = loop("gelu_beat", 256 // design.beat_bytes) if gelu else 0
    before += loop("first_tile_beat", shape.tile_beats) if is_first else 0
    # While the array multiplies a word every other cycle, unless they come fast enough; else every cycle.
    stored = columns * token_tiles * drains if stores else 0
    room = max(0, cycles - (0 if fast else products // 2) - stored) if loads else 0
    return JobCost(cycles=header(design) + before + loop("array_cycle", cycles), work=products, room=room)


def attention_job(
    design: Design,
    k_tiles: int,
    columns: int,
    token_tiles: int,
    *,
    loads: bool = True,
    stores: bool = False,
    fast: bool = False,
) -> JobCost:
    """Scores or context of one head; both operands are on chip. ``stores``: results go to the left memory."""
    drains = design.nsa.drain_groups
    cycles = token_tiles * columns * max(k_tiles, drains) + drains
    products = token_tiles * columns * k_tiles
    room = cycles - (0 if fast else products // 2) - (token_tiles * columns * drains if stores else 0)
    return JobCost(
        cycles=header(design) + loop("array_cycle", cycles), work=products, room=max(room, 0) if loads else 0
    )


def softmax_period(design: Design) -> int:
    """Cycles of softmax for a token tile: a word of scores each, or a reciprocal each."""
    return max(design.key_columns * design.nsa.drain_groups, design.nsa.tt)


def _slot(design: Design, before: JobCost, score: JobCost, after: JobCost, token_tiles: int) -> JobCost:
    """A slot of the attention engine: softmax works beside the array, from the first score on."""
    period = softmax_period(design)
    scored = max(score.cycles, token_tiles * period)
    softmax = before.cycles + scored + 2 * period + LOOPS["softmax_cycle"].depth
    cycles = max(before.cycles + scored + after.cycles + header(design), softmax) + 2 * CALL_CYCLES
    return replace(before + score + after, cycles=cycles)


def _residual_jobs(
    design: Design,
    engine: EngineGeometry,
    k_tiles: int,
    tiles: Tiles,
    token_tiles: int,
    tokens: int,
    *,
    sparse: bool,
    next_beats: int = 0,
    is_first: bool = False,
    loads: bool = True,
    fast: bool = False,
) -> JobCost:
    """Jobs that add to the residual. ``tokens`` of a token tile leave."""
    total, shape = NOTHING, tiles_shape(design, k_tiles, 1, sparse=sparse)
    free, beats = free_passes(shape.steps, tokens, design.folding.tr), shape.tile_beats
    hidden = [entry for entry in tiles if entry[0] <= free]
    groups = [(max(passes for passes, _ in hidden), sum(columns for _, columns in hidden))] if hidden else []
    groups += [entry for entry in tiles if entry[0] > free]
    for number, (passes, columns) in enumerate(groups):
        total += linear_job(
            design,
            engine,
            tiles_shape(design, k_tiles, columns, sparse=sparse),
            token_tiles,
            drains=passes * ceil_div(tokens, design.folding.tr),
            is_first=is_first and number == 0,
            next_beats=next_beats if number == len(groups) - 1 else beats,
            loads=loads,
            fast=fast,
        )
    return total


def _moving_jobs(
    design: Design,
    engine: EngineGeometry,
    k_tiles: int,
    tiles: Tiles,
    rest: Tiles,
    token_tiles: int,
    tokens: int,
    *,
    sparse: bool,
    is_first: bool,
    fast: bool,
) -> JobCost:
    """Jobs that add ``tiles`` to the residual, and those that move the ``rest`` of a token to the spare row."""
    beats = tiles_shape(design, 1, 1, sparse=sparse).tile_beats if rest else 0
    jobs = partial(_residual_jobs, design, engine, sparse=sparse, fast=fast)
    added = jobs(k_tiles, tiles, token_tiles, tokens, is_first=is_first, next_beats=beats)
    return added + jobs(1, rest, token_tiles, tokens, is_first=is_first and not tiles)


def _no_job(design: Design, engine: EngineGeometry) -> JobCost:
    """A column tile that is added nowhere, where nothing is left of a section."""
    return linear_job(design, engine, tiles_shape(design, 1, 1), 1, drains=1, is_first=True, loads=True)


def self_attention(design: Design, sizes: BlockSizes | None = None, *, class_token_only: bool = False) -> JobCost:
    """All slots of a block, as `quantize.sections` lays them out; a dense one by default."""
    sizes = sizes or block_sizes(design)
    engine, f = design.nsa, design.folding
    tiles = 1 if class_token_only else engine.token_tiles
    per_k_tile = f.tk // f.tc
    shape = tiles_shape(design, sizes.norm1, 1, sparse=sizes.sparse)
    patches = class_token_only and bool(f.embed_nsa)  # of the next image may arrive from the first job on
    proj_beats = tiles_shape(design, sizes.proj_inputs, 1, sparse=sizes.sparse).tile_beats
    rest = sizes.proj_rest if patches else ()
    following = proj_beats if sizes.proj else tiles_shape(design, 1, 1, sparse=sizes.sparse).tile_beats if rest else 0

    def qkv(columns: int, *, is_first: bool, next_beats: int, token_tiles: int = engine.token_tiles) -> JobCost:
        return linear_job(
            design,
            engine,
            shape,
            token_tiles,
            columns=columns * per_k_tile,
            is_first=is_first,
            next_beats=next_beats,
            loads=patches,
            fast=patches,
        )

    def score(k_tiles: int, *, loads: bool) -> JobCost:
        return attention_job(design, k_tiles, design.key_columns, tiles, loads=loads or patches, fast=patches)

    def context(v_tiles: int) -> JobCost:
        return attention_job(design, design.key_tiles, v_tiles * per_k_tile, tiles, stores=True, fast=patches)

    tokens = 1 if class_token_only else engine.tt
    last = _moving_jobs(
        design,
        engine,
        sizes.proj_inputs,
        sizes.proj,
        rest,
        tiles,
        tokens,
        sparse=sizes.sparse,
        is_first=not sizes.heads,
        fast=patches,
    )
    ends = JobCost(cycles=2 * CALL_CYCLES, work=0)
    if not sizes.heads:
        return (last if sizes.proj or rest else _no_job(design, engine)) + ends
    projected = [(1 if class_token_only else 2) * qk + v for qk, v in sizes.heads]
    queries = NOTHING
    if class_token_only:
        columns = sum(qk for qk, _ in sizes.heads)
        queries = qkv(columns, is_first=True, next_beats=shape.tile_beats, token_tiles=1)
    after_first = shape.tile_beats if len(projected) > 1 else following
    before = queries + qkv(projected[0], is_first=not class_token_only, next_beats=after_first)
    others = NOTHING
    if len(projected) > 1:
        others = qkv(sum(projected[1:]), is_first=False, next_beats=following)
    total = _slot(design, before, score(sizes.heads[0][0], loads=False), others, tiles)
    for (_, v), (qk, _) in zip(sizes.heads, sizes.heads[1:], strict=False):
        total += _slot(design, NOTHING, score(qk, loads=True), context(v), tiles)
    return total + context(sizes.heads[-1][1]) + last + ends


def class_head(design: Design) -> list[JobCost]:
    """The jobs that make logits of the class tokens of a group of images; none without a class head."""
    if not design.shape.num_classes:
        return []
    return [
        linear_job(design, design.nsa, design.head, 1, columns=len(columns), is_first=True, drains=design.head_images)
        for columns in design.head_slices
    ]


def _fc1(design: Design, sizes: BlockSizes, token_tiles: int, **job: bool | int) -> JobCost:
    shape = tiles_shape(design, sizes.norm2, sizes.fc1_columns, sparse=sizes.sparse)
    beats = tiles_shape(design, sizes.hidden, 1, sparse=sizes.sparse).tile_beats
    return linear_job(design, design.nmp, shape, token_tiles, next_beats=beats, gelu=True, **job)  # type: ignore[arg-type]


def mlp(design: Design, sizes: BlockSizes | None = None) -> JobCost:
    """FC1 and FC2 of every slice of the tokens."""
    sizes = sizes or block_sizes(design)
    engine, total = design.nmp, NOTHING
    if not sizes.fc2:
        return _no_job(design, engine)
    for part in design.mlp_parts:
        is_first = part.first_tile == 0
        if sizes.fc1_columns:
            total += _fc1(design, sizes, part.tiles, is_first=is_first)
        following = 0 if part.is_last else tiles_shape(design, sizes.norm2, 1, sparse=sizes.sparse).tile_beats
        total += _residual_jobs(
            design,
            engine,
            sizes.hidden,
            sizes.fc2,
            part.tiles,
            engine.tt,
            sparse=sizes.sparse,
            next_beats=following,
            is_first=is_first and not sizes.fc1_columns,
            loads=part.is_last,
        )
    return total


def class_token_mlp(design: Design, sizes: BlockSizes | None = None) -> JobCost:
    """The last MLP where only the class token is used."""
    sizes = sizes or block_sizes(design)
    patches = not design.folding.embed_nsa
    rest = sizes.fc2_rest if patches else ()
    if not sizes.fc2 and not rest:
        return _no_job(design, design.nmp)
    fc1 = NOTHING
    if sizes.fc1_columns:
        fc1 = _fc1(design, sizes, 1, drains=1, stores=True, is_first=True, loads=patches, fast=patches)
    return fc1 + _moving_jobs(
        design,
        design.nmp,
        sizes.hidden,
        sizes.fc2,
        rest,
        1,
        1,
        sparse=sizes.sparse,
        is_first=not sizes.fc1_columns,
        fast=patches,
    )


def patch_embedding(design: Design, room: int) -> JobCost:
    """Patches of an image, ``room`` of which have been stored before, and their products."""
    total, engine = NOTHING, design.nsa if design.folding.embed_nsa else design.nmp
    last = len(design.embed_columns) - 1
    for part in design.patch_parts:
        waiting = max(0, part.tokens * design.patch.k_tiles + 1 - room)
        total += JobCost(cycles=waiting, work=0)
        for number, columns in enumerate(design.embed_columns):
            total += linear_job(
                design,
                engine,
                design.patch,
                part.tiles,
                columns=len(columns),
                drains=engine.tt // design.folding.tr,
                is_first=part.first_tile == 0 and number == 0,
                next_beats=0 if part.is_last and number == last else design.patch.tile_beats,
                loads=part.is_last and number == last,
            )
        room = 0
    return total


def norm(design: Design, tokens: int, *, table: bool = False) -> int:
    """Cycles of a layer norm that never waits for the array: records, table, then a word a cycle."""
    records = ceil_div(design.channel_tiles * design.folding.tc * 8, design.beat_bytes)
    entries = ceil_div(tokens, design.folding.tr) * design.folding.tr * design.channel_tiles
    added = loop("table_beat", entries * ceil_div(2 * design.folding.tc, design.beat_bytes)) if table else 0
    first = design.channel_tiles + LOOPS["sum_word"].depth + LOOPS["reciprocal_token"].depth
    interval = max(design.channel_tiles + 1, LOOPS["reciprocal_token"].interval)
    tail = LOOPS["normalize_word"].depth
    return 2 * header(design) + loop("forward_beat", records) + added + first + tokens * interval + tail


def sending(design: Design, tokens: int) -> int:
    """Cycles from the first to the last activation of such a norm."""
    return tokens * max(design.channel_tiles + 1, LOOPS["reciprocal_token"].interval)


def load(design: Design) -> int:
    """Cycles in which a layer-norm unit sends the patches of an image, without waiting."""
    return header(design) + design.shape.seq_len * design.patch.k_tiles
