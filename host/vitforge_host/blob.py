# SPDX-License-Identifier: Apache-2.0
"""The weight blob: a header, a JSON manifest, and the sections that the accelerator streams from DDR.

header (64 bytes, little endian): magic "VITFORGE", u32 version, u32 manifest bytes, u32 CRC-32 of the manifest,
u32 bytes of the whole blob, 32 bytes design hash, u32 CRC-32 of the 56 bytes before, 4 bytes 0.

A section is read for each image. Where the accelerator keeps a part of it, that is the section's ``kept`` in the
manifest, which is read once a launch, and the section holds the rest; it may be empty then.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge_host.errors import InputError

MAGIC = b"VITFORGE"
VERSION = 4
HEADER = struct.Struct("<8sIIII32sI4x")
CHECKED_BYTES = HEADER.size - 8  # of the header, by its own CRC
PADDING_PIXEL = 0x80
_COUNTS = (
    "beat_bytes",
    "tc",
    "depth",
    "seq_len",
    "embed_dim",
    "image_beats",
    "image_steps",
    "head_images",
    "head_slices",
    "logits_words",
)


class BlobError(InputError):
    """The bytes are not a weight blob, or were damaged."""


@dataclass(frozen=True)
class Blob:
    """A checked blob. ``data`` (bytes,) uint8 is what goes to DDR, header and manifest included."""

    manifest: Mapping[str, Any]
    data: NDArray[np.uint8]


def read_blob(data: bytes | NDArray[np.uint8]) -> Blob:
    """Check every CRC of a blob. Raises BlobError that names the first part that is wrong."""
    content = bytes(data)
    if len(content) < HEADER.size:
        raise BlobError(f"the weight blob is cut off: {len(content)} bytes, its header alone has {HEADER.size}")
    magic, version, manifest_bytes, manifest_crc, total, design_hash, header_crc = HEADER.unpack_from(content)
    if magic != MAGIC:
        raise BlobError("the weight blob does not start with VITFORGE; give the file that vitforge generate wrote")
    if zlib.crc32(content[:CHECKED_BYTES]) != header_crc:
        raise BlobError("the weight blob is damaged: CRC-32 of its header does not match; copy it again")
    if version != VERSION:
        raise BlobError(f"the weight blob has format {version}, this driver reads {VERSION}; generate it again")
    if total != len(content):
        raise BlobError(f"the weight blob has {len(content)} bytes instead of {total}; copy it again")
    text = content[HEADER.size : HEADER.size + manifest_bytes]
    if zlib.crc32(text) != manifest_crc:
        raise BlobError("the weight blob is damaged: CRC-32 of its manifest does not match; copy it again")
    manifest = _read_manifest(text)
    if manifest["design_hash"] != design_hash.hex():
        raise BlobError("the weight blob contradicts itself: header and manifest name different designs")
    _check_sections(manifest, content)
    return Blob(manifest=manifest, data=np.frombuffer(content, np.uint8))


def _read_manifest(text: bytes) -> dict[str, Any]:
    """The manifest, with all that driver and schedule take from it."""
    try:
        manifest = json.loads(text)
        counts = [manifest[name] for name in _COUNTS]
        counts += [beats for _, beats in manifest["image_slices"]]
        counts += [manifest["patch"][name] for name in ("size", "channels", "height", "width")]
        places = [first for first, _ in manifest["image_slices"]] + [manifest["num_classes"]]
        places += [entry[name] for _, entry in _stretches(manifest) for name in ("offset_beats", "beats", "crc32")]
        kept = [entry["kept"] for entry in manifest["sections"].values() if "kept" in entry]
        places += [entry[name] for entry in kept for name in ("first", "entries")]
        missing = sorted(section_names(manifest) - set(manifest["sections"]))
        is_whole = all(type(value) is int and value >= 0 for value in counts + places) and min(counts) > 0
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BlobError(
            f"the manifest of the weight blob is none of ours ({type(error).__name__}: {error}); generate it again"
        ) from None
    if not is_whole or missing:
        what = f"section {missing[0]}" if missing else "a size or place that is a whole number"
        raise BlobError(f"the manifest of the weight blob lacks {what}; generate it again")
    return manifest


def section_names(manifest: Mapping[str, Any]) -> set[str]:
    """All sections that a schedule can refer to."""
    depth, group = manifest["depth"], manifest["head_images"]
    names = {f"{unit}.{block}" for unit in ("ln1", "nsa", "ln2", "nmp") for block in range(depth)}
    unit = manifest["embed_unit"]
    loader = {"nsa": "ln1", "nmp": "ln2"}[unit]
    names |= {f"{loader}.load.{index}" for index in range(len(manifest["image_slices"]))}
    names |= {f"ln1.final.{row}" for row in range(group)}
    if manifest["num_classes"]:
        for part in range(manifest["head_slices"]):
            names |= {f"nsa.head.{part}"} | {f"nsa.head.{part}.{images}" for images in range(1, group + 1)}
    return names | {f"{loader}.mark", f"{unit}.embed", "ln1.final", "end.nsa", "end.nmp", "end.ln"}


def _stretches(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(section, offset, size and CRC) of all that lies behind the manifest."""
    for name, entry in manifest["sections"].items():
        yield name, entry
        if "kept" in entry:
            yield name, entry["kept"]


