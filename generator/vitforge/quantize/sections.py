# SPDX-License-Identifier: Apache-2.0
"""The weight streams of a model, cut into the sections that a schedule refers to by name."""

from __future__ import annotations

from dataclasses import replace

from vitforge.design.block_sizes import arrival_pause
from vitforge.design.design import Design
from vitforge.design.geometry import ceil_div
from vitforge.model.keep import Mask
from vitforge.quantize.compact import keep_of
from vitforge.quantize.jobs import Job, class_head, class_token_mlp, mlp, patch_embedding, self_attention
from vitforge.quantize.model import QuantLinear, QuantModel, QuantNorm
from vitforge.quantize.pieces import Piece, Pieces, stream
from vitforge.quantize.records import (
    ArrayJob,
    ArrayOp,
    LinearJob,
    NormJob,
    NormOp,
    encode_jobs,
    norm_records,
    residual_table,
)

Pair = tuple[int, int]


def build_sections(design: Design, model: QuantModel) -> dict[str, bytes]:
    """Section name -> bytes (whole beats), as its unit sees them.

    Of each block i: ``ln1.{i}``, ``nsa.{i}``, ``ln2.{i}``, ``nmp.{i}``. Of an image that enters: ``ln2.load.{slice}``,
    ``nmp.embed``, and ``ln2.mark`` where none does; or ``ln1.…`` and ``nsa.embed`` if the attention array embeds. At
    the end ``ln1.final.{i}`` (descriptor for the i-th image of a group), ``ln1.final``, and with a class head
    ``nsa.head.{slice}.{n}`` (descriptor for n images), ``nsa.head.{slice}``. The end marks of a step: ``end.nsa``,
    ``end.nmp``, ``end.ln``.
    """
    sections = {name: stream(pieces) for name, pieces in array_pieces(design, model).items()}
    return sections | other_sections(design, model)


def array_pieces(design: Design, model: QuantModel) -> dict[str, Pieces]:
    """The sections that each image needs of the arrays: of every step, of the blocks, of an image that enters."""
    end = (Piece(ArrayJob(op=ArrayOp.END, ends_step=True).encode()),)
    jobs = {name: encode_jobs(jobs) for name, jobs in array_sections(design, model).items()}
    return {"end.nsa": end, "end.nmp": end, **jobs}


def other_sections(design: Design, model: QuantModel) -> dict[str, bytes]:
    """The sections of the layer norms, and those of the class head, which a group of images shares."""
    sections = {}
    for i, block in enumerate(model.blocks):
        early, keep = _is_early(design, i), keep_of(model, i)
        table = residual_table(design, model.x0) if i == 0 else b""
        out = (0, design.nsa.norm_stride)
        sections[f"ln1.{i}"] = _norm(design, block.norm1, keep.norm1, design.shape.seq_len, out, table)
        sections[f"ln2.{i}"] = _second_norm(design, block.norm2, keep.norm2, class_token_only=early)
    sections |= _final_norms(design, model.norm)
    if model.head is not None:
        sections |= _class_heads(design, model.head)
    return sections | _loads(design) | {"end.ln": NormJob(op=NormOp.END).encode()}


def array_sections(design: Design, model: QuantModel) -> dict[str, list[Job]]:
    """The jobs of those sections that are rows of jobs: of each block, and of an image that enters."""
    found: dict[str, list[Job]] = {}
    sparse = model.is_two_of_four and bool(design.folding.sparse)
    for i, block in enumerate(model.blocks):
        early, keep = _is_early(design, i), keep_of(model, i)
        nsa = self_attention(design, block, keep, class_token_only=early, sparse=sparse)
        nmp = (class_token_mlp if early else mlp)(design, block, keep, sparse=sparse)
        found |= {f"nsa.{i}": _paced(design, nsa, keep.norm1), f"nmp.{i}": _paced(design, nmp, keep.norm2)}
    embedder = "nsa" if design.folding.embed_nsa else "nmp"
    return {**found, f"{embedder}.embed": patch_embedding(design, model.patch)}


def _paced(design: Design, jobs: list[Job], keep: Mask) -> list[Job]:
    """``jobs`` that take activations no faster than a layer norm with ``keep`` sends them. What arrives belongs to
    another block, of about the same size."""
    pause = arrival_pause(design.qkv.k_tiles, ceil_div(int(keep.sum()), design.folding.tk))

    def paced(job: ArrayJob) -> ArrayJob:
        return replace(job, slow=pause) if job.loads and not job.fast else job

    return [replace(job, job=paced(job.job)) if isinstance(job, LinearJob) else paced(job) for job in jobs]


def _is_early(design: Design, block: int) -> bool:
    return design.finishes_early and block == design.shape.depth - 1


def _second_norm(design: Design, norm: QuantNorm, keep: Mask, *, class_token_only: bool) -> bytes:
    """Of all tokens; or of the class token, which is in the spare row if the next image has moved in already."""
    out = (0, design.nmp.norm_stride)
    if not class_token_only:
        return _norm(design, norm, keep, design.shape.seq_len, out)
    return _norm(design, norm, keep, 1, out, base=0 if design.folding.embed_nsa else design.residual_base)


def _norm(
    design: Design, norm: QuantNorm, keep: Mask, tokens: int, out: Pair, table: bytes = b"", base: int | None = None
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
    return job.encode() + norm_records(design, norm, keep) + table


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
        sections[f"nsa.head.{number}"] = stream(head.tiles)
    return sections
