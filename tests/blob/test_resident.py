# SPDX-License-Identifier: Apache-2.0
"""Resident stores: what stays on chip, what a further image still reads, and that nothing of another launch is used."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from blob.test_interpreter import interpret
from kernels.designs import DESIGNS
from kernels.support import images, quant_model
from vitforge.design.design import Design
from vitforge.design.resident import MOST_ENTRIES, needed_entries
from vitforge.golden.vit import forward
from vitforge.quantize.blob import build_blob
from vitforge.quantize.model import QuantModel
from vitforge.quantize.prune import prune_quantized, prune_two_of_four, random_keep
from vitforge.timing.ddr import image_bytes, linear_bytes
from vitforge_host.blob import read_blob
from vitforge_host.schedule import ChunkKind, chunk_lists

BEATS_OF_128 = sorted(name for name, design in DESIGNS.items() if design.axi_bits == 128)
SIZES = (0, 1, 2, 40, 150, 300, MOST_ENTRIES)


def with_entries(design: Design, nsa: int, nmp: int) -> Design:
    return dataclasses.replace(design, folding=dataclasses.replace(design.folding, resident_nsa=nsa, resident_nmp=nmp))


def pruned(design: Design, fraction: float, *, sparse: bool = False) -> QuantModel:
    rng = np.random.default_rng(7)
    keep = [random_keep(rng, design.shape, fraction) for _ in range(design.shape.depth)]
    model = prune_quantized(quant_model(design, "random"), keep)
    return prune_two_of_four(model) if sparse else model


@pytest.mark.parametrize("entries", SIZES)
@pytest.mark.parametrize("name", BEATS_OF_128)
def test_every_size_of_a_store_gives_the_same_results(name: str, entries: int) -> None:
    design = with_entries(DESIGNS[name], entries, SIZES[-1 - SIZES.index(entries)])
    for model in (quant_model(design, "random"), pruned(design, 0.4), pruned(design, 0.7, sparse=True)):
        pictures = images(design, 5)
        np.testing.assert_array_equal(interpret(design, model, pictures), forward(model, pictures))


@pytest.mark.parametrize("entries", SIZES)
@pytest.mark.parametrize("name", BEATS_OF_128)
def test_places_lie_within_the_store_and_apart(name: str, entries: int) -> None:
    design = with_entries(DESIGNS[name], entries, entries)
    sections = read_blob(build_blob(design, quant_model(design, "random"))).manifest["sections"]
    for unit in ("nsa", "nmp"):
        mine = [section for section in sections if section.startswith(f"{unit}.") or section == f"end.{unit}"]
        kept = [sections[section]["kept"] for section in mine if "kept" in sections[section]]
        used = [entry for place in kept for entry in range(place["first"], place["first"] + place["entries"])]
        assert len(used) == len(set(used)) and all(0 <= entry < entries for entry in used)
        if entries == MOST_ENTRIES:
            assert len(kept) == len([section for section in mine if "head" not in section])
            assert len(used) <= needed_entries(design)[unit] <= 1.1 * len(used)
        if entries < 2:
            assert not kept


def weight_beats(design: Design, sparse: bool) -> int:
    """Weight words of all blocks of the dense model, by hand."""
    f, total = design.folding, 0
    word = f.tc * f.tk // design.beat_bytes
    for block in range(design.shape.depth):
        slices = 1 if design.finishes_early and block == design.shape.depth - 1 else len(design.mlp_parts)
        for shape, passes in ((design.qkv, 1), (design.proj, 1), (design.fc1, slices), (design.fc2, slices)):
            steps = -(-shape.k_tiles // 2) * (word + 1) if sparse else shape.k_tiles * word
            total += passes * shape.column_tiles * steps
    return total


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", BEATS_OF_128)
def test_a_further_image_reads_the_weights_alone(name: str, sparse: bool) -> None:
    design = with_entries(DESIGNS[name], MOST_ENTRIES, MOST_ENTRIES)
    model = quant_model(design, "random")
    model = prune_two_of_four(model) if sparse else model
    manifest = read_blob(build_blob(design, model)).manifest
    takes = sparse and bool(design.folding.sparse)
    blocks = range(design.shape.depth)
    assert linear_bytes(manifest, blocks) == weight_beats(design, takes) * design.beat_bytes
    without = read_blob(build_blob(with_entries(design, 0, 0), model)).manifest
    more = sum(needed_entries(design).values()) * design.beat_bytes  # than with a store
    saved = image_bytes(without)[0] - image_bytes(manifest)[0]
    assert 0.9 * more < saved and image_bytes(without)[1] == 0
    # Once a launch: the same beats, and one of counts for every eight; end marks count once, not in every step.
    assert image_bytes(manifest)[1] <= 1.25 * more


@pytest.mark.parametrize("name", BEATS_OF_128)
def test_a_list_recalls_what_it_has_kept_before(name: str) -> None:
    """Nothing of an earlier launch, whose blob may have been another."""
    design = with_entries(DESIGNS[name], MOST_ENTRIES, MOST_ENTRIES)
    manifest = read_blob(build_blob(design, quant_model(design, "random"))).manifest
    for images_of_launch in (1, 6):
        for unit, chunks in chunk_lists(manifest, images_of_launch)[0].items():
            kept: set[int] = set()
            for _, _, kind, place in chunks.tolist():
                entries = range(place & 0xFFFF, (place & 0xFFFF) + (place >> 16))
                if kind == ChunkKind.KEEP:
                    assert not kept & set(entries), "once a launch"
                    kept |= set(entries)
                if kind == ChunkKind.RECALL:
                    assert kept >= set(entries)
            assert bool(kept) == (unit in ("nsa", "nmp"))
