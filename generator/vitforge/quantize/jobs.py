# SPDX-License-Identifier: Apache-2.0
"""The jobs of the arrays for each part of a model, in the order in which an array does them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vitforge.design.design import Design
from vitforge.quantize.model import QuantBlock, QuantLinear
from vitforge.quantize.records import (
    ZERO_MULT,
    ZERO_SHIFT,
    ArrayJob,
    ArrayOp,
    Destination,
    LinearJob,
    Target,
    linear_job,
)

Job = ArrayJob | LinearJob


def _activation_targets(
    design: Design, tiles: Sequence[int], destination: Destination, stride: int, base: int = 0
) -> list[Target]:
    """Column tiles ``tiles`` of an activation layout: tk / tc of them fill an entry."""
    groups = design.folding.tk // design.folding.tc
    return [Target(destination=destination, base=base + c // groups, group=c % groups, stride=stride) for c in tiles]


def _residual_targets(design: Design, first_token: int = 0) -> list[Target]:
    base = design.residual_base + first_token * design.channel_tiles
    return [Target(destination=Destination.RESIDUAL, base=base + c) for c in range(design.channel_tiles)]


def _pad_heads(design: Design, layer: QuantLinear, heads: Sequence[int], part: int) -> QuantLinear:
    """Rows of q (0), k (1) or v (2) of ``heads``, each head padded with zero channels to the k tile."""
    dim, width = design.shape.head_dim, design.head_dim_padded
    padded = QuantLinear(
        weight=np.zeros((len(heads) * width, layer.weight.shape[1]), np.int8),
        bias=np.zeros(len(heads) * width, np.int32),
        mult=np.full(len(heads) * width, ZERO_MULT, np.int32),
        shift=np.full(len(heads) * width, ZERO_SHIFT, np.int32),
    )
    for place, head in enumerate(heads):
        source = part * design.shape.embed_dim + head * dim
        for name in ("weight", "bias", "mult", "shift"):
            getattr(padded, name)[place * width : place * width + dim] = getattr(layer, name)[source : source + dim]
    return padded


def _rows(layer: QuantLinear, columns: range, tc: int) -> QuantLinear:
    """The output channels of the column tiles ``columns``."""
    rows = slice(columns.start * tc, columns.stop * tc)
    return QuantLinear(weight=layer.weight[rows], bias=layer.bias[rows], mult=layer.mult[rows], shift=layer.shift[rows])


def _stack(layers: Sequence[QuantLinear]) -> QuantLinear:
    names = ("weight", "bias", "mult", "shift")
    return QuantLinear(**{name: np.concatenate([getattr(layer, name) for layer in layers]) for name in names})


def _projections(
    design: Design, block: QuantBlock, heads: Sequence[int], parts: str, token_tiles: int, loads: bool
) -> LinearJob:
    """``parts`` of q, k and v of ``heads``."""
    f, nsa = design.folding, design.nsa
    per_head = design.head_dim_padded // f.tc
    tiles = [c for head in heads for c in range(head * per_head, (head + 1) * per_head)]
    value_stride = design.attn_dim // f.tc
    targets = {
        "q": _activation_targets(design, tiles, Destination.LEFT, nsa.inner_stride, nsa.inner_base),
        "k": _activation_targets(design, tiles, Destination.KEY, design.attn_dim // f.tk),
        "v": [Target(destination=Destination.VALUE, base=c, stride=value_stride) for c in tiles],
    }
    layer = _stack([_pad_heads(design, block.qkv, heads, "qkv".index(part)) for part in parts])
    where = [target for part in parts for target in targets[part]]
    src = (0, nsa.norm_stride)
    return linear_job(
        design, layer, where, src=src, token_tiles=token_tiles, drains=nsa.drain_groups, loads=loads, fast=loads
    )


def _score(design: Design, block: QuantBlock, head: int, token_tiles: int, *, loads: bool, fast: bool) -> ArrayJob:
    f, nsa = design.folding, design.nsa
    k_tiles = design.head_dim_padded // f.tk
    return ArrayJob(
        op=ArrayOp.SCORE,
        loads=loads,
        fast=fast,
        k_tiles=k_tiles,
        column_tiles=design.key_columns,
        token_tiles=token_tiles,
        seq_len=design.shape.seq_len,
        src=(nsa.inner_base + head * k_tiles, nsa.inner_stride),
        scale=(block.score_mult, block.score_shift),
        right=(head * k_tiles, design.attn_dim // f.tk),
        context_scale=(block.context_mult, block.context_shift),
    )


def _context(design: Design, head: int, token_tiles: int, *, fast: bool) -> ArrayJob:
    f, nsa = design.folding, design.nsa
    columns = design.head_dim_padded // f.tc
    return ArrayJob(
        op=ArrayOp.CONTEXT,
        loads=True,
        fast=fast,
        k_tiles=design.key_tiles,
        column_tiles=columns,
        token_tiles=token_tiles,
        seq_len=design.shape.seq_len,
        src=(0, design.key_tiles),
        right=(head * columns, design.attn_dim // f.tc),
        dst=(nsa.inner_base + head * (design.head_dim_padded // f.tk), nsa.inner_stride),
    )


def _projection(design: Design, layer: QuantLinear, *, class_token_only: bool, fast: bool) -> LinearJob:
    """proj reads the padded heads: zero rows where they are padded."""
    dim, width, nsa = design.shape.head_dim, design.head_dim_padded, design.nsa
    weight = np.zeros((design.shape.embed_dim, design.attn_dim), np.int8)
    for head in range(design.shape.num_heads):
        weight[:, head * width : head * width + dim] = layer.weight[:, head * dim : (head + 1) * dim]
    return linear_job(
        design,
        QuantLinear(weight=weight, bias=layer.bias, mult=layer.mult, shift=layer.shift),
        _residual_targets(design),
        src=(nsa.inner_base, nsa.inner_stride),
        token_tiles=1 if class_token_only else nsa.token_tiles,
        drains=1 if class_token_only else nsa.tt,
        seq_len=1 if class_token_only else design.shape.seq_len,
        by_token=True,
        spares=class_token_only and bool(design.folding.embed_nsa),
        loads=True,
        fast=fast,
    )


def self_attention(design: Design, block: QuantBlock, *, class_token_only: bool) -> list[Job]:
    """Slots of a block: the scores of one head beside the context of the head before.

    The first slot's scores come as early as they can, so that softmax works under the other heads' projections. From
    the second slot on the layer norm is done with, and that of the next image may arrive. The last slot is ended by
    the step's end mark. For the class token alone, keys and values are still those of all tokens; and if this array
    embeds, the patches of the next image, which have a region of their own, may arrive from the first job on.
    """
    heads, everything = design.shape.num_heads, design.nsa.token_tiles
    tiles = 1 if class_token_only else everything
    end = ArrayJob(op=ArrayOp.END)
    patches = class_token_only and bool(design.folding.embed_nsa)
    jobs: list[Job] = []
    if class_token_only:
        jobs.append(_projections(design, block, range(heads), "q", 1, patches))
    parts = "kv" if class_token_only else "qkv"
    jobs.append(_projections(design, block, [0], parts, everything, patches))
    jobs.append(_score(design, block, 0, tiles, loads=patches, fast=patches))
    if heads > 1:
        jobs.append(_projections(design, block, range(1, heads), parts, everything, patches))
    jobs.append(end)
    for head in range(1, heads):
        scores = _score(design, block, head, tiles, loads=True, fast=patches)
        jobs += [scores, _context(design, head - 1, tiles, fast=patches), end]
    last = _projection(design, block.proj, class_token_only=class_token_only, fast=patches)
    return [*jobs, _context(design, heads - 1, tiles, fast=patches), last]


def _fc1(design: Design, block: QuantBlock, base: int, **job: Any) -> LinearJob:
    targets = _activation_targets(
        design, range(design.fc1.column_tiles), Destination.LEFT, design.nmp.inner_stride, base
    )
    return linear_job(design, block.fc1, targets, gelu=np.asarray(block.gelu, np.int8).tobytes(), **job)


def mlp(design: Design, block: QuantBlock) -> list[Job]:
    """FC1 and FC2 of each slice of the tokens; under the last FC2 the next layer norm may arrive."""
    nmp = design.nmp
    jobs: list[Job] = []
    for part in design.mlp_parts:
        src = (part.first_tile * nmp.norm_stride, nmp.norm_stride)
        jobs.append(_fc1(design, block, nmp.inner_base, src=src, token_tiles=part.tiles, drains=nmp.drain_groups))
        fc2 = linear_job(
            design,
            block.fc2,
            _residual_targets(design, part.first_token),
            src=(nmp.inner_base, nmp.inner_stride),
            token_tiles=part.tiles,
            drains=nmp.tt,
            seq_len=part.tokens,
            by_token=True,
            loads=part.is_last,
        )
        jobs.append(fc2)
    return jobs


def class_token_mlp(design: Design, block: QuantBlock) -> list[Job]:
    """The last MLP, of the class token's tile.

    If this array embeds, the hidden region takes the patches of the next image meanwhile, and the result leaves its
    row to that image; else it is in the spare row already.
    """
    nmp, moved = design.nmp, bool(design.folding.embed_nsa)
    fc1 = _fc1(
        design,
        block,
        nmp.spare_base,
        src=(0, nmp.norm_stride),
        token_tiles=1,
        drains=1,
        loads=not moved,
        fast=not moved,
    )
    fc2 = linear_job(
        design,
        block.fc2,
        [replace(target, base=target.base - design.residual_base * moved) for target in _residual_targets(design)],
        src=(nmp.spare_base, 0),
        token_tiles=1,
        drains=1,
        seq_len=1,
        by_token=True,
        spares=not moved,
        loads=True,
        fast=not moved,
    )
    return [fc1, fc2]


def class_head(design: Design, layer: QuantLinear, columns: range) -> LinearJob:
    part = _rows(layer, columns, design.folding.tc)
    targets = [Target(destination=Destination.LOGITS, base=0)] * len(columns)
    src = (design.nsa.spare_base, 0)
    return linear_job(design, part, targets, src=src, token_tiles=1, drains=design.head_images, by_token=True)


def patch_embedding(design: Design, layer: QuantLinear) -> list[Job]:
    """Of each slice of the tokens, once its patches have come."""
    engine = design.nsa if design.folding.embed_nsa else design.nmp
    return [
        linear_job(
            design,
            _rows(layer, columns, design.folding.tc),
            _residual_targets(design, part.first_token)[columns.start : columns.stop],
            src=design.patch_place,
            token_tiles=part.tiles,
            drains=engine.tt,
            seq_len=part.tokens,
            by_token=True,
            replaces=True,
            waits=columns.start == 0,
            loads=part.is_last and columns.stop == design.channel_tiles,
        )
        for part in design.patch_parts
        for columns in design.embed_columns
    ]
