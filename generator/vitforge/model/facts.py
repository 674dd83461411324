# SPDX-License-Identifier: Apache-2.0
"""What tensors cannot tell about a model: heads, pixel statistics, labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

from vitforge.errors import ModelError
from vitforge.model.keep import DENSE, TWO_OF_FOUR
from vitforge.model.vit import ViTModel

METADATA_KEY = "vitforge"
_HF_EPS, _TIMM_EPS = 1e-12, 1e-6  # defaults of the two libraries
_HALF = 0.5  # mean and std of a model that does not state them: pixels to [-1, 1]
_NAME_LENGTH = 64
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of a graph on colour pictures that does not state them
_STATED_SIZES = {  # key of a description -> size of the tensors that it must agree with
    "channels": "channels",
    "num_channels": "channels",
    "patch_size": "patch",
    "hidden_size": "dim",
    "num_hidden_layers": "depth",
    "intermediate_size": "hidden",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything but the tensors."""

    name: str
    num_heads: int
    image_size: tuple[int, int] | None  # (height, width) [pixels]; None = square
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...]
    norm_eps: float
    sparsity: str = DENSE

    @classmethod
    def of(cls, model: ViTModel) -> Facts:
        """Those of ``model``."""
        return cls(
            name=model.name,
            num_heads=model.shape.num_heads,
            image_size=model.shape.image_size,
            mean=model.mean,
            std=model.std,
            labels=model.labels,
            norm_eps=model.shape.norm_eps,
            sparsity=model.sparsity,
        )

    def to_json(self) -> dict[str, object]:
        """As `read_facts` reads them from metadata."""
        return {
            "name": self.name,
            "num_heads": self.num_heads,
            "image_size": list(self.image_size or ()),
            "mean": list(self.mean),
            "std": list(self.std),
            "labels": list(self.labels),
            "norm_eps": self.norm_eps,
            **({} if self.sparsity == DENSE else {"sparsity": self.sparsity}),
        }


def read_facts(file: Path, metadata: Mapping[str, str], *, num_heads: int | None, sizes: Mapping[str, int]) -> Facts:
    """From the file's own metadata, else from config.json and preprocessor_config.json beside it, else defaults.

    sizes : of the tensors: dim, depth, hidden, patch, channels, classes

    Raises ModelError where the number of heads is nowhere to be found, a value is not usable, or the description is
    that of a model of another size.
    """
    channels, classes = sizes["channels"], sizes["classes"]
    try:
        own = metadata.get(METADATA_KEY)
        stated = json.loads(own) if own is not None else _hugging_face(file.parent)
        _check_sizes(stated, sizes)
        heads = num_heads or stated.get("num_heads")
        if heads is None:
            raise ModelError(
                f"{file}: the number of heads is not in the file; put config.json beside it, or give num_heads"
            )
        return Facts(
            name=str(stated.get("name", file.stem))[:_NAME_LENGTH],
            num_heads=index(heads),
            image_size=_pair(stated.get("image_size")),
            mean=_per_channel(stated.get("mean"), channels, "mean"),
            std=_per_channel(stated.get("std"), channels, "std"),
            labels=_labels(stated.get("labels"), classes),
            norm_eps=_positive(stated.get("norm_eps", _TIMM_EPS), "norm_eps"),
            sparsity=_sparsity(stated.get("sparsity", DENSE)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelError(f"{file}: its description of the model is not usable ({error})") from None


def pixel_facts(file: Path, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of pixels in [0, 1] from preprocessor_config.json beside ``file``, else ImageNet's for colour.

    Raises ModelError where the description is not usable.
    """
    try:
        stated = _hugging_face(file.parent)
        mean, std = [list(v) for v in _IMAGENET] if channels == len(_IMAGENET[0]) else (None, None)
        return (
            _per_channel(stated.get("mean", mean), channels, "mean"),
            _per_channel(stated.get("std", std), channels, "std"),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"the description beside {file.name} is not usable ({error})") from None


def _check_sizes(stated: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    for key, size in _STATED_SIZES.items():
        value = stated.get(key)
        if isinstance(value, int) and value != sizes[size]:
            raise ValueError(f"{key} is {value}, but the tensors have {sizes[size]}")


def _hugging_face(directory: Path) -> dict[str, Any]:
    config = _json(directory / "config.json")
    pixels = _json(directory / "preprocessor_config.json")
    activation = config.get("hidden_act", "gelu")
    if activation != "gelu":
        raise ValueError(f"config.json has hidden_act {activation!r}, only 'gelu' can be built")
    if pixels.get("do_normalize") is False:
        pixels = {"image_mean": 0.0, "image_std": 1.0}
    names = config.get("id2label") or {}
    stated = {
        "num_heads": config.get("num_attention_heads"),
        "image_size": config.get("image_size"),
        "norm_eps": config.get("layer_norm_eps", _HF_EPS if config else _TIMM_EPS),
        "mean": pixels.get("image_mean"),
        "std": pixels.get("image_std"),
        "labels": [names[key] for key in sorted(names, key=int)],
        **{key: config.get(key) for key in _STATED_SIZES},
    }
    return {key: value for key, value in stated.items() if value is not None}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from None
    return content if isinstance(content, dict) else {}


def _sparsity(value: Any) -> str:
    if value not in (DENSE, TWO_OF_FOUR):
        raise ValueError(f"sparsity is {value!r}, expected {DENSE!r} or {TWO_OF_FOUR!r}")
    return str(value)


def _pair(value: Any) -> tuple[int, int] | None:
    if not value:
        return None
    height, width = (value, value) if isinstance(value, int) else value
    return index(height), index(width)


def _per_channel(value: Any, channels: int, what: str) -> tuple[float, ...]:
    if not isinstance(value, list):  # one number is meant for every channel
        value = [_HALF if value is None else value] * channels
    numbers = tuple(float(v) for v in value)
    positive = what != "std" or all(v > 0 for v in numbers)
    if len(numbers) != channels or not all(map(math.isfinite, numbers)) or not positive:
        raise ValueError(f"{what} is {list(numbers)} for {channels} channels")
    return numbers


def _positive(value: Any, what: str) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{what} is {number}")
    return number


def _labels(value: Any, classes: int) -> tuple[str, ...]:
    if value and not isinstance(value, list):
        raise ValueError("labels are not a list")
    labels = tuple(str(label) for label in value or range(classes))
    if len(labels) != classes:
        raise ValueError(f"{len(labels)} labels for {classes} classes")
    return labels
