# SPDX-License-Identifier: Apache-2.0
"""Float models from and to safetensors, with every wrong tensor named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from vitforge.errors import ModelError, OutputError
from vitforge.model.facts import METADATA_KEY, Facts, read_facts
from vitforge.model.naming import (
    TIMM,
    Naming,
    count_blocks,
    detect,
    expected_shapes,
    fixed_sources,
    has_head,
    stripped,
)
from vitforge.model.pruned_file import MASK_TYPE, check_pruned, compact_file, expand_file, is_mask, read_keep
from vitforge.model.vit import FloatArray, ViTModel, ViTShape

FILE_NAME = "model.safetensors"
_NAMED = 8  # tensors of one kind that a message spells out


def load_model(path: str | Path, *, num_heads: int | None = None) -> ViTModel:
    """The ViT of a safetensors file, or of a directory that has ``model.safetensors``; timm or Hugging Face naming.

    A file without a class head gives a feature backbone (``num_classes`` 0).

    num_heads : needed where neither the file's metadata nor a config.json beside it says it.

    Raises
    ------
    ModelError
        If the file is missing, cut off, not safetensors, not a ViT, or if tensors are missing, extra, misshapen or hold
        NaN or infinity: all of them are named.
    """
    file = Path(path)
    file = file / FILE_NAME if file.is_dir() else file
    raw, masks, metadata = _read(file)
    try:
        keep = read_keep(masks)
        raw = expand_file(raw, keep)
    except ValueError as error:
        raise ModelError(f"{file}: {error}") from None
    try:
        naming = detect(list(raw))
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from None
    tensors = {short: raw[name] for short, name in stripped(naming, raw).items() if short not in naming.ignored}
    sizes = _check(file, naming, tensors)
    facts = read_facts(file, metadata, num_heads=num_heads, sizes=sizes)
    model = ViTModel(
        name=facts.name,
        shape=_shape(file, sizes, facts),
        mean=facts.mean,
        std=facts.std,
        labels=facts.labels,
        tensors=_canonical(naming, tensors, sizes),
        keep=keep,
        sparsity=facts.sparsity,
    )
    return check_pruned(model)


def model_bytes(model: ViTModel) -> bytes:
    """``model`` in timm naming, so that `load_model` gives the same model back, bit for bit; of a pruned one what the
    masks leave, and the masks."""
    source: dict[str, NDArray] = {}
    shapes = expected_shapes(TIMM, **_sizes_of(model.shape))
    for name, (target,) in fixed_sources(TIMM, model.shape.num_classes):
        source[target] = model.tensors[name].reshape(shapes[target])
    for i in range(model.shape.depth):
        for name, (target,) in TIMM.block.items():
            source[TIMM.block_prefix.format(i) + target] = model.tensors[f"blocks.{i}.{name}"]
    source = compact_file(source, model)
    metadata = {METADATA_KEY: json.dumps(Facts.of(model).to_json(), sort_keys=True)}
    packed = {name: np.ascontiguousarray(value) for name, value in source.items()}
    content: bytes = safetensors.numpy.save(packed, metadata)
    return content


def save_model(model: ViTModel, path: str | Path) -> None:
    """Writes `model_bytes`. Raises OutputError where ``path`` cannot be written."""
    try:
        Path(path).write_bytes(model_bytes(model))
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); name a file in a writable directory") from None


def _sizes_of(shape: ViTShape) -> dict[str, int]:
    return {
        "dim": shape.embed_dim,
        "channels": shape.channels,
        "patch": shape.patch_size,
        "tokens": shape.seq_len,
        "depth": shape.depth,
        "hidden": shape.hidden_dim,
        "classes": shape.num_classes,
    }


def _read(file: Path) -> tuple[dict[str, FloatArray], dict[str, NDArray[np.uint8]], dict[str, str]]:
    """Weights, keep masks, and what the file says of itself."""
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{file} cannot be read ({getattr(error, 'strerror', None) or error}); give a safetensors file"
        ) from None
    try:
        entries = safetensors.deserialize(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError) as error:
        raise ModelError(f"{file} is not a whole safetensors file ({error}); export or copy it again") from None
    masks = {
        name: np.frombuffer(bytes(entry["data"]), np.uint8).reshape(tuple(entry["shape"]))
        for name, entry in entries
        if is_mask(name) and entry["dtype"] == MASK_TYPE
    }
    return {name: _to_float(file, name, entry) for name, entry in entries if name not in masks}, masks, metadata


def _to_float(file: Path, name: str, entry: Mapping[str, Any]) -> FloatArray:
    data, shape = bytes(entry["data"]), tuple(entry["shape"])
    kind = entry["dtype"]
    if kind == "BF16":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    types = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
    if kind not in types:
        raise ModelError(f"{file}: tensor {name!r} is of type {kind}; weights must be F32, F16, BF16 or F64")
    with np.errstate(over="ignore"):
        return np.frombuffer(data, types[kind]).astype(np.float32).reshape(shape)


def _size_sources(naming: Naming, head: bool) -> dict[str, tuple[str, int, int]]:
    """Size -> the tensor that shows it, the rank that tensor must have, the axis."""
    projection, positions = naming.fixed["patch.weight"][0], naming.fixed["pos"][0]
    classes = {"classes": (naming.fixed["head.weight"][0], 2, 0)} if head else {}
    return {
        "dim": (projection, 4, 0),
        "channels": (projection, 4, 1),
        "patch": (projection, 4, 2),
        "tokens": (positions, 3, 1),
        "hidden": (naming.block_prefix.format(0) + naming.block["fc1.weight"][0], 2, 0),
        **classes,
    }


def _check(file: Path, naming: Naming, tensors: Mapping[str, FloatArray]) -> dict[str, int]:
    """The model's sizes, for `expected_shapes`. Raises ModelError that names every tensor that is not as it must be."""
    head = has_head(naming, tensors)
    depth, sources = count_blocks(naming, list(tensors)), _size_sources(naming, head)
    wrong = [
        f"{name!r} is {tensors[name].shape}, expected {rank} axes, none of length 0"
        for name, rank in dict.fromkeys((name, rank) for name, rank, _ in sources.values())
        if name in tensors and (tensors[name].ndim != rank or 0 in tensors[name].shape)
    ]
    whole = not wrong and all(name in tensors for name, _, _ in sources.values())
    sizes = {size: tensors[name].shape[axis] if whole else 1 for size, (name, _, axis) in sources.items()}
    sizes.setdefault("classes", 0)
    expected = expected_shapes(naming, depth=depth, **sizes)
    scales = {naming.block_prefix.format(i) + name for i in range(depth) for name in naming.optional.values()}
    known = {**expected, **dict.fromkeys(sorted(scales), (sizes["dim"],))}
    if whole:
        wrong = [
            f"{name!r} is {tensors[name].shape}, expected {shape}"
            for name, shape in known.items()
            if name in tensors and tensors[name].shape != shape
        ]
    problems = {
        "missing": [repr(name) for name in expected if name not in tensors],
        "extra": [repr(name) for name in tensors if name not in known],
        "misshapen": wrong,
        "NaN or infinite": [repr(name) for name, value in tensors.items() if not np.isfinite(value).all()],
    }
    found = [f"{kind}: {_list(names)}" for kind, names in problems.items() if names]
    if found:
        raise ModelError(f"{file} is not a complete Vision Transformer in {naming.title} naming; {'; '.join(found)}")
    return {**sizes, "depth": depth}


