# SPDX-License-Identifier: Apache-2.0
"""Tensor names of the ViT families that can be imported, and the shapes they must have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vitforge.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]
_HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True, kw_only=True)
class Naming:
    """One convention: source names of the canonical tensors of `ViTModel`.

    ``fixed`` and ``block`` map a canonical name to the source tensors that are stacked to make it; block names are
    relative to ``block_prefix``, which holds the block's number as {}. ``optional`` scales (LayerScale) may be absent.
    """

    title: str
    prefixes: tuple[str, ...]  # that a file may put before every name
    fixed: Mapping[str, tuple[str, ...]]
    block_prefix: str
    block: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, str]
    ignored: tuple[str, ...]  # known tensors that inference does not need


def _with_bias(pairs: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {
        f"{name}.{kind}": tuple(f"{source}.{kind}" for source in sources)
        for name, sources in pairs.items()
        for kind in ("weight", "bias")
    }


TIMM = Naming(
    title="timm",
    prefixes=("",),
    fixed={
        "cls": ("cls_token",),
        "pos": ("pos_embed",),
        **_with_bias({"patch": ("patch_embed.proj",), "norm": ("norm",), "head": ("head",)}),
    },
    block_prefix="blocks.{}.",
    block=_with_bias(
        {
            "norm1": ("norm1",),
            "qkv": ("attn.qkv",),
            "proj": ("attn.proj",),
            "norm2": ("norm2",),
            "fc1": ("mlp.fc1",),
            "fc2": ("mlp.fc2",),
        }
    ),
    optional={"ls1": "ls1.gamma", "ls2": "ls2.gamma"},
    ignored=(),
)

HUGGING_FACE = Naming(
    title="Hugging Face",
    prefixes=("", "vit."),
    fixed={
        "cls": ("embeddings.cls_token",),
        "pos": ("embeddings.position_embeddings",),
        **_with_bias(
            {"patch": ("embeddings.patch_embeddings.projection",), "norm": ("layernorm",), "head": ("classifier",)}
        ),
    },
    block_prefix="encoder.layer.{}.",
    block=_with_bias(
        {
            "norm1": ("layernorm_before",),
            "qkv": tuple(f"attention.attention.{name}" for name in ("query", "key", "value")),
            "proj": ("attention.output.dense",),
            "norm2": ("layernorm_after",),
            "fc1": ("intermediate.dense",),
            "fc2": ("output.dense",),
        }
    ),
    optional={},
    ignored=("pooler.dense.weight", "pooler.dense.bias"),
)


def strip_prefix(naming: Naming, name: str) -> str:
    """``name`` without the longest prefix of ``naming`` that it has."""
    prefix = max((p for p in naming.prefixes if name.startswith(p)), key=len)
    return name[len(prefix) :]


def stripped(naming: Naming, names: Iterable[str]) -> dict[str, str]:
    """Name without prefix -> name in the file; of two that differ only in the prefix, the second keeps its own."""
    result: dict[str, str] = {}
    for name in sorted(names):
        short = strip_prefix(naming, name)
        result[name if short in result else short] = name
    return result


def detect(names: list[str]) -> Naming:
    """The convention whose encoder blocks ``names`` have. Raises ModelError where it is neither."""
    for naming in (TIMM, HUGGING_FACE):
        start = naming.block_prefix.split("{}")[0]
        if any(strip_prefix(naming, name).startswith(start) for name in names):
            return naming
    shown = ", ".join(repr(name) for name in sorted(names)[:3]) or "none"
    more = ", …" if len(names) > 3 else ""
    raise ModelError(
        f"its tensors ({shown}{more}) are not those of a Vision Transformer in timm or Hugging Face naming; "
        "export the state dict of one"
    )


def count_blocks(naming: Naming, names: list[str]) -> int:
    """Number of encoder blocks that ``names`` speak of."""
    pattern = re.compile(re.escape(naming.block_prefix).replace(r"\{\}", r"(\d{1,4})"))
    found = [int(match[1]) for match in map(pattern.match, names) if match]
    return max(found, default=-1) + 1


def has_head(naming: Naming, names: Iterable[str]) -> bool:
    """Whether any tensor of a class head is among ``names``."""
    return not {naming.fixed[name][0] for name in _HEAD}.isdisjoint(names)


def fixed_sources(naming: Naming, classes: int) -> list[tuple[str, tuple[str, ...]]]:
    """The entries of ``naming.fixed`` that a model of so many classes has."""
    return [(name, sources) for name, sources in naming.fixed.items() if classes or name not in _HEAD]


def expected_shapes(
    naming: Naming, *, dim: int, channels: int, patch: int, tokens: int, depth: int, hidden: int, classes: int
) -> dict[str, tuple[int, ...]]:
    """Source name -> shape of every tensor that the architecture must have (optional ones left out).

    classes : 0 = without a class head
    """
    fixed = {
        "cls": (1, 1, dim),
        "pos": (1, tokens, dim),
        "patch.weight": (dim, channels, patch, patch),
        "patch.bias": (dim,),
        "norm.weight": (dim,),
        "norm.bias": (dim,),
        "head.weight": (classes, dim),
        "head.bias": (classes,),
    }
    rows = {"norm1": dim, "qkv": 3 * dim, "proj": dim, "norm2": dim, "fc1": hidden, "fc2": dim}
    columns = {"qkv": dim, "proj": dim, "fc1": dim, "fc2": hidden}
    shapes = {source: fixed[name] for name, sources in fixed_sources(naming, classes) for source in sources}
    for i in range(depth):
        for name, sources in naming.block.items():
            layer, kind = name.split(".")
            height = rows[layer] // len(sources)
            shape = (height, columns[layer]) if kind == "weight" and layer in columns else (height,)
            shapes |= {naming.block_prefix.format(i) + source: shape for source in sources}
    return shapes
