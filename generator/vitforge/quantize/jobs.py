# SPDX-License-Identifier: Apache-2.0
"""The jobs of the arrays for each part of a model, in the order in which an array does them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vitforge.design.design import Design
from vitforge.model.keep import BlockKeep
from vitforge.quantize.compact import NOTHING, HeadPlace, padded, place_heads, select, stack
from vitforge.quantize.model import QuantBlock, QuantLinear
from vitforge.quantize.records import ArrayJob, ArrayOp, Destination, LinearJob, Target, linear_job
from vitforge.quantize.residual_jobs import residual_jobs

Job = ArrayJob | LinearJob
END = "end"  # of a slot or of a step


def _activation_targets(
    design: Design, tiles: Sequence[int], destination: Destination, stride: int, base: int = 0
) -> list[Target]:
    """Column tiles ``tiles`` of an activation layout: tk / tc of them fill an entry."""
    groups = design.folding.tk // design.folding.tc
    return [Target(destination=destination, base=base + c // groups, group=c % groups, stride=stride) for c in tiles]


def _projections(
    design: Design, block: QuantBlock, keep: BlockKeep, heads: Sequence[HeadPlace], parts: str, **job: Any
) -> LinearJob:
    """``parts`` of q, k and v of ``heads``."""
    f, nsa, dim = design.folding, design.nsa, design.shape.head_dim
    per_k_tile = f.tk // f.tc
    targets: list[Target] = []
    layers = []
    inputs = padded(np.flatnonzero(keep.norm1), 1, 1)
    for part in parts:
        for place in heads:
            channels = place.v if part == "v" else place.qk
            first = "qkv".index(part) * design.shape.embed_dim + place.head * dim
            layers.append(select(block.qkv, np.where(channels == NOTHING, NOTHING, first + channels), inputs))
            start = {"q": place.query, "k": place.key, "v": place.value}[part] * per_k_tile
            tiles = range(start, start + len(channels) // f.tc)
            if part == "q":
                targets += _activation_targets(design, tiles, Destination.LEFT, nsa.inner_stride, nsa.inner_base)
            elif part == "k":
                targets += _activation_targets(design, tiles, Destination.KEY, design.attn_dim // f.tk)
            else:
                stride = design.attn_dim // f.tc
                targets += [Target(destination=Destination.VALUE, base=c, stride=stride) for c in tiles]
    return linear_job(design, stack(layers), targets, src=(0, nsa.norm_stride), drains=nsa.drain_groups, **job)


def _score(design: Design, block: QuantBlock, place: HeadPlace, token_tiles: int, **job: Any) -> ArrayJob:
    f, nsa = design.folding, design.nsa
    return ArrayJob(
        op=ArrayOp.SCORE,
        name=f"scores, head {place.head}",
        k_tiles=len(place.qk) // f.tk,
        column_tiles=design.key_columns,
        token_tiles=token_tiles,
        seq_len=design.shape.seq_len,
        src=(nsa.inner_base + place.query, nsa.inner_stride),
        scale=(block.score_mult, block.score_shift),
        right=(place.key, design.attn_dim // f.tk),
        context_scale=(block.context_mult, block.context_shift),
        **job,
    )


def _context(design: Design, place: HeadPlace, token_tiles: int, *, fast: bool) -> ArrayJob:
    f, nsa = design.folding, design.nsa
    return ArrayJob(
        op=ArrayOp.CONTEXT,
        name=f"context, head {place.head}",
        loads=True,
        fast=fast,
        k_tiles=design.key_tiles,
        column_tiles=len(place.v) // f.tc,
        token_tiles=token_tiles,
        seq_len=design.shape.seq_len,
        src=(0, design.key_tiles),
        right=(place.value * (f.tk // f.tc), design.attn_dim // f.tc),
        dst=(nsa.inner_base + place.context, nsa.inner_stride),
    )


def _projection(
    design: Design,
    block: QuantBlock,
    keep: BlockKeep,
    heads: Sequence[HeadPlace],
    *,
    class_token_only: bool,
    fast: bool,
    sparse: bool,
) -> list[LinearJob]:
    """proj reads the padded heads: zero rows where they are padded."""
    dim, nsa = design.shape.head_dim, design.nsa
    inputs = [np.where(place.v == NOTHING, NOTHING, place.head * dim + place.v) for place in heads]
    return residual_jobs(
        design,
        block.proj,
        np.concatenate(inputs) if inputs else padded(np.array([], np.int64), 1, 1),
        keep.proj,
        design.residual_base,
        1 if class_token_only else nsa.tt,
        name="projection",
        src=(nsa.inner_base, nsa.inner_stride),
        token_tiles=1 if class_token_only else nsa.token_tiles,
        seq_len=1 if class_token_only else design.shape.seq_len,
        spares=class_token_only and bool(design.folding.embed_nsa),
        loads=True,
        fast=fast,
        sparse=sparse,
    )


def _heads_title(what: str, heads: Sequence[HeadPlace]) -> str:
    first, last = heads[0].head, heads[-1].head
    return f"{what}, head {first}" if first == last else f"{what}, heads {first} to {last}"


def self_attention(
    design: Design, block: QuantBlock, keep: BlockKeep, *, class_token_only: bool, sparse: bool = False
) -> list[Job]:
    """Slots of a block: the scores of one head beside the context of the head before.

    The first slot's scores come as early as they can, so that softmax works under the other heads' projections. From
    the second slot on the layer norm is done with, and that of the next image may arrive. The last slot is ended by
    the step's end mark. For the class token alone, keys and values are still those of all tokens; and if this array
    embeds, the patches of the next image, which have a region of their own, may arrive from the first job on.
    """
    everything = design.nsa.token_tiles
    heads = place_heads(design, keep)
    tiles = 1 if class_token_only else everything
    end = ArrayJob(op=ArrayOp.END, name=END)
    patches = class_token_only and bool(design.folding.embed_nsa)
    flags = {"loads": patches, "fast": patches}
    linear = {**flags, "sparse": sparse}
    jobs: list[Job] = []
    last = _projection(design, block, keep, heads, class_token_only=class_token_only, fast=patches, sparse=sparse)
    if not heads:
        return [*last] or [_nothing(design, block.proj)]
    if class_token_only:
        title = "queries of the class token"
        jobs.append(_projections(design, block, keep, heads, "q", token_tiles=1, name=title, **linear))
    parts = "kv" if class_token_only else "qkv"

    def projections(some: list[HeadPlace]) -> LinearJob:
        title = _heads_title(parts.upper(), some)
        return _projections(design, block, keep, some, parts, token_tiles=everything, name=title, **linear)

    jobs += [projections(heads[:1]), _score(design, block, heads[0], tiles, **flags)]
    if len(heads) > 1:
        jobs.append(projections(heads[1:]))
    jobs.append(end)
    for before, place in zip(heads, heads[1:], strict=False):
        scores = _score(design, block, place, tiles, loads=True, fast=patches)
        jobs += [scores, _context(design, before, tiles, fast=patches), end]
    return [*jobs, _context(design, heads[-1], tiles, fast=patches), *last]


def _nothing(design: Design, layer: QuantLinear) -> LinearJob:
    """A section is never empty: a column tile of zeros that is added nowhere."""
    target = Target(destination=Destination.RESIDUAL, base=design.residual_base)
    zeros = select(layer, np.full(design.folding.tc, NOTHING), np.full(1, NOTHING))
    return linear_job(
        design, zeros, [target], name="nothing", src=(0, 0), token_tiles=1, drains=1, by_token=True, loads=True
    )


def _fc1(design: Design, block: QuantBlock, keep: BlockKeep, base: int, **job: Any) -> LinearJob:
    f = design.folding
    hidden = padded(np.flatnonzero(keep.hidden), f.tc)
    layer = select(block.fc1, hidden, padded(np.flatnonzero(keep.norm2), 1, 1))
    tiles = range(len(hidden) // f.tc)
    targets = _activation_targets(design, tiles, Destination.LEFT, design.nmp.inner_stride, base)
    return linear_job(design, layer, targets, gelu=np.asarray(block.gelu, np.int8).tobytes(), **job)


def mlp(design: Design, block: QuantBlock, keep: BlockKeep, *, sparse: bool = False) -> list[Job]:
    """FC1 and FC2 of each slice of the tokens; under the last FC2 the next layer norm may arrive."""
    nmp = design.nmp
    jobs: list[Job] = []
    if not keep.fc2.any():
        return [_nothing(design, block.fc2)]
    for part in design.mlp_parts:
        src = (part.first_tile * nmp.norm_stride, nmp.norm_stride)
        if keep.hidden.any():
            jobs.append(
                _fc1(
                    design,
                    block,
                    keep,
                    nmp.inner_base,
                    name="FC1",
                    src=src,
                    token_tiles=part.tiles,
                    drains=nmp.drain_groups,
                    sparse=sparse,
                )
            )
        jobs += residual_jobs(
            design,
            block.fc2,
            padded(np.flatnonzero(keep.hidden), 1, 1),
            keep.fc2,
            design.residual_row(part.first_token),
            nmp.tt,
            name="FC2",
            src=(nmp.inner_base, nmp.inner_stride),
            token_tiles=part.tiles,
            seq_len=part.tokens,
            loads=part.is_last,
            sparse=sparse,
        )
    return jobs


def class_token_mlp(design: Design, block: QuantBlock, keep: BlockKeep, *, sparse: bool = False) -> list[Job]:
    """The last MLP, of the class token's tile.

    If this array embeds, the hidden region takes the patches of the next image meanwhile, and the result leaves its
    row to that image; else it is in the spare row already.
    """
    nmp, moved = design.nmp, bool(design.folding.embed_nsa)
    flags = {"loads": not moved, "fast": not moved, "sparse": sparse}
    jobs: list[Job] = []
    if keep.hidden.any() and keep.fc2.any():
        title = "FC1 of the class token"
        src = (0, nmp.norm_stride)
        jobs.append(_fc1(design, block, keep, nmp.spare_base, name=title, src=src, token_tiles=1, drains=1, **flags))
    fc2 = residual_jobs(
        design,
        block.fc2,
        padded(np.flatnonzero(keep.hidden), 1, 1),
        keep.fc2,
        0 if moved else design.residual_base,
        1,
        spares=not moved,
        name="FC2 of the class token",
        src=(nmp.spare_base, 0),
        token_tiles=1,
        seq_len=1,
        loads=True,
        fast=not moved,
        sparse=sparse,
    )
    return [*jobs, *fc2] or [_nothing(design, block.fc2)]


def _rows(layer: QuantLinear, columns: range, tc: int) -> QuantLinear:
    """The output channels of the column tiles ``columns``."""
    rows = slice(columns.start * tc, columns.stop * tc)
    return QuantLinear(weight=layer.weight[rows], bias=layer.bias[rows], mult=layer.mult[rows], shift=layer.shift[rows])


def class_head(design: Design, layer: QuantLinear, columns: range) -> LinearJob:
    part = _rows(layer, columns, design.folding.tc)
    targets = [Target(destination=Destination.LOGITS, base=0)] * len(columns)
    src = (design.nsa.spare_base, 0)
    return linear_job(
        design, part, targets, name="class head", src=src, token_tiles=1, drains=design.head_images, by_token=True
    )


def patch_embedding(design: Design, layer: QuantLinear) -> list[Job]:
    """Of each slice of the tokens, once its patches have come."""
    engine = design.nsa if design.folding.embed_nsa else design.nmp
    f, dim = design.folding, design.shape.embed_dim
    jobs: list[Job] = []
    for part in design.patch_parts:
        for columns in design.embed_columns:
            keep = np.zeros(dim, bool)
            keep[columns.start * f.tc : columns.stop * f.tc] = True
            jobs += residual_jobs(
                design,
                layer,
                np.arange(design.shape.patch_len),
                keep,
                design.residual_row(part.first_token),
                engine.tt,
                name="patch embedding",
                src=design.patch_place,
                token_tiles=part.tiles,
                seq_len=part.tokens,
                replaces=True,
                waits=columns.start == 0,
                loads=part.is_last and columns.stop == design.channel_tiles,
            )
    return jobs
