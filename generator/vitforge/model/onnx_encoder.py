# SPDX-License-Identifier: Apache-2.0
"""The parts of a pre-norm Vision Transformer in a traced ONNX graph: embedding, blocks, last norm, class head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge.model.onnx_file import Node
from vitforge.model.onnx_layers import (
    NORM_OPS,
    Linear,
    Norm,
    check_gelu,
    find_activation,
    find_linear,
    find_norm,
    gain_between,
    scalar_or_move,
)
from vitforge.model.onnx_trace import Trace, moves
from vitforge.model.vit import FloatArray

_GAIN_TOLERANCE = 1e-5  # of the scale of scores, which exporters round to float32
Tensors = dict[str, FloatArray]


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """From the image to the residual stream that enters block 0."""

    conv: Node
    stream: str
    table: FloatArray  # (N, D) that is added to the patches; row 0 is the class token itself


@dataclass(frozen=True, kw_only=True)
class Block:
    """One encoder block."""

    tensors: Tensors  # canonical names, relative to the block
    stream: str  # after it
    num_heads: int
    eps: tuple[float, float]


def find_embedding(trace: Trace, conv: Node) -> Embedding:
    """Raises ModelError where the graph does not put one class token before the patches."""
    stream = conv.outputs[0]
    while len(users := trace.users.get(stream, [])) == 1 and _embeds(trace, users[0]):
        stream = users[0].outputs[0]
    shape = trace.shapes[stream]
    if len(shape) != 3:
        culprit = f"; {users[0].title} is not one of a patch embedding" if users else trace.obstacle(stream)
        raise ModelError(f"its patches do not become a sequence of tokens{culprit}")
    zero: NDArray = np.zeros(trace.shapes[conv.outputs[0]], np.float32)
    table = trace.replay(stream, conv.outputs[0], zero)[0]
    marks = zero + 1 + np.arange(zero[0, 0].size, dtype=np.float32).reshape(zero.shape[2:])
    order = np.rint(trace.replay(stream, conv.outputs[0], marks)[0] - table)
    if not np.array_equal(order, np.broadcast_to(np.arange(len(order))[:, None], order.shape)):
        count, why = zero[0, 0].size, trace.obstacle(stream)
        raise ModelError(f"its {len(table)} tokens are not one class token and {count} patches by rows{why}")
    return Embedding(conv=conv, stream=stream, table=table)


def _embeds(trace: Trace, node: Node) -> bool:
    constants = [name for name in node.inputs if name in trace.constants]
    return moves(node) or (node.op in ("Concat", "Add") and len(trace.live(node)) == 1 and len(constants) > 0)


def find_block(trace: Trace, stream: str) -> Block | None:
    """The block that ``stream`` enters, or None where no residual branch leaves it."""
    first = _residual(trace, stream)
    if first is None:
        return None
    middle, branch = first
    tensors, num_heads, eps1 = _attention(trace, branch, stream)
    second = _residual(trace, middle)
    if second is None:
        raise ModelError(f"{trace.maker[middle].title} ends an attention that no MLP follows")
    end, branch = second
    more, eps2 = _mlp(trace, branch, middle)
    return Block(tensors=tensors | more, stream=end, num_heads=num_heads, eps=(eps1, eps2))


def _residual(trace: Trace, stream: str) -> tuple[str, str] | None:
    """(sum, branch) of the first addition to ``stream`` of something that depends on the image."""
    for node in trace.users.get(stream, []):
        others = [name for name in trace.live(node) if name != stream]
        if node.op == "Add" and len(others) == 1 and trace.shapes[others[0]] == trace.shapes[stream]:
            return node.outputs[0], others[0]
    for node in trace.graph.nodes:
        names = [trace.resolve(name) for name in node.inputs]
        if node.op == "Add" and stream in names and any(name in trace.blocked for name in names):
            raise ModelError(next(trace.blocked[name] for name in names if name in trace.blocked))
    return None


def _foreign(trace: Trace, name: str, what: str) -> ModelError:
    node = trace.maker.get(name)
    return ModelError(f"{what} is expected at {node.title if node else 'the image'}")


def _linear(trace: Trace, name: str, what: str) -> Linear:
    layer = find_linear(trace, name)
    if layer is None:
        raise _foreign(trace, name, what)
    return layer


def _norm(trace: Trace, name: str, stream: str) -> Norm:
    norm = find_norm(trace, trace.back(name, moves), stream) or find_norm(trace, name, stream)
    if norm is None:
        raise _foreign(trace, name, "a layer norm of the residual stream")
    return norm


def _mlp(trace: Trace, branch: str, stream: str) -> tuple[Tensors, float]:
    fc2 = _linear(trace, branch, "the second layer of an MLP")
    hidden = trace.back(fc2.source, moves)
    source = find_activation(trace, hidden)
    if source is None or source == hidden:
        raise _foreign(trace, hidden, "the GELU of an MLP")
    fc1 = _linear(trace, source, "the first layer of an MLP")
    check_gelu(trace, hidden, source)
    norm = _norm(trace, fc1.source, stream)
    return {**_named("norm2", norm), **_named("fc1", fc1), **_named("fc2", fc2)}, norm.eps


def _named(name: str, layer: Linear | Norm) -> Tensors:
    return {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}


def _attention(trace: Trace, branch: str, stream: str) -> tuple[Tensors, int, float]:
    proj = _linear(trace, branch, "the output layer of an attention")
    context = trace.back(proj.source, moves)
    weights, value = _product(trace, context, "the weighted sum of an attention")
    softmax = trace.maker.get(trace.back(weights, moves))
    if softmax is None or softmax.op != "Softmax":
        raise _foreign(trace, weights, "the softmax of an attention")
    scores = trace.back(softmax.inputs[0], lambda node: scalar_or_move(trace, node) or _no_mask(trace, node))
    query, key = _product(trace, scores, "the scores of an attention")
    parts = [_Heads.of(trace, query, 0), _Heads.of(trace, key, 1), _Heads.of(trace, value, 0)]
    heads, size = parts[0].rows.shape
    sources = {trace.back(part.layer.source, moves) for part in parts}
    if any(part.rows.shape != (heads, size) for part in parts) or len(sources) != 1:
        raise ModelError(f"{trace.maker[scores].title} is an attention whose q, k and v are not alike")
    gain = gain_between(trace, softmax.inputs[0], scores) * math.sqrt(size) * parts[0].gain * parts[1].gain
    gain = 1.0 if abs(gain - 1) < _GAIN_TOLERANCE else gain
    gains = np.array([gain, 1.0, parts[2].gain], np.float32)
    norm = _norm(trace, sources.pop(), stream)
    merged = _merged(trace, proj, context, heads, size)
    tensors = {
        **_named("norm1", norm),
        "qkv.weight": np.concatenate([g * p.layer.weight[p.rows.ravel()] for g, p in zip(gains, parts, strict=True)]),
        "qkv.bias": np.concatenate([g * p.layer.bias[p.rows.ravel()] for g, p in zip(gains, parts, strict=True)]),
        "proj.weight": merged,
        "proj.bias": proj.bias,
    }
    return tensors, heads, norm.eps


def _product(trace: Trace, name: str, what: str) -> tuple[str, str]:
    """Operands of a product of two live values."""
    node = trace.maker.get(name)
    if node is None or node.op != "MatMul" or len(trace.live(node)) != 2:
        raise _foreign(trace, name, what)
    return node.inputs[0], node.inputs[1]


def _no_mask(trace: Trace, node: Node) -> bool:
    value = trace.constant(node)
    return node.op == "Add" and value is not None and not value.any()


@dataclass(frozen=True, kw_only=True)
class _Heads:
    """An operand of attention: which rows of which layer make channel c of head h."""

    layer: Linear
    rows: NDArray[np.int64]  # (heads, head_dim)
    gain: float  # that multiplies it on the way

    @classmethod
    def of(cls, trace: Trace, name: str, transposed: int) -> _Heads:
        out = trace.back(name, lambda node: scalar_or_move(trace, node))
        layer = _linear(trace, out, "a layer of q, k or v")
        gain = gain_between(trace, name, out)
        shape = trace.shapes[out]
        marks = np.broadcast_to(np.arange(shape[-1], dtype=np.float32), shape)
        seen = np.rint(trace.replay(name, out, marks) / np.float32(gain)).astype(np.int64)
        seen = seen.swapaxes(-1, -2) if transposed else seen
        if not (seen == seen[..., :1, :]).all():
            raise _foreign(trace, name, "attention over all tokens")
        first = seen[..., 0, :].reshape(-1, seen.shape[-1])
        heads = len(first) // trace.image.shape[0]
        return cls(layer=layer, rows=first[:heads], gain=gain)


def _merged(trace: Trace, proj: Linear, context: str, heads: int, size: int) -> FloatArray:
    """Weights of the output layer for a context in order of heads."""
    shape = trace.shapes[context]
    if len(shape) < 3 or shape[-3] != heads:
        raise _foreign(trace, context, "one context a head")
    marks = np.arange(heads)[:, None, None] * size + np.arange(size)
    seen = trace.replay(proj.source, context, np.broadcast_to(marks.astype(np.float32), shape))
    order = np.rint(seen.reshape(-1, seen.shape[-1])[0]).astype(np.int64)
    if sorted(order) != list(range(heads * size)):
        raise _foreign(trace, proj.source, "a context of all heads")
    merged = np.empty_like(proj.weight)
    merged[:, order] = proj.weight
    return merged


def find_last_norm(trace: Trace, stream: str) -> Norm:
    """The layer norm of the stream that leaves the last block, of all tokens or of the class token alone."""
    starts = trace.forward(stream, moves)
    ends = trace.forward(stream, lambda node: moves(node) or node.op in NORM_OPS)
    for end in reversed(ends):
        for start in starts:
            if end not in starts and (norm := find_norm(trace, end, start)) is not None:
                return norm
    raise ModelError(f"no layer norm follows its last block{trace.obstacle(stream)}")


def find_head(trace: Trace, norm: str) -> tuple[str, Linear] | None:
    """(output, layer) where the graph ends with a linear layer of the class token."""
    for name in trace.forward(norm, moves):
        for node in trace.users.get(name, []):
            layer = find_linear(trace, node.outputs[0]) if node.op in ("MatMul", "Gemm") else None
            out = _graph_output(trace, node.outputs[0])
            if layer is not None and out is not None and _is_class_token(trace, norm, layer.source):
                return out, _linear(trace, out, "a class head")
    return None


def _graph_output(trace: Trace, name: str) -> str | None:
    """Logits that end the graph, from the product that starts them."""
    outputs = {trace.resolve(output) for output in trace.graph.outputs}
    for value in trace.forward(name, lambda node: node.op in ("Add", "Reshape", "Squeeze")):
        users = trace.users.get(value, [])
        if value in outputs or (len(users) == 1 and users[0].op == "Softmax" and users[0].outputs[0] in outputs):
            return value
    return None


def _is_class_token(trace: Trace, norm: str, source: str) -> bool:
    shape = trace.shapes[norm]
    tokens = np.arange(shape[1])[:, None] if len(shape) == 3 else np.zeros((1, 1))
    marks = np.broadcast_to(tokens * shape[-1] + np.arange(shape[-1]), shape).astype(np.float32)
    seen = trace.replay(source, norm, marks)
    return seen.size == len(marks) * shape[-1] and bool((seen.reshape(-1, shape[-1]) == np.arange(shape[-1])).all())
