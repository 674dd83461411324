# SPDX-License-Identifier: Apache-2.0
"""The datapath kernels of a compiled project against golden tensors of real images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.checks import KernelCheck
from vitforge.csim.units import UnitBench
from vitforge.golden.arith import context_reciprocal
from vitforge.golden.softmax import softmax_weights
from vitforge.golden.vit import residual_add
from vitforge.quantize.model import QuantModel
from vitforge_host.blob import pack_images, read_blob

Tensors = dict[str, NDArray]  # of `csim.observe.golden_tensors`; the first axis is the image


def check_softmax(bench: UnitBench, model: QuantModel, tensors: Tensors, check: KernelCheck) -> None:
    """Scores of every head of every block, then rows of equal, minimal and maximal scores."""
    n = model.shape.seq_len
    cases = [(f"block {i}", tensors[f"blocks.{i}.score"][0]) for i in range(model.shape.depth)]
    for value in (-32767, 0, 32767):
        cases.append((f"all {value}", np.full((1, n, n), value, np.int16)))
    peak = np.full((n, n), -32767, np.int16)
    np.fill_diagonal(peak, 32767)
    cases.append(("one peak a row", peak[None]))
    block = model.blocks[0]
    for name, heads in cases:
        for head in heads:
            weights, total = softmax_weights(head)
            expected = context_reciprocal(block.context_mult, block.context_shift, total)
            got = bench.softmax(head, block.context_mult, block.context_shift)
            check.compare(f"weights {name}", weights, got[0])
            check.compare(f"reciprocal mult {name}", expected[0], got[1])
            check.compare(f"reciprocal shift {name}", expected[1], got[2])


def check_layer_norm(bench: UnitBench, model: QuantModel, tensors: Tensors, check: KernelCheck) -> None:
    """Both norms of every block with the position table, and the final norm."""
    for i in range(model.shape.depth):
        before = tensors["patch"][0] if i == 0 else tensors[f"x.{i}.attn"][0]
        x, out = bench.norm1(i, before)
        check.compare(f"x.{i}.attn", tensors[f"x.{i}.attn"][0], x)
        check.compare(f"blocks.{i}.norm1", tensors[f"blocks.{i}.norm1"][0][:, bench.kept(i, "norm1")], out)
        out = bench.norm2(i, tensors[f"x.{i}.mlp"][0])
        check.compare(f"blocks.{i}.norm2", tensors[f"blocks.{i}.norm2"][0][: len(out), bench.kept(i, "norm2")], out)
    last = model.shape.depth - 1
    final = bench.final_norm(residual_add(tensors[f"x.{last}.mlp"][0], tensors[f"blocks.{last}.fc2"][0]))
    check.compare("norm", tensors["norm"][0], final)


def check_self_attention(bench: UnitBench, model: QuantModel, tensors: Tensors, check: KernelCheck) -> None:
    """QKV, scores, softmax, context, projection and residual add of every block: the NSA engine."""
    for i in range(model.shape.depth):
        got = bench.self_attention(i, tensors[f"blocks.{i}.norm1"][0], tensors[f"x.{i}.attn"][0])
        check.compare(f"x.{i}.mlp", tensors[f"x.{i}.mlp"][0][: len(got)], got)


def check_mlp(bench: UnitBench, model: QuantModel, tensors: Tensors, check: KernelCheck) -> None:
    """FC1, GELU, FC2 and residual add of every block: the NMP engine."""
    for i in range(model.shape.depth):
        before = tensors[f"x.{i}.mlp"][0]
        got = bench.mlp(i, tensors[f"blocks.{i}.norm2"][0], before)
        expected = residual_add(before, tensors[f"blocks.{i}.fc2"][0])
        check.compare(f"x.{i + 1}.attn", expected[: len(got)], got)


def check_class_head(bench: UnitBench, model: QuantModel, tensors: Tensors, check: KernelCheck) -> None:
    """Logits of the class token."""
    for image in range(len(tensors["norm"])):
        check.compare("logits", tensors["logits"][image], bench.class_head(tensors["norm"][image]))


def check_patch_embedding(
    bench: UnitBench, tensors: Tensors, blob: bytes, images: NDArray[np.uint8], check: KernelCheck
) -> None:
    """Patches from DDR through the loader and the MLP array."""
    packed = pack_images(images, read_blob(blob).manifest)
    for image in range(len(images)):
        check.compare("patch", tensors["patch"][image], bench.patch_embedding(packed[image]))


DatapathCheck = Callable[[UnitBench, QuantModel, Tensors, KernelCheck], None]

DATAPATH: dict[str, DatapathCheck] = {
    "softmax": check_softmax,
    "layer_norm": check_layer_norm,
    "nsa_engine": check_self_attention,
    "nmp_engine": check_mlp,
    "class_head": check_class_head,
}


def datapath_checks(model: QuantModel) -> dict[str, DatapathCheck]:
    """Those of `DATAPATH` that a model has: a backbone has no class head."""
    return {name: check for name, check in DATAPATH.items() if name != "class_head" or model.head is not None}
