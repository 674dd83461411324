# SPDX-License-Identifier: Apache-2.0
"""Sizes that magnitude pruning plans, steps of column pruning, and float files of pruned models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from model.support import SHAPE, random_model
from vitforge.compress.magnitude import Sizes, block_weights, magnitude_keep, plan_sizes
from vitforge.compress.masked import prune_float, sparsify
from vitforge.compress.probe import first_sizes, prune_columns, row_shares
from vitforge.errors import ConfigError, ModelError
from vitforge.model.deit import deit_shape
from vitforge.model.float_vit import forward
from vitforge.model.keep import GROUP_KEPT, LAYERS, kept_sides, kept_weights, reduction_groups
from vitforge.model.safetensors_io import FILE_NAME, load_model, model_bytes
from vitforge.quantize.prune import random_keep

DEIT = deit_shape("deit_tiny")


@given(fraction=st.floats(0.01, 1), tile=st.sampled_from([1, 4, 8, 16]))
def test_planned_sizes_are_whole_tiles_and_keep_no_more_than_asked(fraction: float, tile: int) -> None:
    sizes = plan_sizes(DEIT, fraction, tile)
    assert sizes.channels % tile == sizes.head_dim % tile == sizes.hidden % tile == 0
    assert sizes.fraction(DEIT) <= fraction or sizes.hidden == tile  # no less can be kept
    assert min(sizes.channels, sizes.head_dim, sizes.hidden) >= tile


@pytest.mark.parametrize("fraction", [0, -0.5, 1.01, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"must lie in \(0, 1\]"):
        plan_sizes(DEIT, fraction)


def test_magnitude_keeps_the_largest_groups_of_coupled_dimensions() -> None:
    model = random_model()
    for name in ("fc1", "fc2"):  # channels 8 to 15 of the hidden layer are the smallest on both sides together
        weight = model.tensors[f"blocks.0.{name}.weight"]
        (weight if name == "fc1" else weight.T)[8:16] *= 1e-3
    keep = magnitude_keep(model, 0.6, tile=4)[0]
    assert not keep.hidden[8:16].any() and keep.hidden.any()
    assert kept_weights(magnitude_keep(model, 0.6, tile=4)) <= 0.6 * kept_weights(magnitude_keep(model, 1.0))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(fraction=st.floats(0, 1), sparse=st.booleans(), seed=st.integers(0, 99))
def test_a_pruned_float_file_comes_back_bit_for_bit(fraction: float, sparse: bool, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    model = prune_float(random_model(), [random_keep(rng, SHAPE, fraction) for _ in range(SHAPE.depth)])
    model = sparsify(model) if sparse else model
    content = model_bytes(model)
    (tmp_path / FILE_NAME).write_bytes(content)
    again = load_model(tmp_path)
    assert again.sparsity == model.sparsity
    assert all(np.array_equal(again.tensors[name], value) for name, value in model.tensors.items())
    for mine, read in zip(model.keep, again.keep, strict=True):
        assert all(np.array_equal(mask, read.masks()[name]) for name, mask in mine.masks().items())
    images = rng.integers(0, 256, (2, *SHAPE.image_size, SHAPE.channels), dtype=np.uint8)
    assert np.array_equal(forward(again, images), forward(model, images))
    stored = load(content)
    for block, keep in enumerate(model.keep):
        assert stored[f"blocks.{block}.mlp.fc1.weight"].shape == tuple(side.sum() for side in kept_sides(keep, "fc1"))


def test_sparsified_weights_have_two_of_four_along_the_kept_inputs() -> None:
    rng = np.random.default_rng(3)
    model = sparsify(prune_float(random_model(), [random_keep(rng, SHAPE, 0.7) for _ in range(SHAPE.depth)]))
    for block, keep in enumerate(model.keep):
        for layer in LAYERS:
            weight = model.tensors[f"blocks.{block}.{layer}.weight"]
            padded = np.concatenate([weight, np.zeros((len(weight), 1), weight.dtype)], axis=1)
            assert ((padded[:, reduction_groups(keep, layer)] != 0).sum(axis=-1) <= GROUP_KEPT).all()


def damaged(change: str) -> bytes:
    """A pruned file in which something does not fit."""
    rng = np.random.default_rng(0)
    model = prune_float(random_model(), [random_keep(rng, SHAPE, 0.6) for _ in range(SHAPE.depth)])
    content = model_bytes(sparsify(model) if change == "three of four" else model)
    length = int.from_bytes(content[:8], "little")
    tensors = load(content)
    if change == "three of four":
        name = "blocks.0.mlp.fc1.weight"
        tensors[name] = np.ones_like(tensors[name])
    elif change == "a mask of another size":
        tensors["blocks.1.keep.proj"] = np.ones(SHAPE.embed_dim + 1, np.uint8)
    elif change == "a mask that is missing":
        del tensors["blocks.0.keep.v"]
    elif change == "a mask of twos":
        tensors["blocks.0.keep.norm1"] = np.full_like(tensors["blocks.0.keep.norm1"], 2)
    else:
        tensors["blocks.0.keep.hidden"] ^= 1
    return save(tensors, json.loads(content[8 : 8 + length])["__metadata__"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("three of four", r"blocks\.0\.fc1\.weight is no 2:4 matrix: row 0 has more than two weights at inputs \d"),
        (
            "a mask of another size",
            r"blocks\.1\.attn\.proj\.weight is \(\d+, \d+\), and its keep masks leave \(13, \d+\)",
        ),
        ("a mask that is missing", r"blocks\.0\.keep\.v is missing"),
        ("a mask of twos", r"blocks\.0\.keep\.norm1 has values other than 0 and 1"),
        (
            "a mask that disagrees",
            r"blocks\.0\.mlp\.fc1\.weight is \(\d+, \d+\), and its keep masks leave \(\d+, \d+\)",
        ),
    ],
)
def test_masks_and_tensors_that_disagree_are_named(change: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(damaged(change))
    with pytest.raises(ModelError, match=sentence):
        load_model(tmp_path)


def test_quiet_rows_set_where_column_pruning_begins() -> None:
    gammas = {f"{block}_{name}": np.ones(12) for block in range(2) for name in ("q", "k", "v", "proj", "fc2")}
    gammas |= {"0_fc1": np.repeat([1.0, 0.01], 10), "1_fc1": np.repeat([1.0, 0.01], [5, 15])}
    sizes = first_sizes(SHAPE, row_shares(gammas), tile=4)
    assert sizes == Sizes(channels=12, head_dim=4, hidden=12)  # the block that needs more, in whole tiles


def test_a_step_that_costs_too_much_is_undone_and_its_dimension_left_alone() -> None:
    model, undone, seen = random_model(), [], []

    def measure(keep: object) -> float:
        seen.append(keep)
        return 0.5 if int(keep[0].hidden.sum()) < 20 else 0.9  # type: ignore[index]

    sizes, steps = prune_columns(
        SHAPE,
        list(block_weights(model)),
        Sizes(12, 4, 20),
        target=0.1,
        floor=0.8,
        tile=4,
        measure=measure,
        undo=lambda: undone.append(len(seen)),
    )
    assert len(undone) == sum(not step.accepted for step in steps) == 1
    assert sizes.hidden == 20
    assert sizes.channels < 12
    assert [step.accuracy for step in steps if not step.accepted] == [0.5]
