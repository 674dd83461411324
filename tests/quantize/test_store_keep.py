# SPDX-License-Identifier: Apache-2.0
"""Pruned models on disk: compact weights and masks come back as they were, and what does not fit is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from kernels.designs import DESIGNS
from kernels.support import quant_model
from vitforge.compress.magnitude import magnitude_keep, plan_sizes
from vitforge.errors import ModelError
from vitforge.model.keep import LAYERS, kept_weights
from vitforge.quantize.model import QuantModel
from vitforge.quantize.prune import prune_quantized, prune_two_of_four, random_keep
from vitforge.quantize.store import MARKER, TENSORS, load_quantized, quantized_files

DESIGN = DESIGNS["ragged"]


def pruned(fraction: float = 0.5, seed: int = 0) -> QuantModel:
    rng = np.random.default_rng(seed)
    keep = [random_keep(rng, DESIGN.shape, fraction) for _ in range(DESIGN.shape.depth)]
    return prune_quantized(quant_model(DESIGN, "random"), keep)


def written(model: QuantModel, directory: Path) -> Path:
    for name, data in quantized_files(model).items():
        (directory / name).write_bytes(data)
    return directory


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(fraction=st.floats(0, 1), sparse=st.booleans(), seed=st.integers(0, 99))
def test_round_trip(tmp_path: Path, fraction: float, sparse: bool, seed: int) -> None:
    model = prune_two_of_four(pruned(fraction, seed)) if sparse else pruned(fraction, seed)
    found = load_quantized(written(model, tmp_path))
    assert found.sparsity == model.sparsity
    for before, after in zip(model.keep, found.keep, strict=True):
        assert all(np.array_equal(mask, after.masks()[name]) for name, mask in before.masks().items())
    for before, after in zip(model.blocks, found.blocks, strict=True):
        for layer in LAYERS:
            for part in ("weight", "bias", "mult", "shift"):
                assert np.array_equal(getattr(getattr(before, layer), part), getattr(getattr(after, layer), part))


def test_only_what_is_kept_is_written(tmp_path: Path) -> None:
    model = pruned(0.5)
    tensors = load(written(model, tmp_path).joinpath(TENSORS).read_bytes())
    sizes = [tensors[f"blocks.{i}.{layer}.weight"].size for i in range(DESIGN.shape.depth) for layer in LAYERS]
    assert sum(sizes) == kept_weights(model.keep)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("blocks.0.keep.proj", lambda mask: mask[:-1], r"blocks.0.keep.proj is \(35,\) uint8, expected \(36,\) uint8"),
        ("blocks.1.keep.qk", lambda mask: mask * 2 + (mask == 0), r"blocks.1.keep.qk is 2 at \(\d+, \d+\), expected 0"),
        ("blocks.1.keep.fc2", lambda mask: 1 - mask, r"blocks.1.fc2.\w+ is .* and its keep masks leave"),
        ("blocks.0.fc1.weight", lambda value: value[:, 1:], r"blocks.0.fc1.weight is .* and its keep masks leave"),
        ("blocks.0.keep.hidden", None, "the keep mask blocks.0.keep.hidden is missing"),
    ],
)
def test_masks_and_tensors_that_disagree(tmp_path: Path, name: str, change: object, message: str) -> None:
    file = written(pruned(0.5), tmp_path) / TENSORS
    tensors = load(file.read_bytes())
    value = tensors.pop(name)
    if change is not None:
        tensors[name] = np.ascontiguousarray(change(value))  # type: ignore[operator]
    file.write_bytes(save(tensors))
    with pytest.raises(ModelError, match=message):
        load_quantized(tmp_path)


def test_three_weights_in_a_group_of_four(tmp_path: Path) -> None:
    marker = written(pruned(1.0), tmp_path) / MARKER
    content = json.loads(marker.read_bytes())
    marker.write_text(json.dumps({**content, "sparsity": "2:4"}))
    with pytest.raises(ModelError, match=r"blocks.0.qkv.weight is no 2:4 matrix: row 0 has more than two weights at"):
        load_quantized(tmp_path)
    marker.write_text(json.dumps({**content, "sparsity": "1:4"}))
    with pytest.raises(ModelError, match="sparsity is '1:4'"):
        load_quantized(tmp_path)


@pytest.mark.parametrize("fraction", [1.0, 0.75, 0.5, 0.25, 0.05])
def test_planned_sizes_keep_no_more_than_is_asked_for(fraction: float) -> None:
    shape = DESIGNS["wide"].shape
    model = quant_model(DESIGNS["wide"], "random")
    keep = magnitude_keep(model, fraction)
    whole = shape.depth * shape.embed_dim * (4 * shape.embed_dim + 2 * shape.hidden_dim)
    sizes = plan_sizes(shape, fraction)
    least = sizes.channels == sizes.head_dim == sizes.hidden == 8
    assert kept_weights(keep) <= fraction * whole or least
    assert all(mask.sum(axis=-1).min() == mask.sum(axis=-1).max() for one in keep for mask in (one.qk, one.v))
