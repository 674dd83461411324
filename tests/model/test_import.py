# SPDX-License-Identifier: Apache-2.0
"""Good model files: both namings, LayerScale, number types, and where heads, pixels and labels come from."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy

from model.support import FACTS, SHAPE, hugging_face_tensors, random_images, random_model, timm_tensors, write
from vitforge.errors import ModelError, OutputError
from vitforge.model.float_vit import forward
from vitforge.model.safetensors_io import load_model, save_model
from vitforge.model.vit import ViTModel

CONFIG = {"num_attention_heads": 3, "image_size": [6, 9], "layer_norm_eps": 1e-5, "hidden_act": "gelu"}
CONFIG |= {"id2label": {"10": "d", "2": "b", "3": "c", "1": "a"}}
PIXELS = {"image_mean": [0.4, 0.5], "image_std": [0.2, 0.3]}


def assert_same(loaded: ViTModel, model: ViTModel) -> None:
    assert (loaded.shape, loaded.mean, loaded.std, loaded.labels) == (model.shape, model.mean, model.std, model.labels)
    assert loaded.tensors.keys() == model.tensors.keys()
    for name, value in model.tensors.items():
        assert loaded.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(loaded.tensors[name], value, err_msg=name, strict=True)


def write_config(directory, config=CONFIG, pixels=PIXELS) -> None:
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "preprocessor_config.json").write_text(json.dumps(pixels))


def test_timm_names(tmp_path):
    model = random_model()
    loaded = load_model(write(tmp_path / "m.safetensors", timm_tensors(model)))
    assert_same(loaded, model)
    assert loaded.name == "small"


@pytest.mark.parametrize("prefix", ["vit.", ""])
def test_hugging_face_names(tmp_path, prefix):
    model = random_model()
    tensors = hugging_face_tensors(model, prefix)
    tensors[prefix + "pooler.dense.weight"] = np.zeros((12, 12), np.float32)
    tensors[prefix + "pooler.dense.bias"] = np.zeros(12, np.float32)
    write(tmp_path / "model.safetensors", tensors, facts=None)
    write_config(tmp_path)
    assert_same(load_model(tmp_path), model)
    assert_same(load_model(str(tmp_path / "model.safetensors")), model)


def test_both_namings_give_the_same_logits(tmp_path):
    model, images = random_model(), random_images(4)
    timm = load_model(write(tmp_path / "timm.safetensors", timm_tensors(model)))
    hugging_face = load_model(write(tmp_path / "hf.safetensors", hugging_face_tensors(model)))
    np.testing.assert_array_equal(forward(timm, images), forward(hugging_face, images))


def test_layer_scale_is_folded(tmp_path):
    model, images = random_model(), random_images(4)
    tensors = timm_tensors(model)
    gammas = {
        f"blocks.{i}.ls{k}.gamma": np.random.default_rng(10 * i + k).uniform(-2, 2, SHAPE.embed_dim).astype(np.float32)
        for i in range(SHAPE.depth)
        for k in (1, 2)
    }
    loaded = load_model(write(tmp_path / "m.safetensors", tensors | gammas))
    assert loaded.tensors.keys() == model.tensors.keys()
    plain, scaled = {}, {}
    forward(model, images, plain.__setitem__)
    forward(loaded, images, scaled.__setitem__)
    # Block 0 sees the same residual in both models, so its attention branch differs by the scale alone.
    expected = plain["blocks.0.proj"] * gammas["blocks.0.ls1.gamma"]
    np.testing.assert_allclose(scaled["blocks.0.proj"], expected, rtol=0, atol=1e-5)
    for i in range(SHAPE.depth):
        unscaled = scaled[f"blocks.{i}.gelu"] @ model.tensors[f"blocks.{i}.fc2.weight"].T
        unscaled += model.tensors[f"blocks.{i}.fc2.bias"]
        expected = unscaled * gammas[f"blocks.{i}.ls2.gamma"]
        np.testing.assert_allclose(scaled[f"blocks.{i}.fc2"], expected, rtol=0, atol=1e-5)


def test_half_precision_is_widened(tmp_path):
    model = random_model()
    tensors = {name: value.astype(np.float16) for name, value in timm_tensors(model).items()}
    loaded = load_model(write(tmp_path / "m.safetensors", tensors))
    for name, value in model.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], value.astype(np.float16).astype(np.float32), strict=True)


def test_bfloat16_is_widened(tmp_path):
    model = random_model()
    header, data = {"__metadata__": {"vitforge": json.dumps(FACTS)}}, b""
    for name, value in timm_tensors(model).items():  # numpy has no bfloat16, so the file is laid out by hand
        upper = (np.ascontiguousarray(value).view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": value.shape, "data_offsets": [len(data), len(data) + len(upper)]}
        data += upper
    text = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    for name, value in load_model(path).tensors.items():
        upper_half = (model.tensors[name].view(np.uint32) & 0xFFFF0000).view(np.float32)
        np.testing.assert_array_equal(value, upper_half, strict=True)


def test_round_trip_is_exact(tmp_path):
    model = random_model()
    save_model(model, tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors")
    assert_same(loaded, model)
    assert loaded.name == model.name
    save_model(loaded, str(tmp_path / "b.safetensors"))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    written = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    for name, value in timm_tensors(model).items():
        np.testing.assert_array_equal(written.pop(name), value, strict=True)
    assert not written


def test_save_into_no_directory_is_one_sentence(tmp_path):
    with pytest.raises(OutputError, match=r"missing/m\.safetensors cannot be written \(No such file or directory\)"):
        save_model(random_model(), tmp_path / "missing" / "m.safetensors")


# --- what tensors cannot tell ---------------------------------------------------------------------------


def test_heads_from_the_argument(tmp_path):
    path = write(tmp_path / "m.safetensors", timm_tensors(random_model()) | square_positions(), facts=None)
    assert load_model(path, num_heads=4).shape.num_heads == 4


def square_positions() -> dict:
    """Positions of 3 x 3 patches, as an image of unknown proportions is taken to be square."""
    return {"pos_embed": np.zeros((1, 10, SHAPE.embed_dim), np.float32)}


def test_no_heads_anywhere(tmp_path):
    path = write(tmp_path / "m.safetensors", timm_tensors(random_model()), facts=None)
    with pytest.raises(
        ModelError, match=r"number of heads is not in the file; put config\.json beside it, or give num_h"
    ):
        load_model(path)


def test_defaults_of_a_file_without_description(tmp_path):
    path = write(tmp_path / "digits.safetensors", timm_tensors(random_model()) | square_positions(), facts=None)
    model = load_model(path, num_heads=3)
    assert (model.name, model.labels) == ("digits", ("0", "1", "2", "3"))
    assert (model.mean, model.std, model.shape.image_size) == ((0.5, 0.5), (0.5, 0.5), (9, 9))
    assert model.shape.norm_eps == 1e-6


def test_own_metadata_goes_before_config(tmp_path):
    path = write(tmp_path / "m.safetensors", timm_tensors(random_model()))
    write_config(tmp_path, CONFIG | {"num_attention_heads": 6})
    assert load_model(path).shape.num_heads == 3


def test_processor_that_does_not_normalise(tmp_path):
    path = write(tmp_path / "m.safetensors", hugging_face_tensors(random_model()), facts=None)
    write_config(tmp_path, pixels=PIXELS | {"do_normalize": False})
    model = load_model(path)
    assert (model.mean, model.std) == ((0.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 5}, "5 heads do not divide the width of 12"),
        ({"num_heads": -3}, "-3 heads do not divide"),
        ({"num_heads": "three"}, "description of the model is not usable"),
        ({"image_size": [6, 10]}, r"6 x 10 pixels is not a whole number of 3 x 3 patches"),
        ({"image_size": [6, 6]}, "6 positions are not those of 6 x 6 pixels with patches of 3"),
        ({"image_size": [-6, -9]}, "not a whole number"),
        ({"image_size": [6, 9, 3]}, "not usable"),
        ({"mean": [0.5]}, r"mean is \[0\.5\] for 2 channels"),
        ({"std": [0.2, 0.0]}, r"std is \[0\.2, 0\.0\] for 2 channels"),
        ({"mean": [0.2, float("nan")]}, "mean is"),
        ({"labels": ["a", "b"]}, "2 labels for 4 classes"),
        ({"labels": "abcd"}, "labels are not a list"),
        ({"norm_eps": 0}, "norm_eps is 0"),
        ({"patch_size": 4}, "patch_size is 4, but the tensors have 3"),
        ({"channels": 1}, "channels is 1, but the tensors have 2"),
    ],
)
def test_description_that_does_not_fit(tmp_path, change, message):
    path = write(tmp_path / "m.safetensors", timm_tensors(random_model()), FACTS | change)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("key", "right"),
    [("hidden_size", 12), ("num_hidden_layers", 2), ("intermediate_size", 20), ("patch_size", 3), ("num_channels", 2)],
)
def test_config_of_another_model(tmp_path, key, right):
    """Its number of heads would divide the width, and every prediction would be wrong without a word."""
    write(tmp_path / "model.safetensors", hugging_face_tensors(random_model()), facts=None)
    write_config(tmp_path, CONFIG | {key: right})
    assert load_model(tmp_path).shape == SHAPE
    write_config(tmp_path, CONFIG | {key: 2 * right})
    with pytest.raises(ModelError, match=f"{key} is {2 * right}, but the tensors have {right}"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", r"config\.json cannot be read"),
        ('{"num_attention_heads": 3, "hidden_act": "relu"}', "hidden_act 'relu', only 'gelu' can be built"),
        ('{"num_attention_heads": 3, "id2label": {"x": "a"}}', "not usable"),
        ('["num_attention_heads"]', "number of heads is not in the file"),
    ],
)
def test_config_that_cannot_be_used(tmp_path, config, message):
    write(tmp_path / "model.safetensors", hugging_face_tensors(random_model()), facts=None)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)
