# SPDX-License-Identifier: Apache-2.0
"""Streams, addresses and schedule are right: an independent reading of the blob gives the golden model's logits."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blob import interpreter
from kernels.designs import DESIGNS
from kernels.support import MODELS, images, quant_model
from vitforge.boards import list_boards, load_board
from vitforge.design.design import Design, Folding
from vitforge.design.fit import fit
from vitforge.golden.random_model import random_images, random_quant_model
from vitforge.golden.vit import forward
from vitforge.model.vit import ViTShape
from vitforge.quantize.blob import build_blob, build_sections
from vitforge.quantize.model import QuantModel
from vitforge.quantize.prune import prune_quantized, prune_two_of_four, random_keep
from vitforge_host.blob import pack_images, read_blob, unpack_results
from vitforge_host.schedule import chunk_lists


def results(design: Design, words: np.ndarray, count: int) -> np.ndarray:
    """What left the accelerator -> logits (n, classes), or features (n, tokens, channels).

    The logits of a group of images come column tile by column tile, in each image by image.
    """
    shape, tc = design.shape, design.folding.tc
    if not shape.num_classes:
        return words.reshape(count, shape.seq_len, -1)[:, :, : shape.embed_dim]
    per_image = len(words) // count
    logits = []
    for first in range(0, count, design.head_images):
        group = min(design.head_images, count - first)
        part = words[first * per_image : (first + group) * per_image].reshape(-1, group, tc)
        logits.append(part.transpose(1, 0, 2).reshape(group, -1))
    padded = np.concatenate(logits)
    assert (padded[:, shape.num_classes :] == 0).all(), "padding columns are zero"
    return padded[:, : shape.num_classes]


def interpret(design: Design, model: QuantModel, pictures: np.ndarray, seed: int = 0) -> np.ndarray:
    """Results by way of blob, packed images and chunk lists."""
    blob = read_blob(build_blob(design, model))
    lists, n_steps = chunk_lists(blob.manifest, len(pictures))
    packed = pack_images(pictures, blob.manifest).tobytes()
    words = interpreter.run(design, blob.data.tobytes(), packed, lists, n_steps, seed)
    found = results(design, words, len(pictures))
    unpacked = unpack_results(words.astype(np.int32).reshape(len(pictures), -1), blob.manifest)
    np.testing.assert_array_equal(unpacked, found)
    return found


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_batches_of_every_size(name: str, count: int) -> None:
    design = DESIGNS[name]
    model, pictures = quant_model(design, "random"), images(design, count)
    np.testing.assert_array_equal(interpret(design, model, pictures), forward(model, pictures))


@pytest.mark.parametrize("kind", MODELS)
def test_three_blocks_of_every_kind_of_model(kind: str) -> None:
    """Weights and scales at their limits, or all zero, through three blocks with six images."""
    design = dataclasses.replace(DESIGNS["ragged"], shape=dataclasses.replace(DESIGNS["ragged"].shape, depth=3))
    model, pictures = quant_model(design, kind), images(design, 6)
    np.testing.assert_array_equal(interpret(design, model, pictures), forward(model, pictures))


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Any small shape on any legal folding, with both widths of a beat."""
    board = load_board(draw(st.sampled_from(["zcu104", "pynq-z2"])))
    depth = {"dsp48e2": 8, "dsp48e1": 4}[board.dsp_family]
    pairs = [(tk, tc) for tk in (1, 2, 4, 8) for tc in (1, 2, 4, 8) if tk <= depth and tk % tc == 0]
    tk, tc = draw(st.sampled_from([pair for pair in pairs if pair[0] * pair[1] % (board.axi_bits // 8) == 0]))
    heads = draw(st.integers(1, 3))
    drawn = ViTShape(
        image_size=(draw(st.integers(3, 11)), draw(st.integers(3, 11))),
        channels=draw(st.integers(1, 3)),
        patch_size=draw(st.integers(2, 3)),
        embed_dim=heads * draw(st.integers(1, 11)),
        depth=draw(st.integers(1, 3)),
        num_heads=heads,
        hidden_dim=draw(st.integers(1, 30)),
        num_classes=draw(st.integers(0, 9)),
    )
    td_nsa, td_nmp = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    folding = Folding(
        tt_nsa=draw(tile_sizes(td_nsa)),
        tt_nmp=draw(tile_sizes(td_nmp)),
        tc=tc,
        tk=tk,
        td_nsa=td_nsa,
        td_nmp=td_nmp,
        embed_nsa=draw(st.integers(0, 1)) if drawn.num_classes else 0,
        mlp_slices=draw(st.integers(1, 4)),
        tr=draw(st.sampled_from([tr for tr in range(1, 6) if td_nsa % tr == 0 and td_nmp % tr == 0])),
        lane_banks=draw(st.integers(0, 1)),
        sparse=draw(st.integers(0, 1)) if tk % 4 == 0 else 0,
        resident_nsa=draw(st.sampled_from([0, 100, 300, 65_535])) if board.uram else 0,
        resident_nmp=draw(st.sampled_from([0, 100, 300, 65_535])) if board.uram else 0,
    )
    return Design(name="drawn", board=board, shape=drawn, folding=folding, clock_mhz=100.0)


def tile_sizes(td: int) -> st.SearchStrategy[int]:
    """Even multiples of a drain."""
    unit = math.lcm(2, td)
    return st.integers(1, 20 // unit).map(lambda count: unit * count)


@settings(max_examples=200)
@given(design=designs(), count=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_any_shape_on_any_folding(design: Design, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, pictures = random_quant_model(rng, design.shape), random_images(rng, design.shape, count)
    np.testing.assert_array_equal(interpret(design, model, pictures, seed), forward(model, pictures))


@settings(max_examples=200)
@given(design=designs(), fraction=st.floats(0, 1), sparse=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_any_pruned_model_on_any_folding(design: Design, fraction: float, sparse: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    keep = [random_keep(rng, design.shape, fraction) for _ in range(design.shape.depth)]
    model = prune_quantized(random_quant_model(rng, design.shape), keep)
    model = prune_two_of_four(model) if sparse else model
    pictures = random_images(rng, design.shape, 5)
    np.testing.assert_array_equal(interpret(design, model, pictures, seed), forward(model, pictures))


def shape(size: int, patch: int, dim: int, heads: int, depth: int) -> ViTShape:
    return ViTShape(
        image_size=(size, size),
        channels=3,
        patch_size=patch,
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        hidden_dim=4 * dim,
        num_classes=1000,
    )


@pytest.mark.parametrize("board", list_boards())
def test_what_the_fit_chooses(board: str) -> None:
    """A model of the size that ships, on the folding that each board gets."""
    design = fit(shape(28, 4, 64, 4, 2), load_board(board)).design
    model, pictures = quant_model(design, "random"), images(design, 3)
    np.testing.assert_array_equal(interpret(design, model, pictures), forward(model, pictures))


def test_a_block_of_real_size() -> None:
    """One block of DeiT-Tiny: 197 tokens, 192 channels, 1,000 classes."""
    design = fit(shape(224, 16, 192, 3, 1), load_board("zcu104")).design
    model, pictures = quant_model(design, "random"), images(design, 2)
    np.testing.assert_array_equal(interpret(design, model, pictures), forward(model, pictures))


def test_garbage_in_the_memories_does_not_matter() -> None:
    """Whatever earlier batches left on chip; also the order of the units within a step."""
    design = DESIGNS["ragged"]
    model, pictures = quant_model(design, "random"), images(design, 5)
    first, second = (interpret(design, model, pictures, seed) for seed in (1, 2))
    assert (first == second).all()


def parameters(name: str) -> list[str]:
    """Sections of a design that hold weights, or gamma and beta."""
    design = DESIGNS[name]
    sections = build_sections(design, quant_model(design, "random"))
    small = 64  # bytes: a descriptor alone
    return [part for part, data in sections.items() if len(data) > small]


@pytest.mark.parametrize(("name", "part"), [(n, p) for n in ("even", "ragged", "backbone") for p in parameters(n)])
def test_a_changed_parameter_changes_the_results(name: str, part: str) -> None:
    """Nothing above is true by accident: a damaged gamma, and damaged last weights of an array's last tile, show."""
    design = DESIGNS[name]
    model, pictures = quant_model(design, "random"), images(design, 5)
    blob = read_blob(build_blob(design, model))
    lists, n_steps = chunk_lists(blob.manifest, len(pictures))
    packed = pack_images(pictures, blob.manifest).tobytes()
    entry = blob.manifest["sections"][part]
    first = entry["offset_beats"] * design.beat_bytes
    end = first + entry["beats"] * design.beat_bytes
    damaged = bytearray(blob.data.tobytes())
    gamma = first + 1 + (0 if part == "ln1.final" else 32)  # the descriptor of the final norm is a section of its own
    last_word = end - design.folding.tc * design.folding.tk  # the last of them may be padding
    for place in [gamma] if part.startswith("ln") else range(last_word, end):
        damaged[place] = damaged[place] ^ 0x20 if place == gamma else -damaged[place] & 0xFF
    words = interpreter.run(design, bytes(damaged), packed, lists, n_steps)
    changed = words.reshape(len(pictures), -1).astype(np.int32)
    assert (unpack_results(changed, blob.manifest) != forward(model, pictures)).any()
