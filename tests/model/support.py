# SPDX-License-Identifier: Apache-2.0
"""Small random models, and the same weights under the tensor names of timm and of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from vitforge.model.vit import ViTModel, ViTShape

Tensors = dict[str, NDArray]
SHAPE = ViTShape(
    image_size=(6, 9),
    channels=2,
    patch_size=3,
    embed_dim=12,
    depth=2,
    num_heads=3,
    hidden_dim=20,
    num_classes=4,
    norm_eps=1e-5,
)
FACTS = {
    "name": "small",
    "num_heads": 3,
    "image_size": [6, 9],
    "mean": [0.4, 0.5],
    "std": [0.2, 0.3],
    "labels": ["a", "b", "c", "d"],
    "norm_eps": 1e-5,
}


def random_model(seed: int = 1) -> ViTModel:
    """Of `SHAPE`, with weights large enough that every part of the network shows in the logits."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> NDArray[np.float32]:
        return (0.4 * rng.standard_normal(shape)).astype(np.float32)

    dim, hidden = SHAPE.embed_dim, SHAPE.hidden_dim
    tensors = {"patch.weight": draw(dim, SHAPE.patch_len), "patch.bias": draw(dim)}
    tensors |= {"cls": draw(dim), "pos": draw(SHAPE.seq_len, dim)}
    for i in range(SHAPE.depth):
        for layer in ("norm1", "norm2"):
            tensors |= {f"blocks.{i}.{layer}.weight": 1 + draw(dim), f"blocks.{i}.{layer}.bias": draw(dim)}
        for layer, rows, columns in (
            ("qkv", 3 * dim, dim),
            ("proj", dim, dim),
            ("fc1", hidden, dim),
            ("fc2", dim, hidden),
        ):
            tensors |= {f"blocks.{i}.{layer}.weight": draw(rows, columns), f"blocks.{i}.{layer}.bias": draw(rows)}
    tensors |= {"norm.weight": 1 + draw(dim), "norm.bias": draw(dim)}
    tensors |= {"head.weight": draw(SHAPE.num_classes, dim), "head.bias": draw(SHAPE.num_classes)}
    return ViTModel(
        name="small", shape=SHAPE, mean=(0.4, 0.5), std=(0.2, 0.3), labels=("a", "b", "c", "d"), tensors=tensors
    )


def random_images(count: int, seed: int = 2) -> NDArray[np.uint8]:
    """(count, H, W, C) of `SHAPE`."""
    size = (count, *SHAPE.image_size, SHAPE.channels)
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def timm_tensors(model: ViTModel) -> Tensors:
    """As timm's VisionTransformer names and shapes them, written out by hand."""
    t, s = model.tensors, model.shape
    result = {
        "cls_token": t["cls"].reshape(1, 1, -1),
        "pos_embed": t["pos"][None],
        "patch_embed.proj.weight": t["patch.weight"].reshape(s.embed_dim, s.channels, s.patch_size, s.patch_size),
        "patch_embed.proj.bias": t["patch.bias"],
    }
    for kind in ("weight", "bias"):
        for name in ("norm", "head"):
            result[f"{name}.{kind}"] = t[f"{name}.{kind}"]
        for i in range(s.depth):
            for ours, theirs in (
                ("norm1", "norm1"),
                ("qkv", "attn.qkv"),
                ("proj", "attn.proj"),
                ("norm2", "norm2"),
                ("fc1", "mlp.fc1"),
                ("fc2", "mlp.fc2"),
            ):
                result[f"blocks.{i}.{theirs}.{kind}"] = t[f"blocks.{i}.{ours}.{kind}"]
    return result


def hugging_face_tensors(model: ViTModel, prefix: str = "vit.") -> Tensors:
    """As ViTForImageClassification names and shapes them; ``prefix`` is "" in files of the bare encoder's names."""
    t, s = model.tensors, model.shape
    result = {
        "embeddings.cls_token": t["cls"].reshape(1, 1, -1),
        "embeddings.position_embeddings": t["pos"][None],
        "embeddings.patch_embeddings.projection.weight": t["patch.weight"].reshape(
            s.embed_dim, s.channels, s.patch_size, s.patch_size
        ),
        "embeddings.patch_embeddings.projection.bias": t["patch.bias"],
    }
    for kind in ("weight", "bias"):
        result[f"layernorm.{kind}"] = t[f"norm.{kind}"]
        for i in range(s.depth):
            layer = f"encoder.layer.{i}."
            parts = np.split(t[f"blocks.{i}.qkv.{kind}"], 3)
            for name, part in zip(("query", "key", "value"), parts, strict=True):
                result[f"{layer}attention.attention.{name}.{kind}"] = part
            for ours, theirs in (
                ("norm1", "layernorm_before"),
                ("proj", "attention.output.dense"),
                ("norm2", "layernorm_after"),
                ("fc1", "intermediate.dense"),
                ("fc2", "output.dense"),
            ):
                result[f"{layer}{theirs}.{kind}"] = t[f"blocks.{i}.{ours}.{kind}"]
    result = {prefix + name: value for name, value in result.items()}
    return result | {f"classifier.{kind}": t[f"head.{kind}"] for kind in ("weight", "bias")}


def write(path: Path, tensors: Tensors, facts: dict | None = FACTS) -> Path:
    """A safetensors file; ``facts`` = None leaves our metadata out, as files of other projects do."""
    metadata = {"format": "pt"} if facts is None else {"vitforge": json.dumps(facts)}
    save_file({name: value.copy(order="C") for name, value in tensors.items()}, path, metadata=metadata)
    return path
