# SPDX-License-Identifier: Apache-2.0
"""ONNX files that cannot be built, or mean harm: refused in one sentence that says what and where."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from model.onnx_graphs import GraphWriter  # noqa: E402
from model.support import SHAPE, random_model  # noqa: E402
from vitforge.errors import ModelError  # noqa: E402
from vitforge.model.onnx_import import load_onnx  # noqa: E402


def proto_of(dims: list[int | str] | None = None, **style: str) -> onnx.ModelProto:
    writer = GraphWriter(random_model(), **style)
    return writer.model_proto(writer.head(writer.encoder()), dims)


def refusal(path: Path, content: bytes | onnx.ModelProto, **options: int) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    with pytest.raises(ModelError) as caught:
        load_onnx(path, **options)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def test_not_onnx(path: Path) -> None:
    assert "not" in refusal(path, b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert "its graph has no nodes" in refusal(path, b"")


def test_missing_file(path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_onnx(path)


def test_every_truncation(path: Path) -> None:
    content = proto_of().SerializeToString()
    for length in range(0, len(content), 487):
        refusal(path, content[:length])


def test_flipped_bytes_never_escape(path: Path) -> None:
    content = proto_of(fused_norm=True).SerializeToString()
    rng = np.random.default_rng(11)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 4):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            load_onnx(path)
        except ModelError as error:
            assert "\n" not in str(error)


def change(op: str, edit: Callable[[onnx.NodeProto], None], **style: str) -> onnx.ModelProto:
    proto = proto_of(**style)
    edit(next(node for node in proto.graph.node if node.op_type == op))
    return proto


def renamed(to: str) -> Callable[[onnx.NodeProto], None]:
    def edit(node: onnx.NodeProto) -> None:
        node.op_type, node.name = to, "culprit"

    return edit


@pytest.mark.parametrize("op", ["Softmax", "Erf", "Transpose"])
def test_an_unknown_operator_and_its_node_are_named(path: Path, op: str) -> None:
    message = refusal(path, change(op, renamed("Mystery")))
    assert "operator 'Mystery' (node 'culprit') is not one that vitforge maps" in message


def test_another_activation(path: Path) -> None:
    assert "not the erf form of GELU" in refusal(path, proto_of(gelu="quick"))


def test_graphs_of_other_networks(path: Path) -> None:
    proto = proto_of()
    del proto.graph.node[:]
    proto.graph.node.append(helper.make_node("Relu", ["image"], [proto.graph.output[0].name]))
    assert "no patch embedding" in refusal(path, proto)
    overlapping = change("Conv", stride)
    assert "does not cut square patches" in refusal(path, overlapping)


def stride(node: onnx.NodeProto) -> None:
    for item in node.attribute:
        if item.name == "strides":
            item.ints[:] = [1, 1]


def test_open_sizes(path: Path) -> None:
    dims = ["batch", SHAPE.channels, "rows", "columns"]
    assert "'rows' open; give image_size, a multiple of 3" in refusal(path, proto_of(dims))
    assert "images of 2 x 2 pixels" in refusal(path, proto_of(dims), image_size=2)
    assert "6 x 9 pixels, but image_size is (9, 9)" in refusal(path, proto_of(), image_size=9)


@pytest.mark.parametrize("edge", [0, -1, 2**40, 2**62])
def test_huge_and_empty_images(path: Path, edge: int) -> None:
    assert "cannot be cut into patches" in refusal(path, proto_of([1, SHAPE.channels, edge, edge]))


def test_huge_constants(path: Path) -> None:
    """A few bytes that ask for exabytes."""
    proto = proto_of()
    proto.graph.initializer[0].dims[0] = 2**60
    assert "expected" in refusal(path, proto)
    proto = proto_of()
    size = numpy_helper.from_array(np.array([2**20] * 3), "huge")
    proto.graph.initializer.append(size)
    conv = next(i for i, node in enumerate(proto.graph.node) if node.op_type == "Reshape")
    proto.graph.node.insert(conv, helper.make_node("ConstantOfShape", ["huge"], ["filled"], name="bomb"))
    proto.graph.node[conv + 1].input[1] = "filled"
    assert "'bomb'" in refusal(path, proto)


def test_external_data_only_beside_the_file(path: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}_secret.bin"
    outside.write_bytes(bytes(1 << 16))
    (tmp_path / "link.bin").symlink_to(outside)
    for location in (f"../{outside.name}", str(outside), "link.bin", "missing.bin", "", "/etc/passwd"):
        proto = external(location)
        assert "not in a file beside it" in refusal(path, proto)
    (tmp_path / "short.bin").write_bytes(bytes(4))
    assert "short.bin is too short" in refusal(path, external("short.bin"))


def external(location: str) -> onnx.ModelProto:
    proto = proto_of()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return proto


def test_external_data_beside_the_file(path: Path, tmp_path: Path) -> None:
    proto, content = proto_of(), proto_of().graph.initializer[0].raw_data
    (tmp_path / "data.bin").write_bytes(content)
    changed = external("data.bin")
    path.write_bytes(changed.SerializeToString())
    loaded = load_onnx(path)
    path.write_bytes(proto.SerializeToString())
    assert np.array_equal(loaded.tensors["patch.weight"], load_onnx(path).tensors["patch.weight"])


def test_without_the_package(path: Path) -> None:
    path.write_bytes(b"x")
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from vitforge.errors import ToolError\n"
        "from vitforge.model.float_file import load_float_model\n"
        f"try: load_float_model({str(path)!r})\n"
        "except ToolError as error: print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'vitforge[onnx]'" in answer
