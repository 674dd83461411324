# SPDX-License-Identifier: Apache-2.0
"""The weight streams of a model, cut into the sections that a schedule refers to by name."""

from __future__ import annotations

from dataclasses import replace

from vitforge.design.design import Design
from vitforge.quantize.jobs import class_head, class_token_mlp, mlp, patch_embedding, self_attention
from vitforge.quantize.model import QuantLinear, QuantModel, QuantNorm
from vitforge.quantize.records import ArrayJob, ArrayOp, NormJob, NormOp, encode_jobs, norm_records, residual_table

Pair = tuple[int, int]


def build_sections(design: Design, model: QuantModel) -> dict[str, bytes]:
    """Section name -> bytes (whole beats).

    Of each block i: ``ln1.{i}``, ``nsa.{i}``, ``ln2.{i}``, ``nmp.{i}``. Of an image that enters: ``ln2.load.{slice}``,
    ``nmp.embed``, and ``ln2.mark`` where none does; or ``ln1.…`` and ``nsa.embed`` if the attention array embeds. At
    the end ``ln1.final.{i}`` (descriptor for the i-th image of a group), ``ln1.final``, and with a class head
    ``nsa.head.{slice}.{n}`` (descriptor for n images), ``nsa.head.{slice}``. The end marks of a step: ``end.array``,
    ``end.ln``.
    """
    nsa, shape = design.nsa, design.shape
    sections: dict[str, bytes] = {}
    for i, block in enumerate(model.blocks):
        early = design.finishes_early and i == shape.depth - 1
        table = residual_table(design, model.x0) if i == 0 else b""
        sections[f"ln1.{i}"] = _norm(design, block.norm1, shape.seq_len, (0, nsa.norm_stride), table)
        sections[f"nsa.{i}"] = encode_jobs(self_attention(design, block, class_token_only=early))
        sections[f"ln2.{i}"] = _second_norm(design, block.norm2, class_token_only=early)
        sections[f"nmp.{i}"] = encode_jobs(class_token_mlp(design, block) if early else mlp(design, block))
    sections |= _final_norms(design, model.norm)
    if model.head is not None:
        sections |= _class_heads(design, model.head)
    embedder = "nsa" if design.folding.embed_nsa else "nmp"
    sections[f"{embedder}.embed"] = encode_jobs(patch_embedding(design, model.patch))
    sections |= _loads(design)
    sections["end.array"] = ArrayJob(op=ArrayOp.END, ends_step=True).encode()
    sections["end.ln"] = NormJob(op=NormOp.END).encode()
    return sections


def _second_norm(design: Design, norm: QuantNorm, *, class_token_only: bool) -> bytes:
    """Of all tokens; or of the class token, which is in the spare row if the next image has moved in already."""
    out = (0, design.nmp.norm_stride)
    if not class_token_only:
        return _norm(design, norm, design.shape.seq_len, out)
    return _norm(design, norm, 1, out, base=0 if design.folding.embed_nsa else design.residual_base)


def _norm(
    design: Design, norm: QuantNorm, tokens: int, out: Pair, table: bytes = b"", base: int | None = None
) -> bytes:
    job = NormJob(
        op=NormOp.NORM,
        has_table=bool(table),
        tokens=tokens,
        channels=design.shape.embed_dim,
        residual_base=design.residual_base if base is None else base,
        out=out,
        shift=norm.shift,
        eps=norm.eps,
    )
    return job.encode() + norm_records(design, norm) + table


def _final_norms(design: Design, norm: QuantNorm) -> dict[str, bytes]:
    """Of the class token, which waits in the spare row, for the head; or of all tokens, for the host.

    The class tokens of a group of images share a token tile, a row each.
    """
    early, nsa = design.finishes_early, design.nsa
    jobs = {
        f"ln1.final.{row}": NormJob(
            op=NormOp.NORM if early else NormOp.FEATURES,
            tokens=1 if early else design.shape.seq_len,
            channels=design.shape.embed_dim,
            residual_base=0 if early else design.residual_base,
            out=(nsa.spare_base, nsa.norm_stride) if early else (0, 0),
            out_row=row if early else 0,
            shift=norm.shift,
            eps=norm.eps,
        ).encode()
        for row in range(design.head_images)
    }
    return {**jobs, "ln1.final": norm_records(design, norm)}


def _loads(design: Design) -> dict[str, bytes]:
    """Patches of an image, slice by slice; and the mark alone, for a step in which none enters."""
    unit, k_tiles = "ln1" if design.folding.embed_nsa else "ln2", design.patch.k_tiles
    loads = {
        f"{unit}.load.{i}": NormJob(
            op=NormOp.LOAD, tokens=part.tokens, channels=k_tiles, out=design.patch_place
        ).encode()
        for i, part in enumerate(design.patch_parts)
    }
    return {**loads, f"{unit}.mark": NormJob(op=NormOp.LOAD).encode()}


def _class_heads(design: Design, layer: QuantLinear) -> dict[str, bytes]:
    """One job for a group of images: the weights are read once for all of them."""
    sections = {}
    for number, columns in enumerate(design.head_slices):
        head = class_head(design, layer, columns)
        for images in range(1, design.head_images + 1):
            sections[f"nsa.head.{number}.{images}"] = replace(head.job, seq_len=images).encode()
        sections[f"nsa.head.{number}"] = b"".join(head.tiles)
    return sections
