# SPDX-License-Identifier: Apache-2.0
"""Layers of a Vision Transformer in an ONNX graph, whatever operators an exporter made them of.

Each is found by its place in the graph and then checked by computing: a layer norm must normalise, an activation must
be the GELU, and head layouts are read off index numbers that go through the graph's own reshapes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.model.float_vit import gelu, layer_norm
from vitforge.model.onnx_file import Node
from vitforge.model.onnx_ops import ELEMENTWISE
from vitforge.model.onnx_trace import Trace, moves
from vitforge.model.vit import FloatArray

_AFFINE = ("Add", "Sub", "Mul", "Div")
NORM_OPS = (*_AFFINE, "Pow", "Sqrt", "Reciprocal", "ReduceMean", "LayerNormalization")
_GELU_TOLERANCE, _NORM_TOLERANCE = 1e-4, 1e-3  # the tanh form of GELU is off by up to 4.7e-4
_GRID = np.linspace(-6, 6, 481).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Linear:
    """``source @ weight.T + bias``, with a scale of the outputs (LayerScale) multiplied in."""

    source: str
    out: str  # the product or what adds its bias: the value that has the outputs as its last axis
    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Layer norm over the last axis."""

    out: str
    weight: FloatArray
    bias: FloatArray
    eps: float


def _vector(value: NDArray | None, length: int) -> FloatArray | None:
    """``value`` as one number a channel, or None where it is not that."""
    if value is None or value.dtype.kind not in "fiu" or value.size not in (1, length):
        return None
    if value.size == length and value.ndim and value.shape[-1] != length:
        return None
    return np.broadcast_to(value.reshape(-1), (length,)).astype(np.float32)


def find_linear(trace: Trace, name: str) -> Linear | None:
    """The linear layer whose output is ``name``, through a reshape that keeps its channels."""
    out, width = name, trace.shapes[name][-1]
    gain, offset = None, np.zeros(width, np.float32)
    while (node := trace.maker.get(name)) is not None:
        if node.op == "Reshape" and trace.shapes[trace.live(node)[0]][-1:] == (width,):
            name = trace.live(node)[0]
            out = name if gain is None and not offset.any() else out
            continue
        found = _product(trace, node, name)
        if found is not None:
            weight, bias = found.weight, found.bias
            if gain is not None:
                weight, bias = weight * gain[:, None], bias * gain
            return Linear(source=found.source, out=out, weight=weight, bias=bias + offset)
        value = _vector(trace.constant(node), width)
        if value is None or node.op not in ("Add", "Mul") or len(trace.live(node)) != 1:
            return None
        if node.op == "Add":
            offset = offset + (value if gain is None else gain * value)
        else:
            gain = value if gain is None else gain * value
        name = trace.live(node)[0]
    return None


def _product(trace: Trace, node: Node, name: str) -> Linear | None:
    """A product with a constant matrix."""
    weight = trace.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if node.op not in ("MatMul", "Gemm") or weight is None or weight.ndim != 2 or node.inputs[0] not in trace.shapes:
        return None
    weight, bias = weight.T, np.zeros(trace.shapes[name][-1], np.float32)
    if node.op == "Gemm":
        weight = weight.T if node.attrs.get("transB", 0) else weight
        if node.attrs.get("transA", 0):
            return None
        weight = weight * np.float32(node.attrs.get("alpha", 1.0))
        given = _vector(trace.constants.get(node.inputs[2]), len(bias)) if len(node.inputs) > 2 else bias
        if given is None:
            return None
        bias = given * np.float32(node.attrs.get("beta", 1.0))
    return Linear(source=node.inputs[0], out=name, weight=np.ascontiguousarray(weight, np.float32), bias=bias)


