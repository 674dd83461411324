# SPDX-License-Identifier: Apache-2.0
"""The published DeiT shapes with seeded weights: what they are, and how a user names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner

from vitforge.cli import main
from vitforge.errors import ModelError
from vitforge.model.deit import DEIT_NAMES, deit_shape, seeded_deit
from vitforge.model.float_vit import forward, softmax
from vitforge.model.safetensors_io import load_model, save_model
from vitforge.model.samples import sample_images
from vitforge.model.source import is_model_name, resolve_float, resolve_model
from vitforge.model.vit import ViTModel

PARAMETERS = {"deit_tiny": 5_717_416, "deit_small": 22_050_664, "deit_base": 86_567_656}  # as timm counts them
SIZES = {"deit_tiny": (192, 3), "deit_small": (384, 6), "deit_base": (768, 12)}


@pytest.fixture(scope="module")
def tiny() -> ViTModel:
    return seeded_deit("deit_tiny")


@pytest.mark.parametrize("name", DEIT_NAMES)
def test_published_shape(name: str) -> None:
    shape = deit_shape(name)
    assert (shape.embed_dim, shape.num_heads) == SIZES[name]
    assert (shape.image_size, shape.channels, shape.patch_size, shape.seq_len) == ((224, 224), 3, 16, 197)
    assert (shape.depth, shape.hidden_dim, shape.num_classes) == (12, 4 * shape.embed_dim, 1000)
    assert shape.head_dim == 64


@pytest.mark.parametrize("name", DEIT_NAMES)
def test_published_number_of_parameters(name: str) -> None:
    assert sum(value.size for value in seeded_deit(name).tensors.values()) == PARAMETERS[name]


def test_weights_come_from_the_seed_alone(tiny: ViTModel) -> None:
    again, other = seeded_deit("deit_tiny"), seeded_deit("deit_tiny", seed=1)
    assert again.tensors.keys() == tiny.tensors.keys() == other.tensors.keys()
    for name, value in tiny.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], value, strict=True)
        assert (other.tensors[name] != value).any(), name


def test_spread_of_the_weights(tiny: ViTModel) -> None:
    assert tiny.tensors["blocks.3.fc1.weight"].std() == pytest.approx(0.02, rel=0.02)
    assert tiny.tensors["blocks.3.qkv.weight"][384:].std() == pytest.approx(0.02, rel=0.02)
    assert tiny.tensors["pos"].std() == pytest.approx(0.02, rel=0.02)
    gamma = tiny.tensors["blocks.0.norm1.weight"]
    assert gamma.mean() == pytest.approx(1, abs=0.01)
    assert gamma.std() > 0


def test_attention_is_not_uniform(tiny: ViTModel) -> None:
    tensors = {}
    forward(tiny, sample_images(tiny.shape, 1), tensors.__setitem__)
    for i in range(tiny.shape.depth):
        scores = tensors[f"blocks.{i}.score"]
        assert 1 < scores.std() < 4
        assert softmax(scores).max(axis=-1).mean() > 5 / tiny.shape.seq_len


def test_state_dict_in_timm_naming_is_imported_again(tiny: ViTModel, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_model(tiny, path)
    written = safetensors.numpy.load_file(path)
    assert written["cls_token"].shape == (1, 1, 192)
    assert written["pos_embed"].shape == (1, 197, 192)
    assert written["patch_embed.proj.weight"].shape == (192, 3, 16, 16)
    assert written["blocks.11.attn.qkv.weight"].shape == (576, 192)
    assert written["blocks.11.mlp.fc2.bias"].shape == (192,)
    loaded = load_model(path)
    assert (loaded.name, loaded.shape, loaded.labels) == (tiny.name, tiny.shape, tiny.labels)
    assert (loaded.mean, loaded.std) == (tiny.mean, tiny.std)
    for name, value in tiny.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], value, strict=True)


@pytest.mark.parametrize("name", ["deit_small", "deit_base"])
def test_larger_ones_carry_names_of_their_own(name: str) -> None:
    with pytest.raises(ModelError, match=f"did you mean '{name}'"):
        deit_shape(name.replace("_", "-") + "2")


# --- as a user names them -------------------------------------------------------------------------------


def test_name_is_quantised_on_pictures_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (resolve_model("deit_tiny") for _ in range(2))
    assert (first.name, first.shape) == ("deit_tiny", deit_shape("deit_tiny"))
    for i in range(12):
        np.testing.assert_array_equal(first.blocks[i].fc1.weight, second.blocks[i].fc1.weight)
    assert first.scales == second.scales
    assert len(resolve_float("deit_tiny", None)[1]) == 2
    assert len(resolve_float("deit_tiny", None, 5)[1]) == 5


@pytest.mark.parametrize("source", ["deit_tiny", "mnist_vit"])
def test_file_or_directory_goes_before_a_name(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_model_name(source)
    assert not is_model_name(f"./{source}")
    assert not is_model_name(tmp_path / source)
    (tmp_path / source).mkdir()
    assert not is_model_name(source)
    with pytest.raises(ModelError, match=rf"^{source}/model\.safetensors cannot be read"):
        resolve_model(source)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "deit_tny",
            r"^there is no model or file 'deit_tny' \(did you mean 'deit_tiny'\?\); give mnist_vit, deit_tiny",
        ),
        ("mnist-vit", r"did you mean 'mnist_vit'"),
        ("zzz", r"^there is no model or file 'zzz'; give mnist_vit, deit_tiny, deit_small, deit_base, a directory"),
        ("vit.safetensors", r"^vit\.safetensors cannot be read"),
        ("models/deit_tiny", r"^models/deit_tiny cannot be read"),
    ],
)
def test_unknown_name_is_one_sentence(
    wrong: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message):
        resolve_model(wrong)


def test_commands_take_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["quantize", "deit_tiny", "--images", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "deit_tiny-int8").is_dir()
    done = CliRunner().invoke(main, ["generate", "--board", "zcu104", "--model", "deit_tiny-int8", "-o", "a"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["generate", "--board", "zcu104", "--model", "deit_tny", "-o", "b"])
    assert done.exit_code == 2
    assert "did you mean 'deit_tiny'" in done.stderr
    done = CliRunner().invoke(main, ["quantize", "absent.safetensors", "--calibration", "x.npy"])
    assert "absent.safetensors cannot be read" in done.stderr
