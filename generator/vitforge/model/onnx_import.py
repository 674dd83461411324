# SPDX-License-Identifier: Apache-2.0
"""A Vision Transformer from an ONNX file, recognised by the structure of its graph.

The graph may go on after the encoder: what follows the last norm, other than a class head, is left out. The import is
then checked: graph and model, computed on one picture, must agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitforge.errors import ModelError
from vitforge.model.facts import pixel_facts
from vitforge.model.float_vit import forward
from vitforge.model.onnx_encoder import Block, Embedding, find_block, find_embedding, find_head, find_last_norm
from vitforge.model.onnx_file import Graph, Node, read_graph
from vitforge.model.onnx_layers import Linear, Norm
from vitforge.model.onnx_ops import check_patch_conv
from vitforge.model.onnx_trace import Trace
from vitforge.model.vit import FloatArray, ViTModel, ViTShape

DEFAULT_IMAGE_SIZE = 224  # [pixels] where the graph leaves its input open
_INPUT_OPS = ("Add", "Sub", "Mul", "Div")  # by which a graph may normalise its input
_BYTE_STEP = 0.05  # a graph whose input counts more than this a unit takes pixels in [0, 1], otherwise in [0, 255]
_AGREEMENT = 1e-3  # of the largest feature or logit
_PIXELS = 255.0
_NAME_LENGTH = 64
_LONGEST_EDGE = 4096  # [pixels]
_LARGEST_BATCH = 64


def load_onnx(path: str | Path, *, image_size: int | tuple[int, int] | None = None) -> ViTModel:
    """The ViT of an ONNX file, up to its class head, or without one up to its last norm (``num_classes`` 0).

    image_size : (height, width) or the edge of a square [pixels], for a graph that leaves it open; by default 224

    Raises
    ------
    ModelError
        If the file is not whole, or its graph is not a pre-norm ViT encoder: says which operator of which node.
    ToolError
        If the onnx package is missing.
    """
    file = Path(path)
    graph = read_graph(file)
    try:
        with np.errstate(all="ignore"):  # infinite weights are named, not warned of
            return _Importer(file, graph, image_size).model()
    except ModelError as error:
        raise ModelError(f"{file} is not a Vision Transformer that vitforge can build: {error}") from None


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What was found in a graph."""

    embedding: Embedding
    blocks: tuple[Block, ...]
    norm: Norm
    head: tuple[str, Linear] | None


@dataclass(frozen=True, kw_only=True)
class _Pixels:
    """How pixels become the input of the patch embedding."""

    mean: tuple[float, ...]  # of pixels in [0, 1]
    std: tuple[float, ...]
    unit: float | None  # white in the graph's input, where the graph normalises; None where its user does


