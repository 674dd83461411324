# SPDX-License-Identifier: Apache-2.0
"""The ONNX operators of a Vision Transformer in numpy: to fold constants, and to check an import.

Every operator takes its node and inputs (None = left out) and returns its outputs. ValueError: not supported, or
larger than `LIMIT`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.model.float_vit import layer_norm, normal_cdf, softmax
from vitforge.model.onnx_file import Node
from vitforge.model.onnx_resize import resize

LIMIT = 1 << 27  # elements of one value
_LONGEST_AXIS = 1 << 14
Inputs = list[Any]  # NDArray, or None where left out
Operator = Callable[[Node, Inputs], list[NDArray]]
_DTYPES = {2: np.uint8, 6: np.int32, 7: np.int64, 9: np.bool_}  # TensorProto.DataType


def bounded(*shape: int) -> tuple[int, ...]:
    """``shape``; ValueError where a value of it would not be one of a Vision Transformer."""
    if math.prod(int(s) for s in shape) > LIMIT or min(shape, default=0) < 0:
        raise ValueError(f"a value of shape {tuple(int(s) for s in shape)} is too large")
    return tuple(int(s) for s in shape)


def _elementwise(compute: Callable[..., NDArray]) -> Operator:
    def operator(node: Node, inputs: Inputs) -> list[NDArray]:
        bounded(*np.broadcast_shapes(*(value.shape for value in inputs)))
        return [np.asarray(compute(*inputs))]

    return operator


def _divide(a: NDArray, b: NDArray) -> NDArray:
    if a.dtype.kind in "iu":  # ONNX rounds to zero
        return np.asarray(np.trunc(a / np.where(b == 0, 1, b)), a.dtype)
    return a / b


def _power(a: NDArray, b: NDArray) -> NDArray:
    if b.size == 1 and b.item() == 2:
        return a * a
    return np.power(a, b.astype(a.dtype) if a.dtype.kind == "f" else b)


def erf(x: NDArray) -> NDArray:
    """2 Phi(sqrt(2) x) - 1."""
    return 2 * normal_cdf(x * x.dtype.type(math.sqrt(2))) - 1


def _gelu(node: Node, inputs: Inputs) -> list[NDArray]:
    if node.attrs.get("approximate", "none") != "none":
        raise ValueError("only the erf form of GELU can be built")
    return [inputs[0] * normal_cdf(inputs[0])]


def _constant(node: Node, inputs: Inputs) -> list[NDArray]:
    if "value" in node.attrs:
        return [node.attrs["value"]]
    (value,) = node.attrs.values()
    floating = any(name.startswith("value_float") for name in node.attrs)
    return [np.asarray(value, np.float32 if floating else np.int64)]


def _constant_of_shape(node: Node, inputs: Inputs) -> list[NDArray]:
    value = node.attrs.get("value", np.zeros(1, np.float32))
    return [np.broadcast_to(value.reshape(()), bounded(*inputs[0]))]


def _shape(node: Node, inputs: Inputs) -> list[NDArray]:
    start, end = node.attrs.get("start", 0), node.attrs.get("end")
    return [np.asarray(inputs[0].shape[start:end], np.int64)]


def _cast(node: Node, inputs: Inputs) -> list[NDArray]:
    return [inputs[0].astype(_DTYPES.get(node.attrs["to"], np.float32))]


def _gather(node: Node, inputs: Inputs) -> list[NDArray]:
    data, places = inputs
    axis = node.attrs.get("axis", 0)
    bounded(data.size // max(data.shape[axis], 1) * places.size)
    return [np.asarray(np.take(data, places, axis=axis))]


def _axes(node: Node, inputs: Inputs) -> tuple[int, ...] | None:
    """An attribute, or since opset 13 (18 for reductions) the second input."""
    axes = node.attrs.get("axes")
    if axes is None and len(inputs) > 1 and inputs[1] is not None:
        axes = inputs[1].tolist()
    return None if axes is None else tuple(int(a) for a in np.atleast_1d(axes))


def _unsqueeze(node: Node, inputs: Inputs) -> list[NDArray]:
    return [np.expand_dims(inputs[0], _axes(node, inputs) or ())]


def _squeeze(node: Node, inputs: Inputs) -> list[NDArray]:
    return [np.squeeze(inputs[0], _axes(node, inputs))]


def _reshape(node: Node, inputs: Inputs) -> list[NDArray]:
    data, target = inputs
    keep = not node.attrs.get("allowzero", 0)
    shape = [data.shape[i] if size == 0 and keep else int(size) for i, size in enumerate(target.tolist())]
    return [data.reshape(shape)]


def _flatten(node: Node, inputs: Inputs) -> list[NDArray]:
    axis = node.attrs.get("axis", 1)
    return [inputs[0].reshape(math.prod(inputs[0].shape[:axis]), -1)]


def _transpose(node: Node, inputs: Inputs) -> list[NDArray]:
    return [inputs[0].transpose(node.attrs.get("perm"))]


def _concat(node: Node, inputs: Inputs) -> list[NDArray]:
    bounded(sum(value.size for value in inputs))
    return [np.concatenate(inputs, axis=node.attrs["axis"])]


def _slice(node: Node, inputs: Inputs) -> list[NDArray]:
    data = inputs[0]
    if "starts" in node.attrs:
        starts, ends = node.attrs["starts"], node.attrs["ends"]
        axes, steps = node.attrs.get("axes"), None
    else:
        starts, ends, axes, steps = (None if v is None else v.tolist() for v in [*inputs[1:], None, None][:4])
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        first = None if step < 0 and end < -data.shape[axis] else end
        cut[axis] = slice(start, first, step)
    return [data[tuple(cut)]]


def _split(node: Node, inputs: Inputs) -> list[NDArray]:
    axis = node.attrs.get("axis", 0)
    sizes = node.attrs.get("split")
    if sizes is None and len(inputs) > 1 and inputs[1] is not None:
        sizes = inputs[1].tolist()
    if sizes is None:
        each = -(-inputs[0].shape[axis] // len(node.outputs))
        return np.split(inputs[0], range(each, inputs[0].shape[axis], each), axis=axis)
    return np.split(inputs[0], np.cumsum(sizes)[:-1], axis=axis)


def _expand(node: Node, inputs: Inputs) -> list[NDArray]:
    shape = bounded(*np.broadcast_shapes(inputs[0].shape, tuple(int(s) for s in inputs[1])))
    return [np.broadcast_to(inputs[0], shape)]


def _tile(node: Node, inputs: Inputs) -> list[NDArray]:
    bounded(inputs[0].size, *(int(n) for n in inputs[1]))
    return [np.tile(inputs[0], inputs[1])]


def _range(node: Node, inputs: Inputs) -> list[NDArray]:
    first, end, step = (value.item() for value in inputs)
    bounded(max(0, math.ceil((end - first) / step)))
    return [np.arange(first, end, step, dtype=inputs[0].dtype)]


def _matmul(node: Node, inputs: Inputs) -> list[NDArray]:
    a, b = inputs
    if min(a.ndim, b.ndim) < 2:
        raise ValueError("a product with a vector")
    bounded(*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return [a @ b]


def _gemm(node: Node, inputs: Inputs) -> list[NDArray]:
    a = inputs[0].T if node.attrs.get("transA", 0) else inputs[0]
    b = inputs[1].T if node.attrs.get("transB", 0) else inputs[1]
    bounded(a.shape[0], b.shape[1])
    product = (a @ b) * np.float32(node.attrs.get("alpha", 1.0))
    if len(inputs) > 2 and inputs[2] is not None:
        product = product + inputs[2] * np.float32(node.attrs.get("beta", 1.0))
    return [product]


def _softmax(node: Node, inputs: Inputs) -> list[NDArray]:
    axis = node.attrs.get("axis", -1 if node.opset >= 13 else 1)
    if axis not in (-1, inputs[0].ndim - 1):
        raise ValueError("softmax of another axis than the last")
    return [softmax(inputs[0])]


def _layer_norm(node: Node, inputs: Inputs) -> list[NDArray]:
    if node.attrs.get("axis", -1) not in (-1, inputs[0].ndim - 1):
        raise ValueError("layer norm of another axis than the last")
    bias = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros_like(inputs[1])
    return [layer_norm(inputs[0], inputs[1], bias, node.attrs.get("epsilon", 1e-5))]


def _reduce_mean(node: Node, inputs: Inputs) -> list[NDArray]:
    return [np.asarray(inputs[0].mean(axis=_axes(node, inputs), keepdims=bool(node.attrs.get("keepdims", 1))))]


def check_patch_conv(node: Node, weight: NDArray) -> None:
    """ValueError unless the convolution cuts its image into square patches."""
    kernel = tuple(weight.shape[2:])
    plain = {"dilations": (1, 1), "pads": (0, 0, 0, 0), "group": 1, "auto_pad": "NOTSET", "strides": kernel}
    given = {key: tuple(v) if isinstance(v := node.attrs.get(key, want), list) else v for key, want in plain.items()}
    given["auto_pad"] = "NOTSET" if given["auto_pad"] == "VALID" else given["auto_pad"]
    if weight.ndim != 4 or kernel[0] != kernel[1] or given != plain or "strides" not in node.attrs:
        raise ValueError("a convolution that does not cut square patches")


def _patch_conv(node: Node, inputs: Inputs) -> list[NDArray]:
    image, weight = inputs[:2]
    check_patch_conv(node, weight)
    size, (n, channels, height, width) = weight.shape[2], image.shape
    high, wide = height // size, width // size
    grid = image[:, :, : high * size, : wide * size].reshape(n, channels, high, size, wide, size)
    rows = grid.transpose(0, 2, 4, 1, 3, 5).reshape(n, high * wide, channels * size * size)
    bounded(n, high * wide, len(weight))
    result = (rows @ weight.reshape(len(weight), -1).T).transpose(0, 2, 1).reshape(n, len(weight), high, wide)
    return [result if len(inputs) < 3 or inputs[2] is None else result + inputs[2][:, None, None]]


def _resize(node: Node, inputs: Inputs) -> list[NDArray]:
    _, _, scales, sizes = [*inputs, None, None, None][:4]
    data = inputs[0]
    if sizes is None or not sizes.size:
        factors = [float(f) for f in scales]
        sizes = [math.floor(s * f) for s, f in zip(data.shape, factors, strict=True)]
    else:
        sizes = [int(s) for s in sizes]
        factors = [new / old for new, old in zip(sizes, data.shape, strict=True)]
    if max(sizes) > _LONGEST_AXIS:
        raise ValueError(f"a resize to {sizes}")
    return [resize(data, bounded(*sizes), factors, node.attrs)]


ELEMENTWISE: dict[str, Operator] = {
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(_divide),
    "Pow": _elementwise(_power),
    "Sqrt": _elementwise(np.sqrt),
    "Exp": _elementwise(np.exp),
    "Neg": _elementwise(np.negative),
    "Reciprocal": _elementwise(np.reciprocal),
    "Tanh": _elementwise(np.tanh),
    "Sigmoid": _elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "Relu": _elementwise(lambda x: np.maximum(x, 0)),
    "Erf": _elementwise(erf),
    "Gelu": _gelu,
}
MOVES: dict[str, Operator] = {
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
}
OPERATORS: dict[str, Operator] = {
    **ELEMENTWISE,
    **MOVES,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
    "Cast": _cast,
    "Concat": _concat,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Equal": _elementwise(np.equal),
    "Where": _elementwise(np.where),
    "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil),
    "Min": _elementwise(np.minimum),
    "Max": _elementwise(np.maximum),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Softmax": _softmax,
    "LayerNormalization": _layer_norm,
    "ReduceMean": _reduce_mean,
    "Conv": _patch_conv,
    "Resize": _resize,
}
