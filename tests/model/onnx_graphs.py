# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs of a small ViT, spelt as different exporters do; nothing of vitforge makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vitforge.model.vit import ViTModel


class GraphWriter:
    """Collects nodes; every method returns the name of its result."""

    def __init__(self, model: ViTModel, **style: Any) -> None:
        self.model, self.t, self.s = model, model.tensors, model.shape
        self.style = {"fused_norm": False, "qkv": "separate", "gemm": False, "gelu": "erf", "scale": "scores"} | style
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.count = 0

    def constant(self, value: NDArray | float | list[int], dtype: type = np.float32) -> str:
        self.count += 1
        name = f"c{self.count}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def shape(self, *sizes: int) -> str:
        return self.constant(list(sizes), np.int64)

    def add(self, op: str, *inputs: str, **attrs: Any) -> str:
        self.count += 1
        name = f"v{self.count}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"node_{self.count}_{op}", **attrs))
        return name

    def linear(self, x: str, weight: NDArray, bias: NDArray) -> str:
        if self.style["gemm"]:
            flat = self.add("Reshape", x, self.shape(-1, weight.shape[1]))
            y = self.add("Gemm", flat, self.constant(weight), self.constant(bias), transB=1)
            return self.add("Reshape", y, self.shape(-1, self.s.seq_len, len(weight)))
        return self.add("Add", self.constant(bias), self.add("MatMul", x, self.constant(weight.T)))

    def norm(self, x: str, prefix: str) -> str:
        weight, bias = self.constant(self.t[prefix + ".weight"]), self.constant(self.t[prefix + ".bias"])
        if self.style["fused_norm"]:
            return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=self.s.norm_eps)
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1]))
        variance = self.add("ReduceMean", self.add("Pow", centred, self.constant(2.0)), axes=[-1])
        deviation = self.add("Sqrt", self.add("Add", variance, self.constant(self.s.norm_eps)))
        return self.add("Add", self.add("Mul", self.add("Div", centred, deviation), weight), bias)

    def gelu(self, x: str) -> str:
        if self.style["gelu"] == "op":
            return self.add("Gelu", x)
        if self.style["gelu"] == "quick":
            return self.add("Mul", x, self.add("Sigmoid", self.add("Mul", x, self.constant(1.702))))
        inner = self.add("Erf", self.add("Div", x, self.constant(2**0.5)))
        return self.add("Mul", self.add("Mul", x, self.add("Add", inner, self.constant(1.0))), self.constant(0.5))

    def heads(self, x: str, prefix: str) -> list[str]:
        s, t = self.s, self.t
        split = [0, s.seq_len, s.num_heads, s.head_dim]
        if self.style["qkv"] == "fused":
            packed = self.linear(x, t[prefix + "qkv.weight"], t[prefix + "qkv.bias"])
            packed = self.add("Reshape", packed, self.shape(*split[:2], 3, *split[2:]))
            packed = self.add("Transpose", packed, perm=[2, 0, 3, 1, 4])
            return [self.add("Gather", packed, self.constant(j, np.int64), axis=0) for j in range(3)]
        weights, biases = np.split(t[prefix + "qkv.weight"], 3), np.split(t[prefix + "qkv.bias"], 3)
        results = []
        for weight, bias in zip(weights, biases, strict=True):
            y = self.add("Reshape", self.linear(x, weight, bias), self.shape(*split))
            results.append(self.add("Transpose", y, perm=[0, 2, 1, 3]))
        return results

    def attention(self, x: str, prefix: str) -> str:
        q, k, v = self.heads(x, prefix)
        scale = self.s.head_dim**-0.5
        k = self.add("Transpose", k, perm=[0, 1, 3, 2])
        if self.style["scale"] == "both":
            root = self.constant(scale**0.5)
            scores = self.add("MatMul", self.add("Mul", q, root), self.add("Mul", k, root))
        else:
            scores = self.add("Div", self.add("MatMul", q, k), self.constant(1 / scale))
        context = self.add("MatMul", self.add("Softmax", scores, axis=-1), v)
        context = self.add("Transpose", context, perm=[0, 2, 1, 3])
        context = self.add("Reshape", context, self.shape(0, self.s.seq_len, self.s.embed_dim))
        return self.linear(context, self.t[prefix + "proj.weight"], self.t[prefix + "proj.bias"])

    def branch(self, y: str, scale: NDArray | None) -> str:
        return y if scale is None else self.add("Mul", y, self.constant(scale))

    def embed(self) -> str:
        s, t = self.s, self.t
        weight = t["patch.weight"].reshape(s.embed_dim, s.channels, s.patch_size, s.patch_size)
        edge = [s.patch_size] * 2
        x = self.add(
            "Conv", "image", self.constant(weight), self.constant(t["patch.bias"]), kernel_shape=edge, strides=edge
        )
        x = self.add("Reshape", x, self.shape(0, s.embed_dim, -1))
        x = self.add("Transpose", x, perm=[0, 2, 1])
        batch = self.add("Slice", self.add("Shape", "image"), self.shape(0), self.shape(1), self.shape(0))
        target = self.add("Concat", batch, self.shape(1, s.embed_dim), axis=0)
        token = self.add("Expand", self.constant(t["cls"].reshape(1, 1, -1)), target)
        x = self.add("Concat", token, x, axis=1)
        return self.add("Add", x, self.positions())

    def positions(self) -> str:
        return self.constant(self.t["pos"][None])

    def encoder(self, scales: dict[str, NDArray] | None = None) -> str:
        """Up to the last norm; ``scales`` are of LayerScale."""
        x, scales = self.embed(), scales or {}
        for i in range(self.s.depth):
            p = f"blocks.{i}."
            y = self.branch(self.attention(self.norm(x, p + "norm1"), p), scales.get(p + "proj"))
            x = self.add("Add", y, x)
            y = self.linear(self.norm(x, p + "norm2"), self.t[p + "fc1.weight"], self.t[p + "fc1.bias"])
            y = self.linear(self.gelu(y), self.t[p + "fc2.weight"], self.t[p + "fc2.bias"])
            x = self.add("Add", x, self.branch(y, scales.get(p + "fc2")))
        return self.norm(x, "norm")

    def head(self, x: str) -> str:
        token = self.add("Gather", x, self.constant(0, np.int64), axis=1)
        return self.add(
            "Gemm", token, self.constant(self.t["head.weight"]), self.constant(self.t["head.bias"]), transB=1
        )

    def model_proto(self, output: str, dims: Iterable[int | str] | None = None) -> onnx.ModelProto:
        dims = list(dims or ("batch", self.s.channels, *self.s.image_size))
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, dims)
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "vit", [image], [result], self.constants)
        opset = 20 if self.style["gelu"] == "op" else 17
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