class _Importer:
    """The steps from a graph to a model."""

    def __init__(self, file: Path, graph: Graph, image_size: int | tuple[int, int] | None) -> None:
        self.file, self.graph = file, graph
        self.conv, self.weight = _patch_conv(graph)
        images = [name for name, axes in graph.inputs.items() if len(axes) == 4]
        if len(images) != 1:
            raise ModelError(f"it has {len(images)} inputs of four axes, expected one: the image")
        self.input = images[0]
        self.input_shape = _input_shape(graph.inputs[self.input], self.weight, image_size)

    def model(self) -> ViTModel:
        zero = np.zeros(self.input_shape, np.float32)
        trace = Trace(self.graph, self.input, zero)
        parts = self.parts(trace)
        shape = self.shape(parts)
        pixels = self.pixels(trace, parts.embedding.conv)
        model = ViTModel(
            name=self.file.stem[:_NAME_LENGTH],
            shape=shape,
            mean=pixels.mean,
            std=pixels.std,
            labels=tuple(str(i) for i in range(shape.num_classes)),
            tensors=self.tensors(parts),
        )
        self.check(model, parts, pixels)
        return model

    def parts(self, trace: Trace) -> _Parts:
        name = self.conv.outputs[0]
        if name not in trace.maker:
            raise ModelError(trace.blocked.get(name, "its patch embedding does not depend on the image"))
        embedding = find_embedding(trace, trace.maker[name])
        blocks, stream = [], embedding.stream
        while (block := find_block(trace, stream)) is not None:
            blocks.append(block)
            stream = block.stream
        if not blocks:
            raise ModelError(f"no residual branch follows its patch embedding{trace.obstacle(embedding.stream)}")
        norm = find_last_norm(trace, stream)
        return _Parts(embedding=embedding, blocks=tuple(blocks), norm=norm, head=find_head(trace, norm.out))

    def shape(self, parts: _Parts) -> ViTShape:
        eps = [e for block in parts.blocks for e in block.eps] + [parts.norm.eps]
        heads = {block.num_heads for block in parts.blocks}
        hidden = {len(block.tensors["fc1.bias"]) for block in parts.blocks}
        if len(heads) != 1 or len(hidden) != 1 or max(eps) > 1.001 * min(eps):
            raise ModelError("its blocks differ in heads, width or epsilon")
        dim, channels, patch, _ = self.weight.shape
        return ViTShape(
            image_size=(self.input_shape[2], self.input_shape[3]),
            channels=channels,
            patch_size=patch,
            embed_dim=dim,
            depth=len(parts.blocks),
            num_heads=heads.pop(),
            hidden_dim=hidden.pop(),
            num_classes=0 if parts.head is None else len(parts.head[1].bias),
            norm_eps=round(eps[0], 12),
        )

    def tensors(self, parts: _Parts) -> dict[str, FloatArray]:
        dim = len(self.weight)
        bias = self.graph.constants.get(self.conv.inputs[2]) if len(self.conv.inputs) > 2 else None
        table = parts.embedding.table
        result = {
            "patch.weight": self.weight.reshape(dim, -1),
            "patch.bias": np.zeros(dim, np.float32) if bias is None else bias,
            "cls": table[0],
            "pos": np.concatenate([np.zeros((1, dim), np.float32), table[1:]]),
            "norm.weight": parts.norm.weight,
            "norm.bias": parts.norm.bias,
        }
        for i, block in enumerate(parts.blocks):
            result |= {f"blocks.{i}.{name}": value for name, value in block.tensors.items()}
        if parts.head is not None:
            result |= {"head.weight": parts.head[1].weight, "head.bias": parts.head[1].bias}
        wrong = [name for name, value in result.items() if not np.isfinite(value).all()]
        if wrong:
            raise ModelError(f"its {wrong[0]} holds NaN or infinity")
        return {name: np.ascontiguousarray(value, np.float32) for name, value in result.items()}

    def pixels(self, trace: Trace, conv: Node) -> _Pixels:
        """How the graph, or else its user, normalises the image."""
        name, channels = conv.inputs[0], self.weight.shape[1]
        if name == self.input:
            mean, std = pixel_facts(self.file, channels)
            return _Pixels(mean=mean, std=std, unit=None)
        start = trace.back(name, lambda node: node.op in _INPUT_OPS)
        if start != self.input:
            raise ModelError(f"{trace.maker[start].title} changes the image before its patches")
        low, high, next_ = (
            trace.replay(name, self.input, np.full(self.input_shape, value, np.float32)) for value in (0, 1, 2)
        )
        gain, offset = (high - low)[0, :, 0, 0].astype(np.float64), low[0, :, 0, 0].astype(np.float64)
        even = all(np.allclose(part, part[:1, :, :1, :1], atol=1e-6) for part in (low, high))
        if not even or not np.allclose(next_ - high, high - low, rtol=1e-3) or not (gain > 0).all():
            raise ModelError(f"{trace.maker[name].title} does more to the image than a mean and a deviation a channel")
        unit = _PIXELS if gain.max() < _BYTE_STEP else 1.0
        return _Pixels(
            mean=tuple((-offset / (gain * unit)).tolist()), std=tuple((1 / (gain * unit)).tolist()), unit=unit
        )

    def check(self, model: ViTModel, parts: _Parts, pixels: _Pixels) -> None:
        """Computes graph and model on one picture."""
        size = (1, *model.shape.image_size, model.shape.channels)
        picture = np.random.default_rng(7).integers(0, 256, size, np.uint8)
        image = picture / _PIXELS
        image = (image - pixels.mean) / pixels.std if pixels.unit is None else image * pixels.unit
        fed = np.broadcast_to(image.transpose(0, 3, 1, 2), self.input_shape).astype(np.float32)
        target = parts.norm.out if parts.head is None else parts.head[0]
        seen = Trace(self.graph, self.input, fed, keep=[target]).kept[target][0]
        expected = forward(model, picture)[0]
        expected = expected if seen.size == expected.size else expected[0]  # a last norm of the class token alone
        error = np.abs(seen.reshape(-1) - expected.reshape(-1)).max() if seen.size == expected.size else math.inf
        if not error <= _AGREEMENT * np.abs(expected).max():
            raise ModelError(f"its graph and the encoder found in it differ by {error:.2g} on a picture")


def _patch_conv(graph: Graph) -> tuple[Node, FloatArray]:
    """The first convolution that cuts patches."""
    for node in graph.nodes:
        weight = graph.constants.get(node.inputs[1]) if node.op == "Conv" and len(node.inputs) > 1 else None
        if weight is None:
            continue
        try:
            check_patch_conv(node, weight)
        except ValueError as error:
            raise ModelError(f"{node.title} is {error}") from None
        return node, weight
    raise ModelError("it has no patch embedding, a convolution whose stride is its kernel")


def _input_shape(
    axes: tuple[int | str, ...], weight: FloatArray, image_size: int | tuple[int, int] | None
) -> tuple[int, int, int, int]:
    """(n, channels, height, width) to compute with; open axes from ``image_size``."""
    channels, patch = weight.shape[1:3]
    asked = (image_size, image_size) if isinstance(image_size, int) else image_size
    edges = []
    for axis, given in zip(axes[2:], asked or (None, None), strict=True):
        if isinstance(axis, int) and given not in (None, axis):
            raise ModelError(f"its images are {axes[2]} x {axes[3]} pixels, but image_size is {asked}")
        if isinstance(axis, str) and given is None and DEFAULT_IMAGE_SIZE % patch:
            raise ModelError(f"its input leaves {axis!r} open; give image_size, a multiple of {patch} pixels")
        edges.append(axis if isinstance(axis, int) else given or DEFAULT_IMAGE_SIZE)
    if not all(patch <= edge <= _LONGEST_EDGE for edge in edges):
        raise ModelError(f"images of {edges[0]} x {edges[1]} pixels cannot be cut into patches of {patch}")
    if isinstance(axes[1], int) and axes[1] != channels:
        raise ModelError(f"its image has {axes[1]} channels, its patch embedding takes {channels}")
    batch = axes[0] if isinstance(axes[0], int) and 0 < axes[0] <= _LARGEST_BATCH else 1
    return batch, channels, edges[0], edges[1]
