# SPDX-License-Identifier: Apache-2.0
"""The weight blob: deterministic, readable, and refused after any damage."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blob.streams import Store
from kernels.designs import DESIGNS
from kernels.support import quant_model
from vitforge.design.identity import design_hash
from vitforge.quantize.blob import build_blob, build_sections
from vitforge_host.blob import (
    CHECKED_BYTES,
    HEADER,
    Blob,
    BlobError,
    pack_images,
    pack_results,
    read_blob,
    section_names,
    unpack_results,
)
from vitforge_host.errors import InputError

DESIGN = DESIGNS["ragged"]
MODEL = quant_model(DESIGN, "random")
BLOB = build_blob(DESIGN, MODEL)


def test_sections_come_back() -> None:
    blob = read_blob(BLOB)
    beat = blob.manifest["beat_bytes"]
    kept = []
    for name, content in build_sections(DESIGN, MODEL).items():
        entry = blob.manifest["sections"][name]
        found = stretch(blob, entry)
        if "kept" in entry:
            kept.append(name)
            store = Store(entry["kept"]["entries"], beat, np.random.default_rng(0))
            store.keep(stretch(blob, entry["kept"]), 0, entry["kept"]["entries"])
            found = store.recall(found, 0, entry["kept"]["entries"])
        assert found == content, name
    assert kept and len(kept) < len(blob.manifest["sections"])


def stretch(blob: Blob, entry: dict[str, int]) -> bytes:
    first = entry["offset_beats"] * blob.manifest["beat_bytes"]
    assert first % 64 == 0
    return blob.data[first : first + entry["beats"] * blob.manifest["beat_bytes"]].tobytes()


def stretches(manifest: Mapping[str, Any]) -> list[tuple[str, dict[str, int]]]:
    """(section, place) of what is read for each image, and of what is read once a launch."""
    sections = manifest["sections"].items()
    return [*sections, *((name, entry["kept"]) for name, entry in sections if "kept" in entry)]


def test_manifest_has_what_the_driver_needs() -> None:
    manifest = read_blob(BLOB).manifest
    shape = DESIGN.shape
    assert manifest["design_hash"] == design_hash(DESIGN).hex()
    assert manifest["seq_len"] == shape.seq_len
    assert manifest["depth"] == shape.depth
    assert (manifest["tc"], manifest["embed_dim"]) == (DESIGN.folding.tc, shape.embed_dim)
    assert (manifest["image_steps"], manifest["head_images"]) == (4 * shape.depth, min(4, DESIGN.folding.tt_nsa))
    assert manifest["embed_unit"] == ("nsa" if DESIGN.folding.embed_nsa else "nmp")
    assert sum(beats for _, beats in manifest["image_slices"]) == manifest["image_beats"] == DESIGN.image_beats
    assert manifest["labels"] == list(MODEL.labels)
    assert manifest["logit_scale"] == MODEL.scales["logits"]
    assert json.loads(json.dumps(manifest)) == manifest


def test_same_input_same_bytes() -> None:
    assert build_blob(DESIGN, MODEL) == BLOB


def _covered(position: int) -> bool:
    """Whether a byte belongs to header, manifest or a section; the rest is padding that nobody reads."""
    if position < CHECKED_BYTES + 4:
        return True
    manifest = read_blob(BLOB).manifest
    beat = manifest["beat_bytes"]
    first = min(entry["offset_beats"] for _, entry in stretches(manifest)) * beat
    if HEADER.size <= position < first:
        return True
    return any(
        entry["offset_beats"] * beat <= position < (entry["offset_beats"] + entry["beats"]) * beat
        for _, entry in stretches(manifest)
    )


@given(position=st.integers(0, len(BLOB) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_is_refused(position: int, bit: int) -> None:
    damaged = bytearray(BLOB)
    damaged[position] ^= 1 << bit
    if _covered(position):
        with pytest.raises(BlobError) as caught:
            read_blob(bytes(damaged))
        assert "\n" not in str(caught.value)
    else:
        assert read_blob(bytes(damaged)).manifest == read_blob(BLOB).manifest


@given(length=st.integers(0, len(BLOB) - 1))
def test_a_cut_off_blob_is_refused(length: int) -> None:
    with pytest.raises(BlobError):
        read_blob(BLOB[:length])


@pytest.mark.parametrize(
    ("name", "offset"),
    [(name, entry["offset_beats"]) for name, entry in stretches(read_blob(BLOB).manifest) if entry["beats"]],
)
def test_the_damaged_section_is_named(name: str, offset: int) -> None:
    damaged = bytearray(BLOB)
    damaged[offset * DESIGN.beat_bytes] ^= 1
    with pytest.raises(BlobError, match=f"section {name} "):
        read_blob(bytes(damaged))


def test_files_that_are_no_blob() -> None:
    for content in (b"", b"VITFORGE", bytes(4096), b"PK\x03\x04" + bytes(100)):
        with pytest.raises(BlobError):
            read_blob(content)


def test_a_blob_of_another_format_is_refused() -> None:
    """Before anything of it is read: earlier ones had no stores."""
    magic, version, *others = HEADER.unpack_from(BLOB)
    header = HEADER.pack(magic, version - 1, *others[:-1], 0)[:CHECKED_BYTES]
    old = header + zlib.crc32(header).to_bytes(4, "little") + BLOB[CHECKED_BYTES + 4 :]
    with pytest.raises(BlobError, match=f"has format {version - 1}, this driver reads {version}; generate it again"):
        read_blob(old)


def with_manifest(**changes: object) -> bytes:
    """The blob with another manifest, and both CRCs right."""
    magic, version, size, _, total, digest, _ = HEADER.unpack_from(BLOB)
    manifest = {**read_blob(BLOB).manifest, **changes}
    text = json.dumps({name: value for name, value in manifest.items() if value is not None}).encode().ljust(size)
    fields = (magic, version, len(text), zlib.crc32(text), total, digest)
    header = HEADER.pack(*fields, zlib.crc32(HEADER.pack(*fields, 0)[:CHECKED_BYTES]))
    return header + text + BLOB[HEADER.size + size :]


END_KEPT = read_blob(BLOB).manifest["sections"]["end.nsa"]["kept"]


def changed_section(name: str, **changes: object) -> bytes:
    sections = read_blob(BLOB).manifest["sections"]
    return with_manifest(sections={**sections, name: {**sections[name], **changes}})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (with_manifest(sections=None), "none of ours .*sections"),
        (with_manifest(sections=[]), "none of ours"),
        (with_manifest(patch="4"), "none of ours"),
        (with_manifest(depth=DESIGN.shape.depth + 1), f"lacks section ln1.{DESIGN.shape.depth}"),
        (with_manifest(beat_bytes=16.0), "whole number"),
        (with_manifest(image_slices=None), "none of ours .*image_slices"),
        (with_manifest(image_slices=[[0, DESIGN.image_beats]] * 3), "lacks section ln1.load."),
        (with_manifest(image_slices=[[-1, DESIGN.image_beats]]), "whole number"),
        (with_manifest(embed_unit="softmax"), "none of ours"),
        (with_manifest(head_images=5), "lacks section ln1.final.4"),
        (with_manifest(image_steps=0), "whole number"),
        (with_manifest(seq_len=0), "whole number"),
        (with_manifest(design_hash="00" * 32), "different designs"),
        (changed_section("nsa.head.0", offset_beats=1 << 40), "section nsa.head.0 .* outside"),
        (changed_section("nsa.head.0", offset_beats=-1), "whole number"),
        (changed_section("end.ln", beats=0, crc32=0), "section end.ln .* empty"),
        (changed_section("end.nsa", kept=None), "none of ours .*TypeError"),
        (changed_section("end.nsa", kept={"first": 0, "entries": 2}), "none of ours .*offset_beats"),
        (changed_section("end.nsa", kept=END_KEPT | {"first": -1}), "whole number"),
        (changed_section("end.nsa", kept=END_KEPT | {"offset_beats": 1 << 40}), "section end.nsa .* outside"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(content: bytes, says: str) -> None:
    """CRCs tell damage; these are right, and what they cover is wrong."""
    with pytest.raises(BlobError, match=says) as caught:
        read_blob(content)
    assert "\n" not in str(caught.value)


def test_a_manifest_written_again_is_accepted() -> None:
    assert read_blob(with_manifest()).manifest == read_blob(BLOB).manifest


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_sections_are_those_that_the_host_expects(name: str) -> None:
    design = DESIGNS[name]
    model = quant_model(design, "random")
    assert set(build_sections(design, model)) == section_names(read_blob(build_blob(design, model)).manifest)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 12, 12, 1), np.uint8),
        np.zeros((2, 12, 16, 3), np.uint8),
        np.zeros((12, 12, 3), np.uint8),
        np.zeros((2, 12, 12, 3), np.float32),
        np.zeros((2, 12, 12, 3), np.int8),
    ],
)
def test_images_of_another_shape_or_type_are_refused(images: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"this model takes \(n, 12, 12, 3\) uint8"):
        pack_images(images, read_blob(BLOB).manifest)


def test_no_images_are_no_bytes() -> None:
    packed = pack_images(np.zeros((0, 12, 12, 3), np.uint8), read_blob(BLOB).manifest)
    assert packed.shape == (0, DESIGN.image_beats * DESIGN.beat_bytes)


def test_images_lie_as_rows_of_patches() -> None:
    """Pixel (row, column, channel) of patch p is byte (channel, row, column) of row p + 1; row 0 and padding: 0x80."""
    manifest = read_blob(BLOB).manifest
    height, width = DESIGN.shape.image_size
    patch, channels = DESIGN.shape.patch_size, DESIGN.shape.channels
    images = np.random.default_rng(0).integers(0, 256, (3, height, width, channels), np.uint8)
    packed = pack_images(images, manifest).reshape(3, DESIGN.shape.seq_len, -1)
    assert (packed[:, 0] == 0x80).all()
    assert packed.shape[2] == DESIGN.image_row_beats * DESIGN.beat_bytes
    for p in range(DESIGN.shape.num_patches):
        top, left = p // (width // patch) * patch, p % (width // patch) * patch
        for c in range(channels):
            block = images[:, top : top + patch, left : left + patch, c].reshape(3, -1)
            assert (packed[:, p + 1, c * patch * patch : (c + 1) * patch * patch] == block).all()
    assert (packed[:, :, DESIGN.shape.patch_len :] == 0x80).all()


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_results_come_back(name: str, count: int) -> None:
    design = DESIGNS[name]
    manifest = read_blob(build_blob(design, quant_model(design, "zero"))).manifest
    rng = np.random.default_rng(count)
    results = rng.integers(-(1 << 30), 1 << 30, (count, *design.shape.output_shape)).astype(np.int32)
    words = pack_results(results, manifest)
    assert words.shape == (count, design.result_words) and words.dtype == np.int32
    np.testing.assert_array_equal(unpack_results(words, manifest), results)


def test_logits_of_a_group_lie_tile_by_tile() -> None:
    """7 classes in tiles of 2, 6 images: 4 and 2. A tile of image 0, of image 1 ... and so on; padding is 0."""
    manifest = read_blob(BLOB).manifest
    logits = 10 * np.arange(6, dtype=np.int32)[:, None] + np.arange(1, 8, dtype=np.int32)
    words = pack_results(logits, manifest).reshape(-1)
    assert words[:8].tolist() == [1, 2, 11, 12, 21, 22, 31, 32]
    assert words[8:16].tolist() == [3, 4, 13, 14, 23, 24, 33, 34]
    assert words[24:36].tolist() == [7, 0, 17, 0, 27, 0, 37, 0, 41, 42, 51, 52]
    assert words[-4:].tolist() == [47, 0, 57, 0]
