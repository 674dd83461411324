# SPDX-License-Identifier: Apache-2.0
"""Float model and ranges to integer parameters: symmetric, weights per output channel, activations per tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.golden.arith import dyadic, requantize
from vitforge.golden.gelu import gelu_table
from vitforge.golden.layer_norm import NORMAL_BITS
from vitforge.model.vit import ViTModel
from vitforge.quantize.calibrate import DEFAULT_PERCENTILE, Progress, Range, calibrate, check_method
from vitforge.quantize.correct import correct_biases
from vitforge.quantize.equalize import equalize
from vitforge.quantize.model import QuantBlock, QuantLinear, QuantModel, QuantNorm
from vitforge.quantize.prune import prune_quantized
from vitforge.quantize.report import QuantReport, measure

INT8, INT16 = 127, 32767
ACCUMULATOR_LIMIT = 1 << 26  # 27 bits, signed
SCORE_UNIT = 256
RESIDUAL_HEADROOM = 1.5  # other images may reach further than the calibration's; int16 has the room
LOGIT_LEVELS = 1 << 19  # of the largest logit seen
_MIN_RATIO, _MAX_RATIO = 2.0**-24, 2.0**15 - 1  # input-to-output ratios that a shift in [1, 40] expresses
_BIAS_SHARE = 0.25  # of the accumulator range that a bias may take
_PIXEL_LEVELS, _PIXEL_ZERO = 255.0, 128.0
_NORM_SHIFTS = range(30, 0, -1)
_EPS_BITS = 46  # epsilon is a part of a 54-bit variance
_MAX_CONTEXT_GAIN = 2.0**14  # of a step of v over one of the context
_LOGIT_LIMIT = 1 << 30  # int32, with room for rounding


def quantize_linear(name: str, weight: NDArray, bias: NDArray, scale_in: float, scale_out: float) -> QuantLinear:
    """Integers of ``y = x @ weight.T + bias``, x at ``scale_in``, y at ``scale_out``.

    weight : (out, in) float; bias : (out,) float. The scale of a row is max|w| / 127, or larger where the row is so
    small that its multiplier would leave its range or its bias the accumulator.

    Raises ModelError where a row can overflow the 27-bit accumulator, or its weights dwarf every output seen.
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
    ratios = scale_in * row_scale / scale_out
    if (ratios > _MAX_RATIO).any():
        row = int(np.argmax(ratios))
        raise ModelError(
            f"{name}: the weights of row {row} are {ratios[row]:.3g} steps of its output, more than {_MAX_RATIO:.0f}; "
            "calibrate with images that the model was trained for"
        )
    factors = [dyadic(float(ratio)) for ratio in ratios]
    return QuantLinear(
        weight=integer,
        bias=offset.astype(np.int32),
        mult=np.array([mult for mult, _ in factors], np.int32),
        shift=np.array([shift for _, shift in factors], np.int32),
    )


def quantize_norm(
    name: str, weight: NDArray, bias: NDArray, eps: float, scale_residual: float, scale_out: float
) -> QuantNorm:
    """gamma, beta and shift with the most fraction bits that int16 and int32 hold; epsilon in units of D^2 s^2.

    Raises ModelError where no shift makes both fit.
    """
    dim = len(weight)
    for shift in _NORM_SHIFTS:
        gamma = np.rint(weight.astype(np.float64) * 2.0 ** (shift - NORMAL_BITS) / scale_out)
        beta = np.rint(bias.astype(np.float64) * 2.0**shift / scale_out)
        if np.abs(gamma).max() <= INT16 and np.abs(beta).max() < 2**30:
            break
    else:
        raise ModelError(
            f"{name}: its weight of up to {np.abs(weight).max():.3g} is too large for outputs in steps of "
            f"{scale_out:.3g}; calibrate with images that the model was trained for"
        )
    return QuantNorm(
        gamma=gamma.astype(np.int16),
        beta=beta.astype(np.int32),
        shift=shift,
        eps=int(round(dim * dim * eps / scale_residual**2)),
    )


def _activation_scales(model: ViTModel, ranges: Mapping[str, Range]) -> dict[str, float]:
    """int8 tensors: clip / 127. The residual stream and all its branches: one scale."""
    scales = {}
    residual = ["patch", "x.final"]
    for i in range(model.shape.depth):
        for part in ("norm1", "q", "k", "v", "context", "norm2", "fc1", "gelu"):
            scales[f"blocks.{i}.{part}"] = _int8_scale(ranges[f"blocks.{i}.{part}"])
        # A context that cancels out far below v is noise in the real model too.
        least = scales[f"blocks.{i}.v"] / _MAX_CONTEXT_GAIN
        scales[f"blocks.{i}.context"] = max(scales[f"blocks.{i}.context"], least)
        scales[f"blocks.{i}.score"] = 1.0 / SCORE_UNIT
        residual += [f"x.{i}.attn", f"x.{i}.mlp", f"blocks.{i}.proj", f"blocks.{i}.fc2"]
    scales["norm"] = _int8_scale(ranges["norm"])
    reach = max(_table_reach(model), *(ranges[name].magnitude for name in residual))
    # A stream so small that epsilon outweighs it needs no finer steps than epsilon has room for.
    least = model.shape.embed_dim * math.sqrt(model.shape.norm_eps) * 2.0 ** (-_EPS_BITS / 2)
    scales["residual"] = max(_scale(RESIDUAL_HEADROOM * reach, INT16), least)
    scales |= dict.fromkeys(residual, scales["residual"])
    if model.shape.num_classes:
        weight, bias = (np.abs(model.tensors[f"head.{part}"]).astype(np.float64) for part in ("weight", "bias"))
        largest = float((weight.sum(axis=1) * INT8 * scales["norm"] + bias).max())
        scales["logits"] = max(_scale(ranges["logits"].magnitude, LOGIT_LEVELS), largest / _LOGIT_LIMIT)
    return scales


