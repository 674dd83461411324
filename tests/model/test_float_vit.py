# SPDX-License-Identifier: Apache-2.0
"""The float reference against a ViT in plain Python loops, written from the architecture's definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.support import SHAPE, random_images, random_model
from vitforge.errors import ModelError
from vitforge.model.float_vit import forward, gelu
from vitforge.model.vit import ViTModel

Vector = list[float]


def slow_linear(rows: list[Vector], weight: list[Vector], bias: Vector) -> list[Vector]:
    return [
        [b + sum(x * w for x, w in zip(row, column, strict=True)) for column, b in zip(weight, bias, strict=True)]
        for row in rows
    ]


def slow_norm(rows: list[Vector], weight: Vector, bias: Vector, eps: float) -> list[Vector]:
    result = []
    for row in rows:
        mean = sum(row) / len(row)
        std = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row) + eps)
        result.append([(x - mean) / std * w + b for x, w, b in zip(row, weight, bias, strict=True)])
    return result


def slow_attention(qkv: list[Vector], heads: int) -> list[Vector]:
    dim = len(qkv[0]) // 3
    size = dim // heads
    context = [[0.0] * dim for _ in qkv]
    for head in range(heads):
        q, k, v = (slice(part * dim + head * size, part * dim + (head + 1) * size) for part in range(3))
        for i, query in enumerate(qkv):
            scores = [sum(a * b for a, b in zip(query[q], key[k], strict=True)) / math.sqrt(size) for key in qkv]
            weights = [math.exp(score - max(scores)) for score in scores]
            for c in range(size):
                mixed = sum(w * value[v][c] for w, value in zip(weights, qkv, strict=True))
                context[i][head * size + c] = mixed / sum(weights)
    return context


def add(a: list[Vector], b: list[Vector]) -> list[Vector]:
    return [[x + y for x, y in zip(left, right, strict=True)] for left, right in zip(a, b, strict=True)]


def slow_embed(model: ViTModel, image: list) -> list[Vector]:
    """The residual stream that enters block 0; image[row][column][channel]."""
    size, t = model.shape.patch_size, {name: value.tolist() for name, value in model.tensors.items()}
    patches = []
    for top in range(0, model.shape.image_size[0], size):
        for left in range(0, model.shape.image_size[1], size):
            patches.append(
                [
                    (image[top + row][left + column][c] / 255 - model.mean[c]) / model.std[c]
                    for c in range(model.shape.channels)
                    for row in range(size)
                    for column in range(size)
                ]
            )
    return add([t["cls"], *slow_linear(patches, t["patch.weight"], t["patch.bias"])], t["pos"])


def slow_forward(model: ViTModel, image: list) -> Vector:
    t = {name: value.tolist() for name, value in model.tensors.items()}
    eps = model.shape.norm_eps
    x = slow_embed(model, image)
    for i in range(model.shape.depth):

        def linear(rows: list[Vector], name: str, block: int = i) -> list[Vector]:
            return slow_linear(rows, t[f"blocks.{block}.{name}.weight"], t[f"blocks.{block}.{name}.bias"])

        normed = slow_norm(x, t[f"blocks.{i}.norm1.weight"], t[f"blocks.{i}.norm1.bias"], eps)
        x = add(x, linear(slow_attention(linear(normed, "qkv"), model.shape.num_heads), "proj"))
        normed = slow_norm(x, t[f"blocks.{i}.norm2.weight"], t[f"blocks.{i}.norm2.bias"], eps)
        hidden = [[v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in row] for row in linear(normed, "fc1")]
        x = add(x, linear(hidden, "fc2"))
    class_token = slow_norm(x[:1], t["norm.weight"], t["norm.bias"], eps)
    return slow_linear(class_token, t["head.weight"], t["head.bias"])[0]


def test_logits_are_those_of_plain_loops():
    model, images = random_model(), random_images(5)
    expected = np.array([slow_forward(model, image) for image in images.tolist()])
    logits = forward(model, images, batch=2)
    assert logits.dtype == np.float32
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5)


def test_every_quantised_tensor_is_observed_once_a_batch():
    seen: dict[str, list[tuple[int, ...]]] = {}
    forward(
        random_model(), random_images(5), lambda name, value: seen.setdefault(name, []).append(value.shape), batch=3
    )
    n, dim, heads = SHAPE.seq_len, SHAPE.embed_dim, SHAPE.num_heads
    stream = [(3, n, dim), (2, n, dim)]
    hidden = [(3, n, SHAPE.hidden_dim), (2, n, SHAPE.hidden_dim)]
    expected = {"patch": stream, "x.final": stream, "norm": [(3, dim), (2, dim)], "logits": [(3, 4), (2, 4)]}
    for i in range(SHAPE.depth):
        expected |= {
            f"x.{i}.attn": stream,
            f"x.{i}.mlp": stream,
            f"blocks.{i}.score": [(3, heads, n, n), (2, heads, n, n)],
        }
        expected |= {
            f"blocks.{i}.{name}": stream for name in ("norm1", "q", "k", "v", "context", "proj", "norm2", "fc2")
        }
        expected |= {f"blocks.{i}.fc1": hidden, f"blocks.{i}.gelu": hidden}
    assert seen == expected


def test_observed_tensors_are_those_of_the_network():
    model, images, seen = random_model(), random_images(3), {}
    logits = forward(model, images, seen.__setitem__)
    np.testing.assert_allclose(
        seen["x.0.attn"], [slow_embed(model, image) for image in images.tolist()], rtol=0, atol=1e-5
    )
    assert (seen["patch"][:, 0] == model.tensors["patch.bias"]).all()
    np.testing.assert_array_equal(seen["x.1.attn"], seen["x.0.mlp"] + seen["blocks.0.fc2"])
    np.testing.assert_array_equal(seen["x.0.mlp"], seen["x.0.attn"] + seen["blocks.0.proj"])
    np.testing.assert_array_equal(seen["x.final"], seen["x.1.mlp"] + seen["blocks.1.fc2"])
    np.testing.assert_array_equal(seen["logits"], logits)
    assert {value.dtype for value in seen.values()} == {np.dtype(np.float32)}
    size = SHAPE.head_dim
    q, k = seen["blocks.1.q"][0, 4, size : 2 * size], seen["blocks.1.k"][0, 2, size : 2 * size]
    assert seen["blocks.1.score"][0, 1, 4, 2] == pytest.approx(float(q @ k) / math.sqrt(size), abs=1e-5)


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_batch_size_does_not_matter(batch):
    model, images = random_model(), random_images(7)
    np.testing.assert_allclose(forward(model, images, batch=batch), forward(model, images, batch=7), atol=1e-5)


def test_no_images_give_no_logits():
    assert forward(random_model(), random_images(0)).shape == (0, 4)


def test_gelu_is_the_erf_form_everywhere():
    x = np.concatenate([np.linspace(-12, 12, 20001), [-1e4, 1e4, 0]]).astype(np.float32)
    exact = np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x.tolist()])
    np.testing.assert_allclose(gelu(x), exact, rtol=0, atol=5e-7)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 6, 9, 1), np.uint8),
        np.zeros((2, 9, 6, 2), np.uint8),
        np.zeros((6, 9, 2), np.uint8),
        np.zeros((2, 6, 9, 2), np.float32),
    ],
    ids=["channels", "transposed", "no batch", "float"],
)
def test_other_images_are_refused(images):
    with pytest.raises(ModelError, match=r"the model takes uint8 of shape \(n, 6, 9, 2\)"):
        forward(random_model(), images)
