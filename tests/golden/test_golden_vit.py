# SPDX-License-Identifier: Apache-2.0
"""The whole integer model against an independent one in plain Python integers, and against its float reference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vitforge.errors import ModelError
from vitforge.golden.random_model import random_images, random_quant_model
from vitforge.golden.vit import forward, residual_add
from vitforge.golden.vit_float import forward_float
from vitforge.model.vit import ViTShape
from vitforge.quantize.model import QuantLinear, QuantModel, QuantNorm


def vit_shape(**changes) -> ViTShape:
    fields = {"image_size": (4, 6), "channels": 2, "patch_size": 2, "embed_dim": 6, "depth": 2, "num_heads": 3}
    fields |= {"hidden_dim": 10, "num_classes": 3}
    return ViTShape(**(fields | changes))


# --- a ViT in plain Python integers: lists and loops, nothing of vitforge -------------------------------


def slow_clamp(value: int, limit: int) -> int:
    return max(-limit, min(limit, value))


def slow_linear(x: list[int], layer: QuantLinear, limit: int | None) -> list[int]:
    outputs = []
    for row, bias, mult, shift in zip(
        layer.weight.tolist(), layer.bias.tolist(), layer.mult.tolist(), layer.shift.tolist(), strict=True
    ):
        acc = bias + sum(a * w for a, w in zip(x, row, strict=True))
        scaled = (acc * mult + 2 ** (shift - 1)) // 2**shift
        outputs.append(scaled if limit is None else slow_clamp(scaled, limit))
    return outputs


def slow_norm(x: list[int], norm: QuantNorm) -> list[int]:
    channels, total = len(x), sum(x)
    std = max(1, math.isqrt(channels * sum(v * v for v in x) - total * total + norm.eps))
    e = std.bit_length()
    q = (2 ** (e + 16) - 1) // std
    outputs = []
    for value, gamma, beta in zip(x, norm.gamma.tolist(), norm.beta.tolist(), strict=True):
        yhat = slow_clamp(((channels * value - total) * q + 2 ** (e + 5)) // 2 ** (e + 6), 32767)
        outputs.append(slow_clamp((yhat * gamma + beta + 2 ** (norm.shift - 1)) // 2**norm.shift, 127))
    return outputs


def slow_exponent(u: int) -> int:
    if u >= 2048:
        return 0
    high = math.floor(4096 * math.exp(-(u // 32) / 8) + 0.5)
    low = math.floor(4096 * math.exp(-(u % 32) / 256) + 0.5)
    return min(127, (high * low + 2**16) // 2**17)


def slow_attention(qkv: list[list[int]], block, heads: int, width: int) -> list[list[int]]:
    head_dim = width // heads
    context = [[0] * width for _ in qkv]
    for h in range(heads):
        for i, query in enumerate(qkv):
            q = query[h * head_dim : (h + 1) * head_dim]
            scores = []
            for key in qkv:
                k = key[width + h * head_dim : width + (h + 1) * head_dim]
                dot = sum(a * b for a, b in zip(q, k, strict=True))
                scaled = (dot * block.score_mult + 2 ** (block.score_shift - 1)) // 2**block.score_shift
                scores.append(slow_clamp(scaled, 32767))
            weights = [slow_exponent(max(scores) - s) for s in scores]
            e = sum(weights).bit_length()
            mult, shift = block.context_mult * 2**e // sum(weights), block.context_shift + e
            for c in range(head_dim):
                mixed = sum(p * row[2 * width + h * head_dim + c] for p, row in zip(weights, qkv, strict=True))
                context[i][h * head_dim + c] = slow_clamp((mixed * mult + 2 ** (shift - 1)) // 2**shift, 127)
    return context


def slow_add(x: list[list[int]], branch: list[list[int]]) -> list[list[int]]:
    return [[slow_clamp(a + b, 32767) for a, b in zip(r, s, strict=True)] for r, s in zip(x, branch, strict=True)]


def slow_patches(image: np.ndarray, shape: ViTShape) -> list[list[int]]:
    size = shape.patch_size
    tokens = [[0] * shape.patch_len]
    for top in range(0, shape.image_size[0] - size + 1, size):
        for left in range(0, shape.image_size[1] - size + 1, size):
            tokens.append(
                [
                    max(int(image[top + i, left + j, c]) - 128, -127)
                    for c in range(shape.channels)
                    for i in range(size)
                    for j in range(size)
                ]
            )
    return tokens


def slow_vit(model: QuantModel, image: np.ndarray) -> list[int]:
    x = model.x0.tolist()
    branch = [slow_linear(patch, model.patch, 32767) for patch in slow_patches(image, model.shape)]
    for block in model.blocks:
        x = slow_add(x, branch)
        qkv = [slow_linear(slow_norm(row, block.norm1), block.qkv, 127) for row in x]
        mixed = slow_attention(qkv, block, model.shape.num_heads, model.shape.embed_dim)
        x = slow_add(x, [slow_linear(row, block.proj, 32767) for row in mixed])
        hidden = [slow_linear(slow_norm(row, block.norm2), block.fc1, 127) for row in x]
        hidden = [[int(block.gelu[v + 128]) for v in row] for row in hidden]
        branch = [slow_linear(row, block.fc2, 32767) for row in hidden]
    return slow_linear(slow_norm(slow_add(x, branch)[0], model.norm), model.head, None)


# --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{}, {"extreme": True}, {"zero": True}], ids=["random", "extreme", "zero"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"embed_dim": 5, "num_heads": 1, "hidden_dim": 3, "channels": 1, "depth": 1},
        {"image_size": (7, 5), "patch_size": 3, "embed_dim": 8, "num_heads": 2, "num_classes": 1},
        {"depth": 0},
    ],
    ids=["ragged", "one head", "uncovered pixels", "no blocks"],
)
def test_forward_equals_plain_python_integers(changes, kind):
    shape = vit_shape(**changes)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        model = random_quant_model(rng, shape, **kind)
        images = random_images(rng, shape, 4)
        logits = forward(model, images)
        assert logits.dtype == np.int32
        assert logits.tolist() == [slow_vit(model, image) for image in images]


def test_batches_do_not_change_the_result():
    rng = np.random.default_rng(12)
    model = random_quant_model(rng, vit_shape())
    images = random_images(rng, model.shape, 7)
    expected = forward(model, images)
    for batch in (1, 3, 7, 100):
        assert np.array_equal(forward(model, images, batch=batch), expected)
    assert forward(model, images[:0]).shape == (0, 3)


def observed(model: QuantModel, images: np.ndarray) -> dict[str, np.ndarray]:
    seen: dict[str, list[np.ndarray]] = {}
    forward(model, images, lambda name, value: seen.setdefault(name, []).append(value), batch=2)
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def test_observer_sees_every_tensor_of_every_image():
    rng = np.random.default_rng(13)
    model = random_quant_model(rng, vit_shape())
    images = random_images(rng, model.shape, 5)
    seen = observed(model, images)
    tokens, width, hidden = model.shape.seq_len, model.shape.embed_dim, model.shape.hidden_dim
    shapes = {"patch": (5, tokens, width), "norm": (5, width), "logits": (5, 3)}
    for i in range(2):
        shapes |= {f"x.{i}.attn": (5, tokens, width), f"x.{i}.mlp": (5, tokens, width)}
        for name in ("norm1", "q", "k", "v", "context", "proj", "norm2", "fc2"):
            shapes[f"blocks.{i}.{name}"] = (5, tokens, width)
        shapes |= {f"blocks.{i}.{name}": (5, tokens, hidden) for name in ("fc1", "gelu")}
        shapes[f"blocks.{i}.score"] = (5, 3, tokens, tokens)
    assert {name: value.shape for name, value in seen.items()} == shapes
    assert np.array_equal(seen["x.0.attn"], residual_add(model.x0, seen["patch"]))
    assert np.array_equal(seen["x.0.mlp"], residual_add(seen["x.0.attn"], seen["blocks.0.proj"]))
    assert np.array_equal(seen["x.1.attn"], residual_add(seen["x.0.mlp"], seen["blocks.0.fc2"]))
    assert np.array_equal(seen["logits"], forward(model, images))


MNIST = vit_shape(image_size=(28, 28), channels=1, patch_size=4, embed_dim=64, num_heads=4, hidden_dim=256, depth=6)


def test_random_models_are_alive_and_extreme_ones_saturate():
    rng = np.random.default_rng(14)
    images = random_images(rng, MNIST, 6)
    for name, value in observed(random_quant_model(rng, MNIST), images).items():
        saturated = np.mean(np.abs(value.astype(int)) >= (127 if value.dtype == np.int8 else 32767))
        assert name == "logits" or saturated < 0.1, name
        assert value.std() > (15 if value.dtype == np.int8 else 200), name
    extreme = observed(random_quant_model(rng, MNIST, extreme=True), images)
    for name in ("patch", "x.0.attn", "blocks.0.q", "blocks.0.fc2"):
        limit = 127 if extreme[name].dtype == np.int8 else 32767
        assert extreme[name].max() == limit
        assert extreme[name].min() == -limit
    zero = observed(random_quant_model(rng, MNIST, zero=True), images)
    assert np.all(zero["logits"] == 0)
    assert np.all(zero["x.5.mlp"] == zero["x.0.attn"])


def test_int8_never_holds_minus_128():
    rng = np.random.default_rng(15)
    for kind in ({}, {"extreme": True}):
        for value in observed(random_quant_model(rng, MNIST, **kind), random_images(rng, MNIST, 4)).values():
            assert value.dtype != np.int8 or value.min() >= -127
            assert value.dtype != np.int16 or value.min() >= -32767


def test_rounding_moves_the_logits_by_a_few_per_cent_of_their_spread():
    rng = np.random.default_rng(16)
    model = random_quant_model(rng, MNIST)
    images = random_images(rng, MNIST, 32)
    reference = forward_float(model, images)
    assert np.sqrt(np.mean((forward(model, images) - reference) ** 2)) < 0.05 * reference.std()


def test_images_of_another_shape_are_refused_before_any_work():
    model = random_quant_model(np.random.default_rng(17), vit_shape())
    with pytest.raises(ModelError, match=r"uint8 of shape \(n, 4, 6, 2\)"):
        forward(model, np.zeros((0, 4, 6, 1), dtype=np.uint8))