def _int8_scale(span: Range) -> float:
    return _scale(span.clip or span.magnitude, INT8)


def _scale(magnitude: float, levels: int) -> float:
    """Value of one step; a tensor that is always zero may have any."""
    return magnitude / levels if magnitude > 0 else 1.0 / levels


def _score_factor(name: str, ratio: float) -> tuple[int, int]:
    """``dyadic`` of one step of q times one of k, in steps of the score."""
    if ratio > _MAX_RATIO:
        raise ModelError(
            f"{name}: q times k goes in steps of {ratio / SCORE_UNIT:.3g}, and scores are held up to "
            f"{INT16 // SCORE_UNIT}; the weights of its qkv are too large"
        )
    return dyadic(max(ratio, _MIN_RATIO))  # below, every score rounds to zero


def _quantize_block(model: ViTModel, i: int, scales: Mapping[str, float]) -> QuantBlock:
    t, shape, residual = model.tensors, model.shape, scales["residual"]
    name = f"blocks.{i}."

    def linear(layer: str, scale_in: float, scale_out: float) -> QuantLinear:
        return quantize_linear(name + layer, t[f"{name}{layer}.weight"], t[f"{name}{layer}.bias"], scale_in, scale_out)

    def norm(layer: str) -> QuantNorm:
        weight, bias = t[f"{name}{layer}.weight"], t[f"{name}{layer}.bias"]
        return quantize_norm(name + layer, weight, bias, shape.norm_eps, residual, scales[name + layer])

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
    ratio = scales[name + "q"] * scales[name + "k"] / math.sqrt(shape.head_dim) * SCORE_UNIT
    score = _score_factor(name + "score", ratio)
    context = dyadic(max(scales[name + "v"] / scales[name + "context"], _MIN_RATIO))
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


def _folded_patch(model: ViTModel) -> tuple[NDArray, NDArray]:
    """(weight, bias) of the patch embedding of pixel - 128, mean and std folded in, float64."""
    t, area = model.tensors, model.shape.patch_size**2
    mean = np.repeat(np.asarray(model.mean, np.float64), area)
    std = np.repeat(np.asarray(model.std, np.float64), area)
    weight = t["patch.weight"].astype(np.float64)
    return weight / (_PIXEL_LEVELS * std), t["patch.bias"] + weight @ ((_PIXEL_ZERO / _PIXEL_LEVELS - mean) / std)


def _table_reach(model: ViTModel) -> float:
    """Largest magnitude of what `_quantize_patch` puts into 16 bits beside the tensors of the float model."""
    bias, pos = _folded_patch(model)[1], model.tensors["pos"].astype(np.float64)
    class_token = model.tensors["cls"] + pos[0]
    return max(float(np.abs(part).max()) for part in (pos[1:], bias, class_token, class_token - bias) if part.size)


def _quantize_patch(model: ViTModel, residual: float) -> tuple[QuantLinear, NDArray[np.int16]]:
    """Patch embedding of pixel - 128 with mean and std folded in, and the residual it is added to."""
    t = model.tensors
    patch = quantize_linear("patch", *_folded_patch(model), 1.0, residual)
    table = np.rint(t["pos"].astype(np.float64) / residual).astype(np.int64)
    # The class token has an all-zero patch, whose embedding is the bias: take it out again.
    table[0] = np.rint((t["cls"] + t["pos"][0]).astype(np.float64) / residual) - requantize(
        patch.bias, patch.mult, patch.shift
    )
    return patch, table.astype(np.int16)


def _quantize_head(model: ViTModel, scales: Mapping[str, float]) -> QuantLinear | None:
    if not model.shape.num_classes:
        return None
    t = model.tensors
    return quantize_linear("head", t["head.weight"], t["head.bias"], scales["norm"], scales["logits"])


def quantize_model(
    model: ViTModel,
    images: NDArray[np.uint8],
    *,
    method: str = "percentile",
    percentile: float = DEFAULT_PERCENTILE,
    progress: Progress | None = None,
) -> tuple[QuantModel, QuantReport]:
    """Calibrates ``model`` on images (n, H, W, C) uint8 and quantises it.

    method : "percentile" or "max" of `calibrate`; "smooth" is "max" after `equalize`, and then `correct_biases`, for
        models whose activations have outliers; the report is then about the equalised model

    Raises ModelError where there are no images or a tensor cannot be represented, ConfigError for a wrong method or
    percentile.
    """
    check_method(method, percentile)
    if method == "smooth" and len(images):
        model = equalize(model, images, progress)
    ranges = calibrate(model, images, method=method, percentile=percentile, progress=progress)
    scales = _activation_scales(model, ranges)
    patch, table = _quantize_patch(model, scales["residual"])
    t = model.tensors
    quantized = QuantModel(
        name=model.name,
        shape=model.shape,
        labels=model.labels,
        patch=patch,
        x0=table,
        blocks=tuple(_quantize_block(model, i, scales) for i in range(model.shape.depth)),
        norm=quantize_norm(
            "norm", t["norm.weight"], t["norm.bias"], model.shape.norm_eps, scales["residual"], scales["norm"]
        ),
        head=_quantize_head(model, scales),
        scales=scales,
    )
    if method == "smooth":
        quantized = correct_biases(model, quantized, images, progress)
    if model.keep:  # what is gone has no bias and no scale, whatever was corrected
        quantized = prune_quantized(quantized, model.keep)
    quantized = replace(quantized, sparsity=model.sparsity)
    return quantized, measure(model, quantized, images, ranges, method, progress)
