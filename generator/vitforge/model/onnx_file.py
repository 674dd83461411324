# SPDX-License-Identifier: Apache-2.0
"""An ONNX file as plain nodes and numpy constants; nothing of it is trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError, ToolError

_DOMAINS = ("", "ai.onnx")
_ITEM_BYTES = {"FLOAT": 4, "DOUBLE": 8, "FLOAT16": 2, "BFLOAT16": 2, "INT64": 8, "INT32": 4, "UINT8": 1, "BOOL": 1}
_EXTERNAL = 1  # TensorProto.EXTERNAL


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator; ``op`` carries its domain where that is not ONNX's own."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict[str, Any] = field(repr=False)
    opset: int

    @property
    def title(self) -> str:
        """For messages."""
        return f"operator {self.op!r} (node {self.name!r})"


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The main graph of a file, in the order in which it can be computed."""

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray] = field(repr=False)
    inputs: dict[str, tuple[int | str, ...]]  # name -> axes: a length, or the name of an open one
    outputs: tuple[str, ...]


def read_graph(file: Path) -> Graph:
    """The graph of ``file``. Raises ToolError without the onnx package, ModelError where the file is not whole."""
    try:
        import onnx
    except ImportError:
        raise ToolError(f"{file}: reading ONNX needs the onnx package; pip install 'vitforge[onnx]'") from None
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{file} cannot be read ({reason}); give an ONNX file") from None
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # protobuf's errors are of no common class
        raise ModelError(f"{file} is not a whole ONNX file; export or copy it again") from None
    if not model.graph.node:
        raise ModelError(f"{file} is not an ONNX file of a model: its graph has no nodes")
    try:
        return _Reader(file, model).graph()
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError, AttributeError) as error:
        raise ModelError(f"{file} is damaged: {error}") from None


class _Reader:
    """Protobuf messages to `Graph`; ValueError says what is wrong."""

    def __init__(self, file: Path, model: Any) -> None:
        self.file, self.model = file, model
        self.opset = max((item.version for item in model.opset_import if item.domain in _DOMAINS), default=1)

    def graph(self) -> Graph:
        content = self.model.graph
        constants = {item.name: self.tensor(item) for item in content.initializer}
        inputs = {item.name: self.axes(item) for item in content.input if item.name not in constants}
        nodes = tuple(self.node(item) for item in content.node)
        made = [*constants, *inputs, *(name for node in nodes for name in node.outputs if name)]
        if len(set(made)) != len(made):
            twice = next(name for name in made if made.count(name) > 1)
            raise ValueError(f"the value {twice!r} is made twice")
        return Graph(
            nodes=nodes, constants=constants, inputs=inputs, outputs=tuple(item.name for item in content.output)
        )

    def axes(self, item: Any) -> tuple[int | str, ...]:
        axes = item.type.tensor_type.shape.dim
        lengths = [int(axis.dim_value) if axis.HasField("dim_value") else axis.dim_param for axis in axes]
        return tuple(f"axis {i}" if length == "" else length for i, length in enumerate(lengths))

    def node(self, item: Any) -> Node:
        own = item.domain in _DOMAINS
        return Node(
            op=item.op_type if own else f"{item.domain}.{item.op_type}",
            name=item.name or next(iter(item.output), ""),
            inputs=tuple(item.input),
            outputs=tuple(item.output),
            attrs={a.name: self.attribute(a) for a in item.attribute},
            opset=self.opset,
        )

    def attribute(self, item: Any) -> Any:
        if item.HasField("t"):
            return self.tensor(item.t)
        if item.HasField("g") or item.graphs:
            return None  # of control flow, which nothing here computes
        from onnx.helper import get_attribute_value

        value = get_attribute_value(item)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def tensor(self, item: Any) -> NDArray:
        """Floating-point numbers of every length as float32."""
        from onnx import TensorProto, numpy_helper

        kinds = TensorProto.DataType
        kind = kinds.Name(item.data_type) if item.data_type in kinds.values() else str(item.data_type)
        if kind not in _ITEM_BYTES:
            return np.empty(0, object)  # of a kind that nothing here computes with
        length = math.prod(item.dims) * _ITEM_BYTES[kind]
        if length < 0 or min(item.dims, default=0) < 0:
            raise ValueError(f"tensor {item.name!r} has a negative length")
        if item.data_location == _EXTERNAL:
            item.raw_data = self.external(item, length)
            item.data_location = TensorProto.DEFAULT
        if item.HasField("raw_data") and len(item.raw_data) != length:
            raise ValueError(f"tensor {item.name!r} has {len(item.raw_data)} bytes, expected {length}")
        value = numpy_helper.to_array(item)
        return value.astype(np.float32, copy=False) if "FLOAT" in kind or kind == "DOUBLE" else value

    def external(self, item: Any, length: int) -> bytes:
        """Bytes of a tensor that is stored beside the file, never elsewhere."""
        where = {entry.key: entry.value for entry in item.external_data}
        base = self.file.resolve().parent
        path = (base / where.get("location", "")).resolve()
        if not path.is_relative_to(base) or not path.is_file():
            raise ValueError(f"the data of tensor {item.name!r} is not in a file beside it ({where.get('location')!r})")
        offset = int(where.get("offset", 0))
        if offset < 0 or offset + length > path.stat().st_size:
            raise ValueError(f"{path.name} is too short for tensor {item.name!r}")
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)
