# SPDX-License-Identifier: Apache-2.0
"""The weight blob of a model on a design; `vitforge_host.blob` reads it."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

from vitforge.design.design import Design
from vitforge.design.identity import design_hash
from vitforge.quantize.model import QuantModel
from vitforge.quantize.pieces import entry_count, kept_bytes, resident_places, stream
from vitforge.quantize.records import pad
from vitforge.quantize.sections import array_pieces, build_sections, other_sections
from vitforge_host.blob import CHECKED_BYTES, HEADER, MAGIC, VERSION

__all__ = ["build_blob", "build_sections", "image_slices"]

_SECTION_ALIGN = 64  # bytes: a DDR burst starts on a cache line
_MANIFEST_ALIGN = 4096  # bytes: room, so that offsets do not depend on the manifest's own length


def build_blob(design: Design, model: QuantModel) -> bytes:
    """Header, manifest and sections, each with its CRC-32; the same inputs give the same bytes."""
    parts = _parts(design, model)
    manifest_bytes = _MANIFEST_ALIGN
    while True:
        manifest = _manifest(design, model, parts, HEADER.size + manifest_bytes)
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
        if len(text) <= manifest_bytes:
            break
        manifest_bytes += _MANIFEST_ALIGN
    text = text.ljust(manifest_bytes)
    body = b"".join(pad(data, _SECTION_ALIGN) for part in parts.values() for data in (part.data, part.kept))
    total = HEADER.size + manifest_bytes + len(body)
    fields = (MAGIC, VERSION, manifest_bytes, zlib.crc32(text), total, design_hash(design))
    header_crc = zlib.crc32(HEADER.pack(*fields, 0)[:CHECKED_BYTES])
    return HEADER.pack(*fields, header_crc) + text + body


@dataclass(frozen=True)
class _Part:
    """A section in DDR: what is read for each image, and what a resident store keeps of it."""

    data: bytes
    kept: bytes = b""
    first: int = 0  # entry of the store
    entries: int = 0


def _parts(design: Design, model: QuantModel) -> dict[str, _Part]:
    """All sections: as their unit sees them, or apart if their entries have a place in its resident store."""
    beat, arrays = design.beat_bytes, array_pieces(design, model)
    places = resident_places(arrays, design.resident_entries, beat)
    parts = {}
    for name, pieces in arrays.items():
        if name in places:
            words = b"".join(piece.words for piece in pieces)
            parts[name] = _Part(words, kept_bytes(pieces, beat), places[name], entry_count(pieces, beat))
        else:
            parts[name] = _Part(stream(pieces))
    return parts | {name: _Part(data) for name, data in other_sections(design, model).items()}


def _manifest(design: Design, model: QuantModel, parts: dict[str, _Part], first: int) -> dict[str, Any]:
    beat, shape = design.beat_bytes, design.shape
    offset = first

    def place(data: bytes) -> dict[str, Any]:
        nonlocal offset
        start = offset
        offset += len(pad(data, _SECTION_ALIGN))
        return {"offset_beats": start // beat, "beats": len(data) // beat, "crc32": zlib.crc32(data)}

    entries = {}
    for name, part in parts.items():
        entries[name] = place(part.data)
        if part.kept:
            entries[name]["kept"] = {**place(part.kept), "first": part.first, "entries": part.entries}
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
