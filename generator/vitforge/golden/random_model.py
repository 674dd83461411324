# SPDX-License-Identifier: Apache-2.0
"""Seeded integer models of any shape, for tests of kernels: valid, and alive in every tensor.

Scales are chosen from the expected spread of each product, so that int8 tensors use their range (a spread of about
40) and the residual stream stays well inside int16.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.arith import MULT_MIN, dyadic
from vitforge.golden.gelu import gelu_table
from vitforge.golden.layer_norm import NORMAL_BITS
from vitforge.golden.linear import ACCUMULATOR_LIMIT
from vitforge.model.vit import ViTShape
from vitforge.quantize.model import QuantBlock, QuantLinear, QuantModel, QuantNorm

INT8_SPREAD = 40.0  # standard deviation aimed at in an int8 tensor
BRANCH_SPREAD = 1500.0  # in a branch of the residual stream
LOGIT_SPREAD = 20000.0
SCORE_SPREAD = 384.0  # 1.5 in units of 1/256
WEIGHT_SPREAD = 73.0  # of uniform weights in [-127, 127]
GELU_SCALE_IN = 3.0 / 127
GELU_SCALE_OUT = 3.0 / 127
LOGIT_SHIFT_MIN = 12  # keeps a 26-bit accumulator times a 16-bit multiplier inside int32


def random_images(rng: np.random.Generator, shape: ViTShape, count: int) -> NDArray[np.uint8]:
    """(count, height, width, channels) uint8, uniform, with the first image all 0 and the second all 255."""
    images = rng.integers(0, 256, (count, *shape.image_size, shape.channels), dtype=np.uint8)
    images[:1] = 0
    images[1:2] = 255
    return images


def random_linear(
    rng: np.random.Generator, rows: int, columns: int, spread_in: float, spread_out: float
) -> QuantLinear:
    """A (columns, rows) layer that turns inputs of one spread into outputs of another; scales differ by channel."""
    acc_spread = math.sqrt(rows) * WEIGHT_SPREAD * spread_in
    scales = [dyadic(spread_out / acc_spread * ratio) for ratio in rng.uniform(0.7, 1.4, columns)]
    return QuantLinear(
        weight=rng.integers(-127, 128, (columns, rows)).astype(np.int8),
        bias=rng.normal(0.0, acc_spread / 4, columns).astype(np.int32),
        mult=np.array([mult for mult, _ in scales], dtype=np.int32),
        shift=np.array([shift for _, shift in scales], dtype=np.int32),
    )


def extreme_linear(rng: np.random.Generator, rows: int, columns: int, shift_min: int = 1) -> QuantLinear:
    """Weights of +-127, accumulators up to the last bit, outputs between always saturated and always small.

    Column 0 has weights all +127 and the largest bias, column 1 (where there is one) all -127 and the smallest.
    """
    weight = rng.choice(np.array([-127, 127], dtype=np.int8), (columns, rows))
    weight[0::4], weight[1::4] = 127, -127
    room = ACCUMULATOR_LIMIT - 1 - 127 * 128 * rows
    bias = rng.integers(-room, room + 1, columns).astype(np.int32)
    bias[0::4], bias[1::4] = room, -room
    return QuantLinear(
        weight=weight,
        bias=bias,
        mult=rng.choice(np.array([MULT_MIN, 2 * MULT_MIN - 1], dtype=np.int32), columns),
        shift=rng.integers(shift_min, 41, columns).astype(np.int32),
    )


def zero_linear(rows: int, columns: int) -> QuantLinear:
    """All weights and biases zero."""
    return QuantLinear(
        weight=np.zeros((columns, rows), dtype=np.int8),
        bias=np.zeros(columns, dtype=np.int32),
        mult=np.full(columns, MULT_MIN, dtype=np.int32),
        shift=np.full(columns, 16, dtype=np.int32),
    )


def random_norm(rng: np.random.Generator, channels: int) -> QuantNorm:
    """gamma of both signs around 2**14, outputs of the int8 spread."""
    gamma = rng.integers(1 << 13, 3 << 13, channels) * rng.choice([-1, 1], channels)
    shift = round(math.log2((1 << 14) * (1 << NORMAL_BITS) / INT8_SPREAD))
    beta = rng.normal(0.0, 5.0 * (1 << shift), channels)
    return QuantNorm(
        gamma=gamma.astype(np.int16),
        beta=beta.astype(np.int32),
        shift=shift,
        eps=int(rng.integers(1, channels * channels + 1)),
    )


def extreme_norm(rng: np.random.Generator, channels: int) -> QuantNorm:
    """gamma of +-32767, beta at both ends of int32, no epsilon."""
    return QuantNorm(
        gamma=rng.choice(np.array([-32767, 32767], dtype=np.int16), channels),
        beta=rng.choice(np.array([-(2**31), 0, 2**31 - 1], dtype=np.int64), channels).astype(np.int32),
        shift=int(rng.integers(20, 29)),
        eps=0,
    )


def _random_block(rng: np.random.Generator, shape: ViTShape) -> QuantBlock:
    width, hidden = shape.embed_dim, shape.hidden_dim
    score = dyadic(SCORE_SPREAD / (INT8_SPREAD * INT8_SPREAD * math.sqrt(shape.head_dim)))
    # Averaging over the keys narrows v; rho > 1 widens the context again.
    mixing = dyadic(min(math.sqrt(shape.seq_len), 8.0) / 4)
    return QuantBlock(
        norm1=random_norm(rng, width),
        qkv=random_linear(rng, width, 3 * width, INT8_SPREAD, INT8_SPREAD),
        score_mult=score[0],
        score_shift=score[1],
        context_mult=mixing[0],
        context_shift=mixing[1],
        proj=random_linear(rng, width, width, INT8_SPREAD, BRANCH_SPREAD),
        norm2=random_norm(rng, width),
        fc1=random_linear(rng, width, hidden, INT8_SPREAD, INT8_SPREAD),
        gelu=gelu_table(GELU_SCALE_IN, GELU_SCALE_OUT),
        fc2=random_linear(rng, hidden, width, INT8_SPREAD, BRANCH_SPREAD),
    )


def _extreme_block(rng: np.random.Generator, shape: ViTShape) -> QuantBlock:
    width, hidden = shape.embed_dim, shape.hidden_dim
    return QuantBlock(
        norm1=extreme_norm(rng, width),
        qkv=extreme_linear(rng, width, 3 * width),
        score_mult=2 * MULT_MIN - 1,
        score_shift=int(rng.integers(18, 26)),
        context_mult=2 * MULT_MIN - 1,
        context_shift=int(rng.integers(12, 18)),
        proj=extreme_linear(rng, width, width),
        norm2=extreme_norm(rng, width),
        fc1=extreme_linear(rng, width, hidden),
        gelu=rng.integers(-127, 128, 256).astype(np.int8),
        fc2=extreme_linear(rng, hidden, width),
    )


def _zero_block(rng: np.random.Generator, shape: ViTShape) -> QuantBlock:
    width, hidden = shape.embed_dim, shape.hidden_dim
    return QuantBlock(
        norm1=random_norm(rng, width),
        qkv=zero_linear(width, 3 * width),
        score_mult=MULT_MIN,
        score_shift=16,
        context_mult=MULT_MIN,
        context_shift=15,
        proj=zero_linear(width, width),
        norm2=random_norm(rng, width),
        fc1=zero_linear(width, hidden),
        gelu=gelu_table(GELU_SCALE_IN, GELU_SCALE_OUT),
        fc2=zero_linear(hidden, width),
    )


def _scales(shape: ViTShape) -> dict[str, float]:
    scales = {"logits": 1.0 / LOGIT_SPREAD} if shape.num_classes else {"norm": 1.0 / INT8_SPREAD}
    for i in range(shape.depth):
        scales[f"blocks.{i}.fc1"] = GELU_SCALE_IN
        scales[f"blocks.{i}.gelu"] = GELU_SCALE_OUT
    return scales


def random_quant_model(
    rng: np.random.Generator, shape: ViTShape, *, extreme: bool = False, zero: bool = False
) -> QuantModel:
    """A model of this shape that meets every invariant of `vitforge.quantize.model`.

    extreme : weights of +-127, biases and scales at their limits, x0 of +-32767, GELU tables of random codes
    zero : all weights and biases zero, so that every branch is zero
    """
    tokens, width, classes = shape.seq_len, shape.embed_dim, shape.num_classes
    if extreme:
        patch = extreme_linear(rng, shape.patch_len, width)
        head = extreme_linear(rng, width, classes, LOGIT_SHIFT_MIN) if classes else None
        x0, make_block, norm = rng.choice([-32767, 32767], (tokens, width)), _extreme_block, extreme_norm(rng, width)
    elif zero:
        patch, head = zero_linear(shape.patch_len, width), zero_linear(width, classes) if classes else None
        x0, make_block, norm = rng.normal(0.0, 3000.0, (tokens, width)), _zero_block, random_norm(rng, width)
    else:
        patch = random_linear(rng, shape.patch_len, width, WEIGHT_SPREAD, BRANCH_SPREAD)
        head = random_linear(rng, width, classes, INT8_SPREAD, LOGIT_SPREAD) if classes else None
        x0, make_block, norm = rng.normal(0.0, 3000.0, (tokens, width)), _random_block, random_norm(rng, width)
    return QuantModel(
        name="random",
        shape=shape,
        labels=tuple(str(i) for i in range(classes)),
        patch=patch,
        x0=np.clip(x0, -32767, 32767).astype(np.int16),
        blocks=tuple(make_block(rng, shape) for _ in range(shape.depth)),
        norm=norm,
        head=head,
        scales=_scales(shape),
    )