def find_norm(trace: Trace, name: str, source: str) -> Norm | None:
    """The layer norm of ``source`` that ends at ``name``, as one operator or spelt out."""
    width = trace.shapes[source][-1]
    nodes = trace.path(name, source)
    if name == source or not nodes or any(node.op not in NORM_OPS for node in nodes):
        return None
    norm = _fused_norm(trace, nodes, width) if len(nodes) == 1 else _spelt_norm(trace, name, nodes, width)
    if norm is None:
        return None
    rng = np.random.default_rng(1)
    probe = rng.standard_normal(trace.shapes[source], np.float32)
    probe[..., : probe.shape[-2] // 2, :] *= math.sqrt(norm.eps)  # where epsilon shows
    expected = layer_norm(probe, norm.weight, norm.bias, norm.eps)
    seen = trace.replay(name, source, probe)
    reach = np.abs(norm.weight).max() + np.abs(norm.bias).max()
    return norm if seen.shape == expected.shape and np.abs(seen - expected).max() <= _NORM_TOLERANCE * reach else None


def _fused_norm(trace: Trace, nodes: list[Node], width: int) -> Norm | None:
    node = nodes[0]
    given = [_vector(trace.constants.get(name), width) for name in node.inputs[1:3]]
    if node.op != "LayerNormalization" or not given or given[0] is None:
        return None
    bias = given[1] if len(given) > 1 and given[1] is not None else np.zeros(width, np.float32)
    return Norm(out=node.outputs[0], weight=given[0], bias=bias, eps=float(node.attrs.get("epsilon", 1e-5)))


def _spelt_norm(trace: Trace, name: str, nodes: list[Node], width: int) -> Norm | None:
    vectors = {"Add": np.zeros(width, np.float32), "Mul": np.ones(width, np.float32)}
    for op in ("Add", "Mul"):  # from the end: bias, then weight
        node = nodes[-1]
        value = trace.constant(node)
        if node.op == op and value is not None and value.size == width > 1:
            vectors[op] = value.reshape(-1).astype(np.float32)
            nodes = nodes[:-1]
    added = [trace.constant(node) for node in nodes if node.op == "Add"]
    eps = [float(value.item()) for value in added if value is not None and value.size == 1]
    if len(eps) != 1 or not 0 < eps[0] < 1:
        return None
    return Norm(out=name, weight=vectors["Mul"], bias=vectors["Add"], eps=eps[0])


def find_activation(trace: Trace, name: str) -> str | None:
    """What ``name`` is an elementwise function of: the output of a linear layer, or None."""
    wanted, leaves, seen = [name], set(), set()
    while wanted:
        value = wanted.pop()
        node = trace.maker.get(value)
        if node is not None and _is_elementwise(trace, node):
            wanted += [n for n in trace.live(node) if n not in seen]
            seen.update(trace.live(node))
        else:
            leaves.add(value)
    return leaves.pop() if len(leaves) == 1 else None


def _is_elementwise(trace: Trace, node: Node) -> bool:
    constants = [trace.constants[name] for name in node.inputs if name in trace.constants]
    return node.op in ELEMENTWISE and all(value.size == 1 for value in constants)


def check_gelu(trace: Trace, name: str, source: str) -> None:
    """Raises ModelError unless ``name`` is the erf GELU of ``source``."""
    seen = trace.replay(name, source, _GRID)
    if seen.shape != _GRID.shape or not np.abs(seen - gelu(_GRID)).max() <= _GELU_TOLERANCE:
        raise ModelError(f"{trace.maker[name].title} ends an activation that is not the erf form of GELU")


def scalar_or_move(trace: Trace, node: Node) -> bool:
    """Moves numbers, or multiplies all of them by one constant."""
    value = trace.constant(node)
    return moves(node) or (node.op in ("Mul", "Div") and value is not None and value.size == 1)


def gain_between(trace: Trace, target: str, source: str) -> float:
    """Product of the constants on a path of `scalar_or_move`."""
    gain = 1.0
    for node in trace.path(target, source):
        value = trace.constant(node)
        if node.op in ("Mul", "Div") and value is not None:
            gain *= float(value.item()) if node.op == "Mul" else 1 / float(value.item())
    return gain
