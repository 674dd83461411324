# SPDX-License-Identifier: Apache-2.0
"""A quantised model as files: integers in safetensors, everything else in JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from vitforge.errors import ModelError
from vitforge.golden.linear import ACCUMULATOR_LIMIT
from vitforge.model.keep import (
    DENSE,
    TWO_OF_FOUR,
    check_two_of_four,
    everything,
    kept_sides,
    reduction_groups,
)
from vitforge.model.keep_tensors import compact, expand, keep_in, keep_out
from vitforge.model.vit import ViTShape
from vitforge.output import write_project
from vitforge.quantize.model import QuantBlock, QuantLinear, QuantModel, QuantNorm
from vitforge.quantize.records import ZERO_MULT, ZERO_SHIFT
from vitforge.quantize.report import QuantReport, TensorRow

MARKER = "model.json"  # by which we know a directory of ours
TENSORS = "model.safetensors"
REPORT = "report.json"
_FORMAT = 1
_LINEARS, _NORMS = ("qkv", "proj", "fc1", "fc2"), ("norm1", "norm2")
_SCALARS = ("score_mult", "score_shift", "context_mult", "context_shift")
_DTYPES = {
    "weight": np.int8,
    "bias": np.int32,
    "mult": np.int32,
    "shift": np.int32,
    "gamma": np.int16,
    "beta": np.int32,
}
_MULT_RANGE, _SHIFT_RANGE = (1 << 15, (1 << 16) - 1), (1, 40)
_SIZES = ("channels", "patch_size", "embed_dim", "depth", "num_heads", "hidden_dim")


def save_quantized(model: QuantModel, report: QuantReport | None, directory: Path) -> None:
    """Writes `quantized_files` as ``directory``, all or nothing, replacing only a directory of ours.

    Raises OutputError where ``directory`` is something else, or cannot be written; what was there stays whole.
    """
    write_project(directory, quantized_files(model, report), MARKER)


def quantized_files(model: QuantModel, report: QuantReport | None = None) -> dict[str, bytes]:
    """File name -> bytes; the same model gives the same bytes."""
    tensors: dict[str, NDArray] = {
        "x0": model.x0,
        **_linear_out("patch", model.patch),
        **({} if model.head is None else _linear_out("head", model.head)),
    }
    tensors |= _norm_out("norm", model.norm)
    tensors |= keep_out(model.keep)
    scalars: dict[str, int] = {"norm.shift": model.norm.shift, "norm.eps": model.norm.eps}
    for i, block in enumerate(model.blocks):
        prefix = f"blocks.{i}."
        tensors[prefix + "gelu"] = block.gelu
        keep = model.keep[i] if model.keep else everything(model.shape)
        for name in _LINEARS:
            whole = _linear_out(prefix + name, getattr(block, name))
            tensors |= {key: compact(value, *kept_sides(keep, name)) for key, value in whole.items()}
        for name in _NORMS:
            norm = getattr(block, name)
            tensors |= _norm_out(prefix + name, norm)
            scalars |= {f"{prefix}{name}.shift": norm.shift, f"{prefix}{name}.eps": norm.eps}
        scalars |= {prefix + name: getattr(block, name) for name in _SCALARS}
    content = {
        "generator": "vitforge",
        "format": _FORMAT,
        "name": model.name,
        "shape": {**asdict(model.shape), "image_size": list(model.shape.image_size)},
        "labels": list(model.labels),
        "scales": dict(model.scales),
        "scalars": scalars,
        **({} if model.sparsity == DENSE else {"sparsity": model.sparsity}),
    }
    packed = {name: np.ascontiguousarray(value) for name, value in sorted(tensors.items())}
    files = {MARKER: _json(content), TENSORS: save_tensors(packed)}
    return files if report is None else files | {REPORT: _json(report.to_json())}


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _linear_out(name: str, layer: QuantLinear) -> dict[str, NDArray]:
    return {f"{name}.{field.name}": getattr(layer, field.name) for field in fields(layer)}


def _norm_out(name: str, norm: QuantNorm) -> dict[str, NDArray]:
    return {f"{name}.gamma": norm.gamma, f"{name}.beta": norm.beta}


def load_quantized(directory: Path) -> QuantModel:
    """The model of a directory that ``vitforge quantize`` wrote.

    Raises ModelError if a file is missing, cut off, not ours, or holds a value that the hardware cannot take.
    """
    try:
        content = json.loads((directory / MARKER).read_bytes())
        tensors = load_tensors((directory / TENSORS).read_bytes())
    except OSError as error:
        raise ModelError(
            f"{error.filename} cannot be read ({error.strerror}); give a directory of vitforge quantize"
        ) from None
    except (ValueError, RecursionError, SafetensorError) as error:
        raise ModelError(f"{directory} is damaged ({error}); quantise the model again") from None
    try:
        if content["generator"] != "vitforge" or content["format"] != _FORMAT:
            raise ValueError(f"it is not of format {_FORMAT}")
        return _Reader(tensors, content).model()
    except KeyError as error:
        raise ModelError(f"{directory} is damaged: {error.args[0]!r} is missing; quantise the model again") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{directory} is damaged: {error}; quantise the model again") from None


def load_report(directory: Path) -> QuantReport | None:
    """What quantisation did to the model in ``directory``; None if that is not there, or cannot be read."""
    try:
        content = json.loads((directory / REPORT).read_bytes())
        rows = [
            {**row, "sqnr_db": math.inf if row["sqnr_db"] is None else row["sqnr_db"]} for row in content["tensors"]
        ]
        return QuantReport(
            method=content["method"], images=content["images"], rows=tuple(TensorRow(**row) for row in rows)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _reach(layer: QuantLinear) -> NDArray[np.int64]:
    """Largest magnitude of each accumulator, (out,)."""
    return np.abs(layer.weight.astype(np.int64)).sum(axis=1) * 128 + np.abs(layer.bias.astype(np.int64))


class _Reader:
    """Checked pieces of a stored model; ValueError says what is wrong."""

    def __init__(self, tensors: Mapping[str, NDArray], content: Mapping[str, Any]) -> None:
        self.tensors, self.content = tensors, content
        self.shape = ViTShape(**{**content["shape"], "image_size": tuple(content["shape"]["image_size"])})
        self.check_shape()
        self.keep = keep_in(tensors, self.shape)

    def check_shape(self) -> None:
        s = self.shape
        height, width = s.image_size
        sizes = {name: getattr(s, name) for name in _SIZES} | {"height": height, "width": width}
        for name, value in sizes.items():
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}, expected an integer of at least 1")
        if type(s.num_classes) is not int or s.num_classes < 0:
            raise ValueError(f"num_classes is {s.num_classes!r}, expected an integer of at least 0")
        if s.embed_dim % s.num_heads:
            raise ValueError(f"{s.num_heads} heads do not divide the width of {s.embed_dim}")
        if not 0 <= float(s.norm_eps) < math.inf:
            raise ValueError(f"norm_eps is {s.norm_eps!r}")

    def labels(self) -> tuple[str, ...]:
        labels, classes = self.content["labels"], self.shape.num_classes
        if not isinstance(labels, list) or len(labels) != classes:
            raise ValueError(f"labels are not a list of {classes}")
        return tuple(str(label) for label in labels)

    def scales(self) -> dict[str, float]:
        scales = {str(name): float(value) for name, value in self.content["scales"].items()}
        output = "logits" if self.shape.num_classes else "norm"
        for name, value in {**scales, output: scales[output]}.items():
            if not 0 < value < math.inf:
                raise ValueError(f"the scale of {name} is {value}")
        return scales

    def model(self) -> QuantModel:
        s = self.shape
        return QuantModel(
            name=str(self.content["name"]),
            shape=s,
            labels=self.labels(),
            patch=self.linear("patch", s.embed_dim, s.patch_len),
            x0=self.symmetric("x0", (s.seq_len, s.embed_dim), np.int16),
            blocks=tuple(self.block(i) for i in range(s.depth)),
            norm=self.norm("norm"),
            head=self.head(s.num_classes) if s.num_classes else None,
            scales=self.scales(),
            keep=self.keep,
            sparsity=self.sparsity(),
        )

    def sparsity(self) -> str:
        value = self.content.get("sparsity", DENSE)
        if value not in (DENSE, TWO_OF_FOUR):
            raise ValueError(f"sparsity is {value!r}, expected {DENSE!r} or {TWO_OF_FOUR!r}")
        return str(value)

    def tensor(self, name: str, shape: tuple[int, ...], dtype: type) -> NDArray:
        value = self.tensors[name]
        if value.shape != shape or value.dtype != dtype:
            raise ValueError(f"{name} is {value.shape} {value.dtype}, expected {shape} {np.dtype(dtype)}")
        return value

    def symmetric(self, name: str, shape: tuple[int, ...], dtype: type) -> NDArray:
        value = self.tensor(name, shape, dtype)
        lowest = np.iinfo(dtype).min
        if value.min() == lowest:
            raise ValueError(f"{name} holds {lowest}, which the hardware never takes")
        return value

    def scalar(self, name: str, low: int, high: int) -> int:
        value = self.content["scalars"][name]
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}, expected an integer from {low} to {high}")
        return value

    def linear(self, name: str, columns: int, rows: int) -> QuantLinear:
        parts = {field.name: (columns, rows) if field.name == "weight" else (columns,) for field in fields(QuantLinear)}
        return self.checked(
            name, {key: self.tensor(f"{name}.{key}", shape, _DTYPES[key]) for key, shape in parts.items()}
        )

    def block_linear(self, block: int, layer: str) -> QuantLinear:
        """A layer of a block, of which the file has what its masks leave."""
        keep = self.keep[block] if self.keep else everything(self.shape)
        outputs, inputs = kept_sides(keep, layer)
        name, parts = f"blocks.{block}.{layer}", {}
        for key, fill in {"weight": 0, "bias": 0, "mult": ZERO_MULT, "shift": ZERO_SHIFT}.items():
            value = self.tensors[f"{name}.{key}"]
            if value.dtype != _DTYPES[key] or value.ndim != (2 if key == "weight" else 1):
                raise ValueError(f"{name}.{key} is {value.shape} {value.dtype}, expected {np.dtype(_DTYPES[key])}")
            parts[key] = expand(f"{name}.{key}", value, outputs, inputs, fill)
        whole = self.checked(name, parts)
        if self.sparsity() == TWO_OF_FOUR:
            check_two_of_four(f"{name}.weight", whole.weight, reduction_groups(keep, layer))
        return whole

    def checked(self, name: str, parts: dict[str, NDArray]) -> QuantLinear:
        layer = QuantLinear(**parts)
        limits = {"weight": (-127, 127), "mult": _MULT_RANGE, "shift": _SHIFT_RANGE}
        for key, (low, high) in limits.items():
            value = getattr(layer, key)
            if value.min() < low or value.max() > high:
                raise ValueError(f"{name}.{key} has a value outside {low} to {high}")
        if _reach(layer).max() >= ACCUMULATOR_LIMIT:
            raise ValueError(f"{name} can leave its 27-bit accumulator")
        return layer

    def head(self, classes: int) -> QuantLinear:
        layer = self.linear("head", classes, self.shape.embed_dim)
        if ((_reach(layer) * layer.mult) >> layer.shift).max() >= np.iinfo(np.int32).max:
            raise ValueError("head can give logits beyond 32 bits")
        return layer

    def norm(self, name: str) -> QuantNorm:
        dim = (self.shape.embed_dim,)
        return QuantNorm(
            gamma=self.tensor(f"{name}.gamma", dim, np.int16),
            beta=self.tensor(f"{name}.beta", dim, np.int32),
            shift=self.scalar(f"{name}.shift", 1, 30),
            eps=self.scalar(f"{name}.eps", 0, (1 << 48) - 1),
        )

    def block(self, number: int) -> QuantBlock:
        prefix = f"blocks.{number}."
        return QuantBlock(
            norm1=self.norm(prefix + "norm1"),
            qkv=self.block_linear(number, "qkv"),
            score_mult=self.scalar(prefix + "score_mult", *_MULT_RANGE),
            score_shift=self.scalar(prefix + "score_shift", *_SHIFT_RANGE),
            context_mult=self.scalar(prefix + "context_mult", *_MULT_RANGE),
            context_shift=self.scalar(prefix + "context_shift", *_SHIFT_RANGE),
            proj=self.block_linear(number, "proj"),
            norm2=self.norm(prefix + "norm2"),
            fc1=self.block_linear(number, "fc1"),
            gelu=self.symmetric(prefix + "gelu", (256,), np.int8),
            fc2=self.block_linear(number, "fc2"),
        )
