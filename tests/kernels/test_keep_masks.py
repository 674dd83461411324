# SPDX-License-Identifier: Apache-2.0
"""Keep masks through the layer-norm unit: compact branches are restored, kept channels leave compact."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.support import quant_model
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.layout import (
    activation_memory,
    get_activations,
    get_tokens,
    put_tokens,
    token_memory,
)
from vitforge.csim.units import UnitBench
from vitforge.design.design import Design
from vitforge.golden.keep import compact, restore
from vitforge.golden.layer_norm import layer_norm
from vitforge.golden.vit import residual_add
from vitforge.quantize.blob import build_sections

HEADER_BYTES = 32
RECORD_BYTES = 8
EMIT, IN_BRANCH = 1, 2


def masked(section: bytes, emit: np.ndarray, in_branch: np.ndarray) -> bytes:
    """A norm section with other keep masks: the u16 at byte 2 of each channel's record."""
    data = bytearray(section)
    for channel, (emits, has_branch) in enumerate(zip(emit, in_branch, strict=True)):
        data[HEADER_BYTES + RECORD_BYTES * channel + 2] = EMIT * int(emits) | IN_BRANCH * int(has_branch)
    return bytes(data)


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_layer_norm_with_masks(design: Design, library: CsimLibrary, density: float) -> None:
    rng = np.random.default_rng(int(100 * density))
    model = quant_model(design, "random")
    shape, engine = design.shape, design.nmp
    emit = rng.random(shape.embed_dim) < density
    in_branch = rng.random(shape.embed_dim) < density
    sections = build_sections(design, model)
    sections["ln2.0"] = masked(sections["ln2.0"], emit, in_branch)
    bench = UnitBench(csim=library, design=design, sections=sections)

    residual = rng.integers(-9000, 9000, (shape.seq_len, shape.embed_dim)).astype(np.int16)
    branch = rng.integers(-9000, 9000, (shape.seq_len, int(in_branch.sum()))).astype(np.int16)
    x, b = token_memory(design, design.residual_depth), token_memory(design, design.branch_nsa_depth)
    put_tokens(x, design, residual)
    put_tokens(b, design, branch)
    xn = activation_memory(engine, engine.xn_depth)
    stream = np.frombuffer(sections["ln2.0"] + sections["end.ln"], np.uint8)
    bench.csim.call("vf_ln2_step", stream, stream.size // design.beat_bytes, x, b, xn)

    expected = residual_add(residual, restore(branch, in_branch))
    assert (get_tokens(x, design, *residual.shape) == expected).all()
    kept = compact(layer_norm(expected, model.blocks[0].norm2), emit)
    assert (get_activations(xn, engine, *kept.shape, base=0, stride=engine.xn_stride) == kept).all()
