# SPDX-License-Identifier: Apache-2.0
"""Bad model files: one sentence each, with every tensor that is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from model.support import hugging_face_tensors, random_model, timm_tensors, write
from vitforge.errors import ModelError
from vitforge.model.safetensors_io import load_model


def refusal(path, **options) -> str:
    """The sentence that `load_model` refuses ``path`` with."""
    with pytest.raises(ModelError) as caught:
        load_model(path, **options)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def refusal_of(tmp_path, tensors) -> str:
    return refusal(write(tmp_path / "m.safetensors", tensors))


# --- the file -------------------------------------------------------------------------------------------


def test_not_found(tmp_path):
    assert "m.safetensors cannot be read (No such file or directory); give" in refusal(tmp_path / "m.safetensors")


def test_directory_without_a_model(tmp_path):
    assert "model.safetensors cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("part", [0, 5, 8, 500, -1])
def test_truncated(tmp_path, part):
    whole = write(tmp_path / "m.safetensors", timm_tensors(random_model())).read_bytes()
    path = tmp_path / "short.safetensors"
    path.write_bytes(whole[:part])
    assert "is not a whole safetensors file" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + bytes(60), b"\xff" * 64, b"hello, I am a model", b"\x02" + bytes(7) + b"[]"]
)
def test_not_safetensors(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    assert "is not a whole safetensors file" in refusal(path)


def test_no_tensors(tmp_path):
    assert "its tensors (none) are not those of a Vision Transformer" in refusal_of(tmp_path, {})


def test_another_architecture(tmp_path):
    convolution = np.zeros((4, 3, 3, 3), np.float32)
    message = refusal_of(tmp_path, {"conv1.weight": convolution, "layer1.0.conv1.weight": convolution})
    assert (
        "its tensors ('conv1.weight', 'layer1.0.conv1.weight') are not those of a Vision Transformer in timm" in message
    )


# --- the tensors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [timm_tensors, hugging_face_tensors])
def test_each_missing_tensor_is_named(tmp_path, make):
    tensors = make(random_model())
    for name in tensors:
        path = write(tmp_path / "m.safetensors", {key: value for key, value in tensors.items() if key != name})
        assert f"missing: {name.removeprefix('vit.')!r}" in refusal(path)


def test_missing_tensors_are_named_together(tmp_path):
    tensors = timm_tensors(random_model())
    gone = ["pos_embed", "patch_embed.proj.weight", "blocks.1.attn.qkv.bias", "head.weight"]
    for name in gone:
        del tensors[name]
    message = refusal_of(tmp_path, tensors)
    assert all(repr(name) in message for name in gone)


def test_a_missing_block_is_capped_with_a_count(tmp_path):
    tensors = timm_tensors(random_model())
    message = refusal_of(tmp_path, {name.replace("blocks.1.", "blocks.5."): value for name, value in tensors.items()})
    assert "'blocks.1.norm1.weight'" in message
    assert " and 40 more" in message  # 4 blocks of 12 tensors, 8 named
    assert len(message) < 600


@pytest.mark.parametrize("make", [timm_tensors, hugging_face_tensors])
def test_each_misshapen_tensor_is_named(tmp_path, make):
    tensors = make(random_model())
    for name, value in tensors.items():
        message = refusal_of(tmp_path, tensors | {name: np.zeros((*value.shape, 1), np.float32)})
        assert f"misshapen: {name.removeprefix('vit.')!r} is {(*value.shape, 1)}, expected " in message


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("blocks.1.attn.qkv.weight", (30, 12), "'blocks.1.attn.qkv.weight' is (30, 12), expected (36, 12)"),
        ("blocks.0.mlp.fc2.weight", (20, 12), "'blocks.0.mlp.fc2.weight' is (20, 12), expected (12, 20)"),
        ("patch_embed.proj.weight", (12, 2, 3, 4), "is (12, 2, 3, 4), expected (12, 2, 3, 3)"),
        ("pos_embed", (1, 0, 12), "'pos_embed' is (1, 0, 12), expected 3 axes, none of length 0"),
        ("head.bias", (), "'head.bias' is (), expected (4,)"),
    ],
)
def test_expected_shape_is_said(tmp_path, name, shape, expected):
    assert expected in refusal_of(tmp_path, timm_tensors(random_model()) | {name: np.zeros(shape, np.float32)})


def test_misshapen_layer_scale(tmp_path):
    message = refusal_of(tmp_path, timm_tensors(random_model()) | {"blocks.0.ls1.gamma": np.ones(3, np.float32)})
    assert "misshapen: 'blocks.0.ls1.gamma' is (3,), expected (12,)" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_each_tensor_that_is_not_finite_is_named(tmp_path, value):
    tensors = timm_tensors(random_model())
    for name in tensors:
        broken = tensors[name].copy()
        broken.flat[-1] = value
        assert refusal_of(tmp_path, tensors | {name: broken}).endswith(f"naming; NaN or infinite: {name!r}")


def test_double_beyond_float32_is_infinite(tmp_path):
    tensors = timm_tensors(random_model()) | {"head.bias": np.array([0, 1e300, 0, 0])}
    assert "NaN or infinite: 'head.bias'" in refusal_of(tmp_path, tensors)


@pytest.mark.parametrize(
    "name", ["cls_token.x", "reg_token", "blocks.0.attn.q_norm.weight", "fc_norm.weight", "blocks.00.norm1.weight"]
)
def test_extra_tensors_are_named(tmp_path, name):
    message = refusal_of(tmp_path, timm_tensors(random_model()) | {name: np.zeros(12, np.float32)})
    assert message.endswith(f"naming; extra: {name!r}")


def test_the_same_tensor_with_and_without_prefix(tmp_path):
    tensors = hugging_face_tensors(random_model())
    tensors["layernorm.bias"] = tensors["vit.layernorm.bias"] + 1
    assert "extra: 'vit.layernorm.bias'" in refusal_of(tmp_path, tensors)


@pytest.mark.parametrize(
    "name", ['it\'s "quoted"', "two\nlines", "../../etc/passwd", "{{ 7 * 7 }}", "[exec rm]", "\x1b[31mred"]
)
def test_hostile_names_are_quoted(tmp_path, name):
    message = refusal_of(tmp_path, timm_tensors(random_model()) | {name: np.zeros(1, np.float32)})
    assert f"extra: {name!r}" in message
    assert message.isprintable()
    alone = refusal_of(tmp_path, {name: np.zeros(1, np.float32)})
    assert repr(name) in alone
    assert alone.isprintable()


def test_all_kinds_in_one_sentence(tmp_path):
    tensors = timm_tensors(random_model())
    del tensors["norm.bias"]
    tensors["more"] = np.zeros(2, np.float32)
    tensors["head.bias"] = np.zeros(5, np.float32)
    tensors["cls_token"] = np.full((1, 1, 12), np.nan, np.float32)
    message = refusal_of(tmp_path, tensors)
    assert "missing: 'norm.bias'; extra: 'more'; misshapen: 'head.bias' is (5,), expected (4,);" in message
    assert message.endswith("NaN or infinite: 'cls_token'")


@pytest.mark.parametrize(("kind", "stated"), [(np.int8, "I8"), (np.int64, "I64"), (bool, "BOOL")])
def test_other_number_types(tmp_path, kind, stated):
    tensors = timm_tensors(random_model())
    tensors["head.bias"] = np.zeros(4, kind)
    message = refusal_of(tmp_path, tensors)
    assert f"tensor 'head.bias' is of type {stated}; weights must be F32, F16, BF16 or F64" in message


@pytest.mark.parametrize("metadata", ["{", "[]", "7", "null", '"text"'])
def test_broken_metadata(tmp_path, metadata):
    path = tmp_path / "m.safetensors"
    write(path, timm_tensors(random_model()), facts=json.loads("{}"))
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["vitforge"] = metadata
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert "its description of the model is not usable" in refusal(path)
