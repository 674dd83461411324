# SPDX-License-Identifier: Apache-2.0
"""The weight streams of a model, cut into the sections that a schedule refers to by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vitforge.design.design import Design
from vitforge.quantize.model import QuantBlock, QuantLinear, QuantModel, QuantNorm
from vitforge.quantize.records import (
    ZERO_MULT,
    ZERO_SHIFT,
    ArrayJob,
    ArrayOp,
    Destination,
    NormJob,
    NormOp,
    Target,
    linear_job,
    norm_records,
    residual_table,
)

Pair = tuple[int, int]


def build_sections(design: Design, model: QuantModel) -> dict[str, bytes]:
    """Section name -> bytes (whole beats).

    Of each block i: ``ln1.{i}``, ``nsa.{i}``, ``ln2.{i}``, ``nmp.{i}``. Once: ``ln2.load``, ``nmp.embed``,
    ``ln1.final``, ``nsa.head``. The end marks of a step: ``end.array``, ``end.ln``.
    """
    nsa, nmp, shape = design.nsa, design.nmp, design.shape
    whole = (0, nsa.xn_stride)
    sections: dict[str, bytes] = {}
    for i, block in enumerate(model.blocks):
        table = residual_table(design, model.x0) if i == 0 else b""
        base = design.embed_branch_base if i == 0 else 0
        sections[f"ln1.{i}"] = _norm(design, block.norm1, shape.seq_len, base, whole, table)
        sections[f"nsa.{i}"] = _self_attention(design, block)
        sections[f"ln2.{i}"] = _norm(design, block.norm2, shape.seq_len, 0, (0, nmp.xn_stride))
        sections[f"nmp.{i}"] = _mlp(design, block)
    sections["ln1.final"] = _norm(design, model.norm, 1, 0, (nsa.extra_base, nsa.extra_stride))
    sections["nsa.head"] = _class_head(design, model.head)
    sections["nmp.embed"] = _patch_embedding(design, model.patch)
    sections["ln2.load"] = NormJob(
        op=NormOp.LOAD, tokens=shape.seq_len, channels=design.patch.k_tiles, out=(nmp.extra_base, nmp.extra_stride)
    ).encode()
    sections["end.array"] = ArrayJob(op=ArrayOp.END, ends_step=True).encode()
    sections["end.ln"] = NormJob(op=NormOp.END).encode()
    return sections


def _norm(design: Design, norm: QuantNorm, tokens: int, branch_base: int, out: Pair, table: bytes = b"") -> bytes:
    job = NormJob(
        op=NormOp.NORM,
        has_table=bool(table),
        tokens=tokens,
        channels=design.shape.embed_dim,
        branch=(branch_base, design.channel_tiles),
        out=out,
        shift=norm.shift,
        eps=norm.eps,
    )
    return job.encode() + norm_records(design, norm) + table


def _activation_targets(design: Design, tiles: Sequence[int], destination: Destination, stride: int) -> list[Target]:
    """Column tiles ``tiles`` of an activation layout: tk / tc of them fill an entry."""
    groups = design.folding.tk // design.folding.tc
    return [Target(destination=destination, base=c // groups, group=c % groups, stride=stride) for c in tiles]


def _branch_targets(design: Design, base: int) -> list[Target]:
    stride = design.channel_tiles
    return [Target(destination=Destination.BRANCH, base=base + c, stride=stride) for c in range(stride)]


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


def _stack(layers: Sequence[QuantLinear]) -> QuantLinear:
    names = ("weight", "bias", "mult", "shift")
    return QuantLinear(**{name: np.concatenate([getattr(layer, name) for layer in layers]) for name in names})


def _qkv(design: Design, block: QuantBlock, heads: Sequence[int]) -> bytes:
    f, nsa = design.folding, design.nsa
    per_head = design.head_dim_padded // f.tc
    tiles = [c for head in heads for c in range(head * per_head, (head + 1) * per_head)]
    value_stride = design.attn_dim // f.tc
    targets = [
        *_activation_targets(design, tiles, Destination.SCRATCH, nsa.scratch_stride),
        *_activation_targets(design, tiles, Destination.KEY, design.attn_dim // f.tk),
        *(Target(destination=Destination.VALUE, base=c, stride=value_stride) for c in tiles),
    ]
    layer = _stack([_pad_heads(design, block.qkv, heads, part) for part in range(3)])
    return linear_job(design, nsa, layer, targets, (0, nsa.xn_stride))


def _score(design: Design, block: QuantBlock, head: int) -> bytes:
    f, nsa = design.folding, design.nsa
    k_tiles = design.head_dim_padded // f.tk
    return ArrayJob(
        op=ArrayOp.SCORE,
        from_scratch=True,
        k_tiles=k_tiles,
        column_tiles=design.key_columns,
        token_tiles=nsa.token_tiles,
        seq_len=design.shape.seq_len,
        src=(head * k_tiles, nsa.scratch_stride),
        scale=(block.score_mult, block.score_shift),
        right=(head * k_tiles, design.attn_dim // f.tk),
        context_scale=(block.context_mult, block.context_shift),
    ).encode()


def _context(design: Design, head: int) -> bytes:
    f, nsa = design.folding, design.nsa
    columns = design.head_dim_padded // f.tc
    return ArrayJob(
        op=ArrayOp.CONTEXT,
        k_tiles=design.key_tiles,
        column_tiles=columns,
        token_tiles=nsa.token_tiles,
        seq_len=design.shape.seq_len,
        right=(head * columns, design.attn_dim // f.tc),
        dst=(head * (design.head_dim_padded // f.tk), nsa.scratch_stride),
    ).encode()


def _projection(design: Design, layer: QuantLinear) -> bytes:
    """proj reads the padded heads: zero rows where they are padded."""
    dim, width = design.shape.head_dim, design.head_dim_padded
    weight = np.zeros((design.shape.embed_dim, design.attn_dim), np.int8)
    for head in range(design.shape.num_heads):
        weight[:, head * width : head * width + dim] = layer.weight[:, head * dim : (head + 1) * dim]
    padded = QuantLinear(weight=weight, bias=layer.bias, mult=layer.mult, shift=layer.shift)
    src = (0, design.nsa.scratch_stride)
    return linear_job(design, design.nsa, padded, _branch_targets(design, 0), src, from_scratch=True)


def _self_attention(design: Design, block: QuantBlock) -> bytes:
    """Slots of a block: the scores of one head beside the context of the head before.

    The first slot's scores come as early as they can, so that softmax works under the other heads' projections. The
    last slot is ended by the step's end mark.
    """
    heads = design.shape.num_heads
    end = ArrayJob(op=ArrayOp.END).encode()
    stream = _qkv(design, block, [0]) + _score(design, block, 0)
    if heads > 1:
        stream += _qkv(design, block, range(1, heads))
    stream += end
    for head in range(1, heads):
        stream += _score(design, block, head) + _context(design, head - 1) + end
    return stream + _context(design, heads - 1) + _projection(design, block.proj)


def _mlp(design: Design, block: QuantBlock) -> bytes:
    nmp = design.nmp
    hidden = _activation_targets(design, range(design.fc1.column_tiles), Destination.SCRATCH, nmp.scratch_stride)
    table = np.asarray(block.gelu, np.int8).tobytes()
    fc1 = linear_job(design, nmp, block.fc1, hidden, (0, nmp.xn_stride), gelu=table)
    src = (0, nmp.scratch_stride)
    return fc1 + linear_job(design, nmp, block.fc2, _branch_targets(design, 0), src, from_scratch=True)


def _class_head(design: Design, layer: QuantLinear) -> bytes:
    nsa = design.nsa
    targets = [Target(destination=Destination.LOGITS, base=0)] * design.head.column_tiles
    return linear_job(design, nsa, layer, targets, (nsa.extra_base, nsa.extra_stride), tokens=1)


def _patch_embedding(design: Design, layer: QuantLinear) -> bytes:
    nmp = design.nmp
    targets = _branch_targets(design, design.embed_branch_base)
    return linear_job(design, nmp, layer, targets, (nmp.extra_base, nmp.extra_stride))
