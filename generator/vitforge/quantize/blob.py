# SPDX-License-Identifier: Apache-2.0
"""The weight blob of a model on a design; `vitforge_host.blob` reads it."""

from __future__ import annotations

import json
import zlib
from typing import Any

from vitforge.design.design import Design
from vitforge.design.identity import design_hash
from vitforge.quantize.model import QuantModel
from vitforge.quantize.records import pad
from vitforge.quantize.sections import build_sections
from vitforge_host.blob import CHECKED_BYTES, HEADER, MAGIC, VERSION

__all__ = ["build_blob", "build_sections", "image_slices"]

_SECTION_ALIGN = 64  # bytes: a DDR burst starts on a cache line
_MANIFEST_ALIGN = 4096  # bytes: room, so that offsets do not depend on the manifest's own length


def build_blob(design: Design, model: QuantModel) -> bytes:
    """Header, manifest and sections, each with its CRC-32; the same inputs give the same bytes."""
    sections = build_sections(design, model)
    manifest_bytes = _MANIFEST_ALIGN
    while True:
        manifest = _manifest(design, model, sections, HEADER.size + manifest_bytes)
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
        if len(text) <= manifest_bytes:
            break
        manifest_bytes += _MANIFEST_ALIGN
    text = text.ljust(manifest_bytes)
    body = b"".join(pad(data, _SECTION_ALIGN) for data in sections.values())
    total = HEADER.size + manifest_bytes + len(body)
    fields = (MAGIC, VERSION, manifest_bytes, zlib.crc32(text), total, design_hash(design))
    header_crc = zlib.crc32(HEADER.pack(*fields, 0)[:CHECKED_BYTES])
    return HEADER.pack(*fields, header_crc) + text + body


def _manifest(design: Design, model: QuantModel, sections: dict[str, bytes], first: int) -> dict[str, Any]:
    beat, shape = design.beat_bytes, design.shape
    entries = {}
    offset = first
    for name, data in sections.items():
        entries[name] = {"offset_beats": offset // beat, "beats": len(data) // beat, "crc32": zlib.crc32(data)}
        offset += len(pad(data, _SECTION_ALIGN))
    return {
        "format": VERSION,
        "name": model.name,
        "design_hash": design_hash(design).hex(),
        "beat_bytes": beat,
        "tc": design.folding.tc,
        "depth": shape.depth,
        "seq_len": shape.seq_len,
        "embed_dim": shape.embed_dim,
        "image_beats": design.image_beats,
        "image_steps": design.image_steps,
        "head_images": design.head_images,
        "head_slices": len(design.head_slices),
        "embed_unit": "nsa" if design.folding.embed_nsa else "nmp",
        "image_slices": image_slices(design),
        "logits_words": design.result_words,
        "num_classes": shape.num_classes,
        "labels": list(model.labels),
        "logit_scale": float(model.scales.get("logits", 1.0)) if model.head is not None else model.feature_scale,
        "patch": {
            "size": shape.patch_size,
            "channels": shape.channels,
            "height": shape.image_size[0],
            "width": shape.image_size[1],
        },
        "sections": entries,
    }


def image_slices(design: Design) -> list[list[int]]:
    """(first beat, beats) of each slice of an image that is loaded at once."""
    row = design.image_row_beats
    return [[part.first_token * row, part.tokens * row] for part in design.patch_parts]
