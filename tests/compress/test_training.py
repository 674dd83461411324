# SPDX-License-Identifier: Apache-2.0
"""Pruning with training. Needs PyTorch, which the tests' environment does without; `.[train]` brings it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from model.support import SHAPE, random_model  # noqa: E402
from vitforge.compress.command import prune_model  # noqa: E402
from vitforge.compress.masked import sparsify  # noqa: E402
from vitforge.compress.network import MaskedViT  # noqa: E402
from vitforge.compress.training import Pictures, train  # noqa: E402
from vitforge.model.float_vit import forward  # noqa: E402
from vitforge.model.keep import check_zeros  # noqa: E402
from vitforge.model.safetensors_io import load_model, save_model  # noqa: E402
from vitforge.quantize.prune import random_keep  # noqa: E402


def pictures(count: int) -> Pictures:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *SHAPE.image_size, SHAPE.channels), dtype=np.uint8)
    return Pictures(images, rng.integers(0, SHAPE.num_classes, count))


def test_the_network_is_the_float_model() -> None:
    model, data = random_model(), pictures(7)
    with torch.no_grad():
        found = MaskedViT(model)(torch.from_numpy(data.images).permute(0, 3, 1, 2).float()).numpy()
    assert np.allclose(found, forward(model, data.images), atol=1e-4)


def test_what_is_pruned_stays_zero_in_training() -> None:
    rng = np.random.default_rng(1)
    network = MaskedViT(random_model())
    keep = tuple(random_keep(rng, SHAPE, 0.6) for _ in range(SHAPE.depth))
    network.set_keep(keep)
    sparse = sparsify(network.export(keep))
    network.set_sparsity(sparse)
    before = network.export(keep).tensors["blocks.0.fc1.weight"]
    train(network, pictures(200), 2, rate=1e-2, seed=0)
    trained = network.export(keep, "2:4")
    check_zeros(keep, trained.tensors)
    assert not np.array_equal(trained.tensors["blocks.0.fc1.weight"], before)
    for name in ("blocks.1.qkv.weight", "blocks.0.fc2.weight"):
        assert not (trained.tensors[name] != 0)[sparse.tensors[name] == 0].any()


@pytest.mark.parametrize("sparsity", ["dense", "2:4"])
def test_prune_of_a_users_model_reports_both_models(sparsity: str, tmp_path: Path) -> None:
    save_model(random_model(), tmp_path / "m.safetensors")
    data = pictures(300)
    np.savez(tmp_path / "data.npz", images=data.images, labels=data.labels)
    result = prune_model(
        str(tmp_path / "m.safetensors"),
        tmp_path / "P",
        target=0.5,
        sparsity=sparsity,
        tile=4,
        tolerance=100,
        epochs=1,
        images=tmp_path / "data.npz",
        heldout=tmp_path / "data.npz",
        plot=tmp_path / "p.svg",
    )
    facts = result.to_json()
    assert facts["kept_fraction"] <= 0.5 and facts["sparsity"] == sparsity
    assert 0 <= facts["float_top1"] <= 1 and 0 <= facts["control_top1"] <= 1
    assert facts["epochs"] == 1 + len(facts["steps"])
    assert load_model(tmp_path / "P").sparsity == sparsity
    assert (tmp_path / "p.svg").is_file()