def _check_sections(manifest: Mapping[str, Any], content: bytes) -> None:
    beat = manifest["beat_bytes"]
    for name, entry in _stretches(manifest):
        first, length = entry["offset_beats"] * beat, entry["beats"] * beat
        is_empty = length == 0 and "kept" not in entry
        if is_empty or first + length > len(content):
            raise BlobError(f"section {name} of the weight blob lies outside of it or is empty; generate it again")
        if zlib.crc32(content[first : first + length]) != entry["crc32"]:
            raise BlobError(f"the weight blob is damaged: CRC-32 of section {name} does not match; copy it again")


def pack_images(images: NDArray[np.uint8], manifest: Mapping[str, Any]) -> NDArray[np.uint8]:
    """(n, H, W, C) uint8 images as they lie in DDR, (n, image bytes) uint8.

    A row a token, padded to whole beats: the class token's row is all 0x80 (zero), then the patches row by row, each in
    (channel, row, column) order. Raises InputError for images of another shape or type.
    """
    image_bytes = int(manifest["image_beats"]) * int(manifest["beat_bytes"])
    packed = np.full((len(images), image_bytes), PADDING_PIXEL, np.uint8)
    pack_into(packed, images, manifest)
    return packed


def pack_into(packed: NDArray[np.uint8], images: NDArray[np.uint8], manifest: Mapping[str, Any]) -> None:
    """As `pack_images`, into ``packed``, which must hold 0x80 wherever no pixel lies."""
    expected = tuple(int(manifest["patch"][name]) for name in ("height", "width", "channels"))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
        shape = ", ".join(map(str, expected))
        raise InputError(f"images are {images.shape} {images.dtype}; this model takes (n, {shape}) uint8")
    patch, rows = int(manifest["patch"]["size"]), int(manifest["seq_len"])
    n, height, width, channels = images.shape
    high, wide = height // patch, width // patch  # pixels beyond the last whole patch are not read
    grid = images[:, : high * patch, : wide * patch].reshape(n, high, patch, wide, patch, channels)
    places = packed.reshape(n, rows, packed.shape[1] // rows)[:, 1:, : channels * patch * patch]
    places.shape = (n, high, wide, channels, patch, patch)  # unlike reshape, never a copy
    np.copyto(places, grid.transpose(0, 1, 3, 5, 2, 4))


def unpack_results(words: NDArray[np.int32], manifest: Mapping[str, Any]) -> NDArray[np.int32]:
    """(n, result words) int32 as the accelerator wrote them: (n, classes) logits, or (n, tokens, channels) features.

    The logits of a group of images lie column tile by column tile, in each image by image.
    """
    classes, count = int(manifest["num_classes"]), len(words)
    if not classes:
        tokens, channels = int(manifest["seq_len"]), int(manifest["embed_dim"])
        return words.reshape(count, tokens, -1)[:, :, :channels]
    group, tc = int(manifest["head_images"]), int(manifest["tc"])
    logits = np.empty_like(words)
    for first in range(0, count, group):
        part = words[first : first + group]
        tiles = part.reshape(-1, len(part), tc)
        logits[first : first + group] = tiles.transpose(1, 0, 2).reshape(len(part), -1)
    return logits[:, :classes]


def pack_results(results: NDArray[np.int32], manifest: Mapping[str, Any]) -> NDArray[np.int32]:
    """The inverse of `unpack_results`; padding is 0."""
    classes, count, width = int(manifest["num_classes"]), len(results), int(manifest["logits_words"])
    if not classes:
        words = np.zeros((count, int(manifest["seq_len"]), width // int(manifest["seq_len"])), np.int32)
        words[:, :, : results.shape[2]] = results
        return words.reshape(count, width)
    group, tc = int(manifest["head_images"]), int(manifest["tc"])
    words = np.zeros((count, width), np.int32)
    words[:, :classes] = results
    for first in range(0, count, group):
        part = words[first : first + group]
        words[first : first + group] = part.reshape(len(part), -1, tc).transpose(1, 0, 2).reshape(len(part), -1)
    return words