def _list(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _shape(file: Path, sizes: Mapping[str, int], facts: Facts) -> ViTShape:
    count, patch = sizes["tokens"] - 1, sizes["patch"]
    image = facts.image_size or (math.isqrt(max(count, 0)) * patch,) * 2
    if min(image) < patch or image[0] % patch or image[1] % patch:
        raise ModelError(
            f"{file}: an image of {image[0]} x {image[1]} pixels is not a whole number of {patch} x {patch} patches; "
            "correct image_size in the metadata or config.json"
        )
    if (image[0] // patch) * (image[1] // patch) != count:
        raise ModelError(
            f"{file}: {count} positions are not those of {image[0]} x {image[1]} pixels with patches of {patch}; "
            "give image_size in the metadata or config.json"
        )
    if facts.num_heads < 1 or sizes["dim"] % facts.num_heads:
        raise ModelError(f"{file}: {facts.num_heads} heads do not divide the width of {sizes['dim']}")
    return ViTShape(
        image_size=(image[0], image[1]),
        channels=sizes["channels"],
        patch_size=patch,
        embed_dim=sizes["dim"],
        depth=sizes["depth"],
        num_heads=facts.num_heads,
        hidden_dim=sizes["hidden"],
        num_classes=sizes["classes"],
        norm_eps=facts.norm_eps,
    )


def _canonical(naming: Naming, tensors: Mapping[str, FloatArray], sizes: Mapping[str, int]) -> dict[str, FloatArray]:
    fixed = fixed_sources(naming, sizes["classes"])
    result = {name: np.concatenate([tensors[s] for s in sources]) for name, sources in fixed}
    result["cls"] = result["cls"].reshape(-1)
    result["pos"] = result["pos"][0]
    result["patch.weight"] = result["patch.weight"].reshape(len(result["patch.weight"]), -1)
    for i in range(sizes["depth"]):
        prefix = naming.block_prefix.format(i)
        for name, sources in naming.block.items():
            result[f"blocks.{i}.{name}"] = np.concatenate([tensors[prefix + s] for s in sources])
        for scale, layer in (("ls1", "proj"), ("ls2", "fc2")):
            gamma = tensors.get(prefix + naming.optional[scale]) if scale in naming.optional else None
            if gamma is not None:
                result[f"blocks.{i}.{layer}.weight"] = result[f"blocks.{i}.{layer}.weight"] * gamma[:, None]
                result[f"blocks.{i}.{layer}.bias"] = result[f"blocks.{i}.{layer}.bias"] * gamma
    return result
