# SPDX-License-Identifier: Apache-2.0
"""Linear, layer norm, GELU, patches and keep masks: against plain integers and against their float references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vitforge.errors import ModelError
from vitforge.golden.gelu import gelu, gelu_float, gelu_table
from vitforge.golden.keep import compact, restore
from vitforge.golden.layer_norm import layer_norm, layer_norm_float, normalize, normalize_float
from vitforge.golden.linear import linear, linear_float
from vitforge.golden.patch import extract_patches, extract_patches_float
from vitforge.golden.random_model import extreme_linear, extreme_norm, random_linear, random_norm, zero_linear
from vitforge.model.vit import ViTShape
from vitforge.quantize.model import QuantLinear, QuantNorm

# --- linear --------------------------------------------------------------------------------------


def layers(rng: np.random.Generator, rows: int, columns: int) -> list[QuantLinear]:
    return [
        random_linear(rng, rows, columns, 73.0, 40.0),
        extreme_linear(rng, rows, columns, shift_min=12),
        zero_linear(rows, columns),
    ]


def inputs(rng: np.random.Generator, rows: int) -> np.ndarray:
    x = rng.integers(-127, 128, (9, rows)).astype(np.int8)
    x[0], x[1], x[2] = 127, -127, 0
    return x


@pytest.mark.parametrize("limit", [127, 32767, None])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 5), (64, 192), (1100, 6), (4096, 3)])
def test_linear_equals_plain_int64(rows, columns, limit):
    rng = np.random.default_rng(rows)
    for layer in layers(rng, rows, columns):
        x = inputs(rng, rows)
        acc = x.astype(np.int64) @ layer.weight.astype(np.int64).T + layer.bias
        assert np.abs(acc).max() < 1 << 26
        scaled = (acc * layer.mult.astype(np.int64) + (1 << (layer.shift.astype(np.int64) - 1))) >> layer.shift
        expected = scaled if limit is None else np.clip(scaled, -limit, limit)
        got = linear(x, layer, limit)
        assert got.dtype == {127: np.int8, 32767: np.int16, None: np.int32}[limit]
        assert np.array_equal(got, expected)
        assert np.abs(got - linear_float(x, layer, limit)).max() <= 0.5


def test_linear_keeps_leading_axes():
    rng = np.random.default_rng(5)
    layer = random_linear(rng, 12, 4, 73.0, 40.0)
    x = rng.integers(-127, 128, (2, 3, 12)).astype(np.int8)
    assert np.array_equal(linear(x, layer), linear(x.reshape(6, 12), layer).reshape(2, 3, 4))


def test_linear_refuses_to_leave_27_bits():
    layer = zero_linear(4, 2)
    layer.bias[1] = 1 << 26
    with pytest.raises(OverflowError, match="27-bit"):
        linear(np.zeros((1, 4), dtype=np.int8), layer)


def test_logits_refuse_to_leave_int32():
    layer = extreme_linear(np.random.default_rng(6), 8, 4, shift_min=1)
    layer.shift[:] = 1
    with pytest.raises(OverflowError, match="int32"):
        linear(np.full((1, 8), 127, dtype=np.int8), layer, None)


# --- layer norm ------------------------------------------------------------------------------------


def norm_rows(rng: np.random.Generator, channels: int) -> np.ndarray:
    """Random rows of every spread, and the rows that break layer norms."""
    spreads = np.ldexp(1.0, rng.integers(0, 15, 200))[:, None]
    usual = np.clip(rng.normal(rng.normal(0, 8000, (200, 1)), spreads, (200, channels)), -32767, 32767)
    corners = np.zeros((9, channels))
    corners[1], corners[2] = 32767, -32767
    corners[3, ::2], corners[3, 1::2] = 32767, -32767
    corners[4, 0] = 32767  # one hot
    corners[5] = -32767
    corners[5, -1] = 32767
    corners[6, 0] = 1
    corners[7] = 12345
    corners[7, -1] = 12346
    corners[8] = np.arange(channels)
    return np.concatenate([corners, usual]).astype(np.int16)


@pytest.mark.parametrize("eps", [0, 1, 4096])
@pytest.mark.parametrize("channels", [2, 3, 17, 64, 192, 768])
def test_normalize_stays_within_its_stated_bound(channels, eps):
    x = norm_rows(np.random.default_rng(channels), channels)
    wide = x.astype(np.int64)
    variance = channels * (wide * wide).sum(axis=-1) - wide.sum(axis=-1) ** 2 + eps
    std = np.array([max(1, math.isqrt(int(v))) for v in variance])[:, None]
    y = np.clip(normalize_float(x, eps), -32767 / 1024, 32767 / 1024)
    bound = np.abs(y) * (1 / std + 2.0**-16) + 2.0**-11 + 1e-9
    assert np.all(np.abs(normalize(x, eps) / 1024 - y) <= bound)


@pytest.mark.parametrize("channels", [3, 64, 192])
def test_layer_norm_against_float(channels):
    """Half an output step, and the error of a normalised value passed through gamma."""
    rng = np.random.default_rng(channels)
    x = norm_rows(rng, channels)[9:]
    x = x[x.std(axis=-1) > 64]
    for _ in range(5):
        norm = random_norm(rng, channels)
        y = np.abs(normalize_float(x, norm.eps)) * (1 / (64 * channels) + 2.0**-16) + 2.0**-11
        bound = 0.5 + y * 1024 * np.abs(norm.gamma.astype(float)) / (1 << norm.shift) + 1e-9
        assert np.all(np.abs(layer_norm(x, norm) - layer_norm_float(x, norm)) <= bound)


def test_layer_norm_equals_python_integers():
    rng = np.random.default_rng(7)
    for channels in (1, 2, 3, 5, 64):
        rows = norm_rows(rng, channels) if channels > 1 else np.array([[0], [32767], [-5]], dtype=np.int16)
        for norm in (random_norm(rng, channels), extreme_norm(rng, channels)):
            got = layer_norm(rows, norm)
            for row, output in zip(rows.tolist(), got.tolist(), strict=True):
                total, squares = sum(row), sum(v * v for v in row)
                std = max(1, math.isqrt(channels * squares - total * total + norm.eps))
                length = std.bit_length()
                q = ((1 << (length + 16)) - 1) // std
                for c, value in enumerate(row):
                    yhat = ((channels * value - total) * q + (1 << (length + 5))) >> (length + 6)
                    yhat = max(-32767, min(32767, yhat))
                    y = (yhat * int(norm.gamma[c]) + int(norm.beta[c]) + (1 << (norm.shift - 1))) >> norm.shift
                    assert output[c] == max(-127, min(127, y))


@pytest.mark.parametrize("code", [-32767, 0, 32767])
def test_constant_rows_give_beta(code):
    norm = QuantNorm(gamma=np.full(8, 20000, dtype=np.int16), beta=np.arange(8, dtype=np.int32) << 10, shift=10, eps=0)
    assert layer_norm(np.full((2, 8), code, dtype=np.int16), norm).tolist() == [list(range(8))] * 2


def test_layer_norm_refuses_more_channels_than_54_bits_hold():
    x = np.full((1, 8192), 32767, dtype=np.int16)
    x[:, ::2] = -32767
    with pytest.raises(OverflowError, match="54 bits"):
        normalize(x, 0)


# --- GELU ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale_in", "scale_out"), [(1 / 32, 1 / 32), (6 / 127, 4 / 127), (0.5, 0.1), (1e-3, 1e-3)])
def test_gelu_table_is_the_nearest_code_of_all_256(scale_in, scale_out):
    table = gelu_table(scale_in, scale_out)
    assert table.dtype == np.int8
    assert table.shape == (256,)
    for code in range(-128, 128):
        x = code * scale_in
        real = x * (1 + math.erf(x / math.sqrt(2))) / 2 / scale_out
        assert int(table[code + 128]) == max(-127, min(127, math.floor(real + 0.5)))
        assert abs(float(gelu_float(x)) / scale_out - real) < 1e-12
    assert table[128] == 0


def test_gelu_looks_up_every_code():
    table = np.random.default_rng(8).permutation(np.arange(-128, 128)).astype(np.int8)
    codes = np.arange(-128, 128).astype(np.int8)
    assert np.array_equal(gelu(codes, table), table)
    strided = np.stack([codes, codes[::-1]], axis=1)[:, 1]
    assert np.array_equal(gelu(strided, table), table[::-1])


# --- keep masks --------------------------------------------------------------------------------------

MASKS = hnp.arrays(bool, st.integers(1, 70))


@settings(deadline=None)
@given(MASKS, st.integers(0, 4))
def test_compact_then_restore_zeroes_exactly_the_pruned(keep, rows):
    x = np.random.default_rng(rows).integers(-32767, 32768, (rows, 2, keep.size)).astype(np.int16)
    restored = restore(compact(x, keep), keep)
    assert restored.dtype == x.dtype
    assert np.array_equal(restored, np.where(keep, x, 0))


@settings(deadline=None)
@given(MASKS)
def test_restore_then_compact_is_the_identity(keep):
    x = np.arange(1, 3 * np.count_nonzero(keep) + 1).reshape(3, -1)
    assert np.array_equal(compact(restore(x, keep), keep), x)


def test_keep_masks_of_all_and_none():
    x = np.arange(6).reshape(2, 3)
    assert np.array_equal(compact(x, np.ones(3, bool)), x)
    assert compact(x, np.zeros(3, bool)).shape == (2, 0)
    assert np.array_equal(restore(np.zeros((2, 0), int), np.zeros(3, bool)), np.zeros((2, 3)))


def test_keep_masks_refuse_the_wrong_width():
    with pytest.raises(ValueError, match="4 channels"):
        compact(np.zeros((1, 4)), np.ones(3, bool))
    with pytest.raises(ValueError, match="2 kept"):
        restore(np.zeros((1, 3)), np.array([True, False, True]))


# --- patches -----------------------------------------------------------------------------------------


def patch_shape(height: int, width: int, channels: int, size: int) -> ViTShape:
    return ViTShape(
        image_size=(height, width), channels=channels, patch_size=size, embed_dim=4, depth=1, num_heads=1,
        hidden_dim=4, num_classes=2,
    )  # fmt: skip


@pytest.mark.parametrize(("height", "width", "channels", "size"), [(8, 12, 3, 4), (28, 28, 1, 4), (9, 7, 2, 3)])
def test_patches_are_channel_row_column_and_row_major(height, width, channels, size):
    shape = patch_shape(height, width, channels, size)
    images = np.random.default_rng(9).integers(0, 256, (2, height, width, channels), dtype=np.uint8)
    patches = extract_patches(images, shape)
    assert patches.shape == (2, shape.seq_len, channels * size * size)
    assert np.all(patches[:, 0] == 0)
    for n, row, column in np.ndindex(2, height // size, width // size):
        expected = [
            max(int(images[n, row * size + i, column * size + j, c]) - 128, -127)
            for c in range(channels)
            for i in range(size)
            for j in range(size)
        ]
        assert patches[n, 1 + row * (width // size) + column].tolist() == expected


def test_every_pixel_value_enters_within_one():
    shape = patch_shape(16, 16, 1, 16)
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    patches = extract_patches(images, shape)
    assert patches[0, 1].tolist() == [-127, *range(-127, 128)]
    assert np.abs(patches - extract_patches_float(images, shape)).max() == 1


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 8, 12, 3), np.float32),
        np.zeros((1, 12, 8, 3), np.uint8),
        np.zeros((8, 12, 3), np.uint8),
        np.zeros((1, 8, 12, 1), np.uint8),
    ],
)
def test_images_of_another_shape_or_type_are_refused(images):
    with pytest.raises(ModelError, match=r"uint8 of shape \(n, 8, 12, 3\)"):
        extract_patches(images, patch_shape(8, 12, 3, 4))
