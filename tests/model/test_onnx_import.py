# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs in the spellings of several exporters: each gives the model it was written from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from model.onnx_graphs import GraphWriter  # noqa: E402
from model.support import SHAPE, random_images, random_model  # noqa: E402
from vitforge.model.float_vit import forward  # noqa: E402
from vitforge.model.onnx_import import load_onnx  # noqa: E402
from vitforge.model.vit import ViTModel  # noqa: E402

STYLES = {
    "separate q, k, v": {},
    "layer norm operator": {"fused_norm": True},
    "fused qkv": {"qkv": "fused", "fused_norm": True},
    "gemm": {"gemm": True},
    "fused gemm": {"gemm": True, "qkv": "fused"},
    "gelu operator": {"gelu": "op"},
    "scaled q and k": {"scale": "both"},
}


def saved(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def same_function(model: ViTModel, other: ViTModel) -> None:
    images = random_images(3)
    other = replace(other, mean=model.mean, std=model.std)
    np.testing.assert_allclose(forward(other, images), forward(model, images), rtol=0, atol=2e-4)


@pytest.mark.parametrize("style", STYLES)
def test_class_models(tmp_path: Path, style: str) -> None:
    model = random_model()
    writer = GraphWriter(model, **STYLES[style])
    path = saved(tmp_path / "small.onnx", writer.model_proto(writer.head(writer.encoder())))
    loaded = load_onnx(path)
    assert loaded.shape == SHAPE
    assert loaded.name == "small"
    assert (loaded.mean, loaded.std, loaded.labels) == ((0.5, 0.5), (0.5, 0.5), ("0", "1", "2", "3"))
    for name in ("patch.weight", "blocks.1.proj.weight", "blocks.0.norm1.bias", "blocks.1.fc2.weight", "head.bias"):
        assert np.array_equal(loaded.tensors[name], model.tensors[name]), name
    np.testing.assert_allclose(loaded.tensors["blocks.0.qkv.weight"], model.tensors["blocks.0.qkv.weight"], rtol=1e-6)
    same_function(model, loaded)


def test_backbone_with_layer_scale_and_a_decoder(tmp_path: Path) -> None:
    """What follows the last norm, here an operator that nothing here knows, is left out."""
    model = random_model()
    rng = np.random.default_rng(5)
    dim = SHAPE.embed_dim
    names = [f"blocks.{i}.{layer}" for i in range(SHAPE.depth) for layer in ("proj", "fc2")]
    scales = {name: rng.uniform(0.5, 2, dim).astype(np.float32) for name in names}
    writer = GraphWriter(model)
    features = writer.encoder(scales)
    decoded = writer.add("Transpose", writer.add("Softplus", features), perm=[0, 2, 1])
    loaded = load_onnx(saved(tmp_path / "backbone.onnx", writer.model_proto(decoded)))
    assert loaded.shape == replace(SHAPE, num_classes=0)
    assert loaded.labels == ()
    assert "head.weight" not in loaded.tensors
    tensors = dict(model.tensors)
    for name, scale in scales.items():
        tensors[name + ".weight"] = tensors[name + ".weight"] * scale[:, None]
        tensors[name + ".bias"] = tensors[name + ".bias"] * scale
    same_function(replace(model, tensors=tensors, shape=loaded.shape), loaded)


class Interpolated(GraphWriter):
    """Stores the positions of a larger grid, and resizes them by the shape of the image, as Dinov2 does."""

    def positions(self) -> str:
        s, grid = self.s, (5, 7)
        table = np.random.default_rng(3).standard_normal((1, *grid, s.embed_dim)).astype(np.float32)
        table = self.add("Transpose", self.constant(table), perm=[0, 3, 1, 2])
        sizes = self.add("Slice", self.add("Shape", "image"), self.shape(2), self.shape(4), self.shape(0))
        patches = self.add("Div", sizes, self.shape(s.patch_size))
        target = self.add("Concat", self.shape(1, s.embed_dim), patches, axis=0)
        attrs = {"mode": "cubic", "cubic_coeff_a": -0.75, "coordinate_transformation_mode": "half_pixel"}
        resized = self.add("Resize", table, "", "", target, **attrs)
        flat = self.add("Reshape", self.add("Transpose", resized, perm=[0, 2, 3, 1]), self.shape(1, -1, s.embed_dim))
        return self.add("Concat", self.constant(self.t["pos"][None, :1]), flat, axis=1)


def test_positions_resized_in_the_graph(tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    model = random_model()
    writer = Interpolated(model)
    logits = writer.head(writer.encoder())
    proto = writer.model_proto(logits, ["n", SHAPE.channels, "height", "width"])
    path = saved(tmp_path / "open.onnx", proto)
    loaded = load_onnx(path, image_size=SHAPE.image_size)
    images = random_images(2)
    pixels = ((images / 255 - loaded.mean) / loaded.std).transpose(0, 3, 1, 2).astype(np.float32)
    expected = ReferenceEvaluator(proto).run(None, {"image": pixels})[0]
    np.testing.assert_allclose(forward(loaded, images), expected, rtol=0, atol=1e-4)


class Normalising(GraphWriter):
    """Subtracts mean and divides by deviation itself, of pixels up to 255."""

    def embed(self) -> str:
        scaled = self.add("Sub", "image", self.constant(np.array([100.0, 120.0]).reshape(1, 2, 1, 1)))
        scaled = self.add("Div", scaled, self.constant(np.array([50.0, 60.0]).reshape(1, 2, 1, 1)))
        first = len(self.nodes)
        result = super().embed()
        conv = next(node for node in self.nodes[first:] if node.op_type == "Conv")
        conv.input[0] = scaled
        return result


def test_mean_and_deviation_of_the_graph(tmp_path: Path) -> None:
    writer = Normalising(random_model())
    loaded = load_onnx(saved(tmp_path / "bytes.onnx", writer.model_proto(writer.head(writer.encoder()))))
    np.testing.assert_allclose(loaded.mean, (100 / 255, 120 / 255), rtol=1e-4)
    np.testing.assert_allclose(loaded.std, (50 / 255, 60 / 255), rtol=1e-4)
