# SPDX-License-Identifier: Apache-2.0
"""Float model and ranges to integer parameters: symmetric, weights per output channel, activations per tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.golden.arith import dyadic, requantize
from vitforge.golden.gelu import gelu_table
from vitforge.golden.layer_norm import NORMAL_BITS
from vitforge.model.vit import ViTModel
from vitforge.quantize.calibrate import DEFAULT_PERCENTILE, Progress, Range, calibrate
from vitforge.quantize.model import QuantBlock, QuantLinear, QuantModel, QuantNorm
from vitforge.quantize.report import QuantReport, measure

INT8, INT16 = 127, 32767
ACCUMULATOR_LIMIT = 1 << 26  # 27 bits, signed
SCORE_UNIT = 256
RESIDUAL_HEADROOM = 1.5  # other images may reach further than the calibration's; int16 has the room
LOGIT_LEVELS = 1 << 19  # of the largest logit seen
_MIN_RATIO = 2.0**-24  # smallest input-to-output ratio that a shift of at most 40 expresses
_BIAS_SHARE = 0.25  # of the accumulator range that a bias may take
_PIXEL_LEVELS, _PIXEL_ZERO = 255.0, 128.0
_NORM_SHIFTS = range(30, 0, -1)


def quantize_linear(name: str, weight: NDArray, bias: NDArray, scale_in: float, scale_out: float) -> QuantLinear:
    """Integers of ``y = x @ weight.T + bias``, x at ``scale_in``, y at ``scale_out``.

    weight : (out, in) float; bias : (out,) float. The scale of a row is max|w| / 127, or larger where the row is so
    small that its multiplier would leave its range or its bias the accumulator.

    Raises ModelError where a row can overflow the 27-bit accumulator.
    """
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    row_scale = np.maximum.reduce(
        [
            np.abs(weight).max(axis=1) / INT8,
            np.full(len(weight), _MIN_RATIO * scale_out / scale_in),
            np.abs(bias) / (scale_in * ACCUMULATOR_LIMIT * _BIAS_SHARE),
        ]
    )
    integer = np.clip(np.rint(weight / row_scale[:, None]), -INT8, INT8).astype(np.int8)
    offset = np.rint(bias / (scale_in * row_scale)).astype(np.int64)
    reach = np.abs(integer.astype(np.int64)).sum(axis=1) * 128 + np.abs(offset)
    if (reach >= ACCUMULATOR_LIMIT).any():
        row = int(np.argmax(reach))
        raise ModelError(
            f"{name}: row {row} can reach {int(reach[row])} in a 27-bit accumulator (limit {ACCUMULATOR_LIMIT}); "
            f"its {weight.shape[1]} inputs are too many for weights this even"
        )
    factors = [dyadic(float(ratio)) for ratio in scale_in * row_scale / scale_out]
    return QuantLinear(
        weight=integer,
        bias=offset.astype(np.int32),
        mult=np.array([mult for mult, _ in factors], np.int32),
        shift=np.array([shift for _, shift in factors], np.int32),
    )


def quantize_norm(weight: NDArray, bias: NDArray, eps: float, scale_residual: float, scale_out: float) -> QuantNorm:
    """gamma, beta and shift with the most fraction bits that int16 and int32 hold; epsilon in units of D^2 s^2."""
    dim = len(weight)
    for shift in _NORM_SHIFTS:
        gamma = np.rint(weight.astype(np.float64) * 2.0 ** (shift - NORMAL_BITS) / scale_out)
        beta = np.rint(bias.astype(np.float64) * 2.0**shift / scale_out)
        if np.abs(gamma).max() <= INT16 and np.abs(beta).max() < 2**30:
            break
    return QuantNorm(
        gamma=gamma.astype(np.int16),
        beta=beta.astype(np.int32),
        shift=shift,
        eps=int(round(dim * dim * eps / scale_residual**2)),
    )


def _activation_scales(ranges: Mapping[str, Range], depth: int) -> dict[str, float]:
    """int8 tensors: clip / 127. The residual stream and all its branches: one scale."""
    scales = {}
    residual = ["patch", "x.final"]
    for i in range(depth):
        for part in ("norm1", "q", "k", "v", "context", "norm2", "fc1", "gelu"):
            scales[f"blocks.{i}.{part}"] = _scale(ranges[f"blocks.{i}.{part}"].clip, INT8)
        scales[f"blocks.{i}.score"] = 1.0 / SCORE_UNIT
        residual += [f"x.{i}.attn", f"x.{i}.mlp", f"blocks.{i}.proj", f"blocks.{i}.fc2"]
    scales["norm"] = _scale(ranges["norm"].clip, INT8)
    scales["residual"] = _scale(RESIDUAL_HEADROOM * max(ranges[name].magnitude for name in residual), INT16)
    scales |= dict.fromkeys(residual, scales["residual"])
    scales["logits"] = _scale(ranges["logits"].magnitude, LOGIT_LEVELS)
    return scales


def _scale(magnitude: float, levels: int) -> float:
    """Value of one step; a tensor that is always zero may have any."""
    return magnitude / levels if magnitude > 0 else 1.0 / levels


def _quantize_block(model: ViTModel, i: int, scales: Mapping[str, float]) -> QuantBlock:
    t, shape, residual = model.tensors, model.shape, scales["residual"]
    name = f"blocks.{i}."

    def linear(layer: str, scale_in: float, scale_out: float) -> QuantLinear:
        return quantize_linear(name + layer, t[f"{name}{layer}.weight"], t[f"{name}{layer}.bias"], scale_in, scale_out)

    def norm(layer: str) -> QuantNorm:
        weight, bias = t[f"{name}{layer}.weight"], t[f"{name}{layer}.bias"]
        return quantize_norm(weight, bias, shape.norm_eps, residual, scales[name + layer])

    parts = [
        quantize_linear(
            f"{name}qkv.{part}",
            t[name + "qkv.weight"][j * shape.embed_dim : (j + 1) * shape.embed_dim],
            t[name + "qkv.bias"][j * shape.embed_dim : (j + 1) * shape.embed_dim],
            scales[name + "norm1"],
            scales[name + part],
        )
        for j, part in enumerate("qkv")
    ]
    score = dyadic(scales[name + "q"] * scales[name + "k"] / math.sqrt(shape.head_dim) * SCORE_UNIT)
    context = dyadic(scales[name + "v"] / scales[name + "context"])
    fields = ("weight", "bias", "mult", "shift")
    return QuantBlock(
        norm1=norm("norm1"),
        qkv=QuantLinear(**{field: np.concatenate([getattr(part, field) for part in parts]) for field in fields}),
        score_mult=score[0],
        score_shift=score[1],
        context_mult=context[0],
        context_shift=context[1],
        proj=linear("proj", scales[name + "context"], residual),
        norm2=norm("norm2"),
        fc1=linear("fc1", scales[name + "norm2"], scales[name + "fc1"]),
        gelu=gelu_table(scales[name + "fc1"], scales[name + "gelu"]),
        fc2=linear("fc2", scales[name + "gelu"], residual),
    )


def _quantize_patch(model: ViTModel, residual: float) -> tuple[QuantLinear, NDArray[np.int16]]:
    """Patch embedding of pixel - 128 with mean and std folded in, and the residual it is added to."""
    t, shape = model.tensors, model.shape
    area = shape.patch_size**2
    mean = np.repeat(np.asarray(model.mean, np.float64), area)
    std = np.repeat(np.asarray(model.std, np.float64), area)
    weight = t["patch.weight"].astype(np.float64)
    bias = t["patch.bias"] + weight @ ((_PIXEL_ZERO / _PIXEL_LEVELS - mean) / std)
    patch = quantize_linear("patch", weight / (_PIXEL_LEVELS * std), bias, 1.0, residual)
    table = np.rint(t["pos"].astype(np.float64) / residual).astype(np.int64)
    # The class token has an all-zero patch, whose embedding is the bias: take it out again.
    table[0] = np.rint((t["cls"] + t["pos"][0]).astype(np.float64) / residual) - requantize(
        patch.bias, patch.mult, patch.shift
    )
    if np.abs(table).max() > INT16:
        raise ModelError("the position table does not fit the 16-bit residual stream: calibrate with more images")
    return patch, table.astype(np.int16)


def quantize_model(
    model: ViTModel,
    images: NDArray[np.uint8],
    *,
    method: str = "percentile",
    percentile: float = DEFAULT_PERCENTILE,
    progress: Progress | None = None,
) -> tuple[QuantModel, QuantReport]:
    """Calibrates ``model`` on images (n, H, W, C) uint8 and quantises it.

    Raises ModelError where a tensor cannot be represented, ConfigError for a wrong method or percentile.
    """
    ranges = calibrate(model, images, method=method, percentile=percentile, progress=progress)
    scales = _activation_scales(ranges, model.shape.depth)
    patch, table = _quantize_patch(model, scales["residual"])
    t = model.tensors
    quantized = QuantModel(
        name=model.name,
        shape=model.shape,
        labels=model.labels,
        patch=patch,
        x0=table,
        blocks=tuple(_quantize_block(model, i, scales) for i in range(model.shape.depth)),
        norm=quantize_norm(t["norm.weight"], t["norm.bias"], model.shape.norm_eps, scales["residual"], scales["norm"]),
        head=quantize_linear("head", t["head.weight"], t["head.bias"], scales["norm"], scales["logits"]),
        scales=scales,
    )
    return quantized, measure(model, quantized, images, ranges, method, progress)
