# SPDX-License-Identifier: Apache-2.0
"""Keep masks through the layer-norm unit: kept channels leave compact, and the residual stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.support import quant_model
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.layout import END, STORE, ActivationWords, get_residual, read_words, residual_memory
from vitforge.design.design import Design
from vitforge.golden.keep import compact
from vitforge.golden.layer_norm import layer_norm
from vitforge.quantize.blob import build_sections

HEADER_BYTES = 32
RECORD_BYTES = 8
EMIT = 1


def masked(section: bytes, emit: np.ndarray) -> bytes:
    """A norm section with another keep mask: the u16 at byte 2 of each channel's record."""
    data = bytearray(section)
    for channel, emits in enumerate(emit):
        data[HEADER_BYTES + RECORD_BYTES * channel + 2] = EMIT * int(emits)
    return bytes(data)


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_layer_norm_with_masks(design: Design, library: CsimLibrary, density: float) -> None:
    rng = np.random.default_rng(int(100 * density))
    model = quant_model(design, "random")
    shape, f = design.shape, design.folding
    emit = rng.random(shape.embed_dim) < density
    sections = build_sections(design, model)
    section = masked(sections["ln1.1" if shape.depth > 1 else "ln1.0"], emit)  # block 0 also adds a table
    table = model.x0 if shape.depth == 1 else np.zeros_like(model.x0)

    residual = rng.integers(-9000, 9000, (shape.seq_len, shape.embed_dim)).astype(np.int16)
    x = residual_memory(design, residual)
    stream = np.frombuffer(section + sections["end.ln"], np.uint8)
    most = shape.seq_len * design.channel_tiles + 1
    place, lanes = np.zeros((most, 4), np.int32), np.zeros((most, f.tk), np.int8)
    sent = library.call("vf_ln1_step", stream, stream.size // design.beat_bytes, x, place, lanes, most)

    # A word of tc kept channels each, what is left of a token in a word of its own, then the end of the step.
    assert sent == shape.seq_len * -(-int(emit.sum()) // f.tc) + 1
    assert (place[: sent - 1, 0] == STORE).all() and place[sent - 1, 0] == END
    expected = np.clip(residual.astype(np.int32) + table, -32767, 32767).astype(np.int16)
    assert (get_residual(x, design)[:, : shape.embed_dim] == expected).all()
    block = model.blocks[1 if shape.depth > 1 else 0]
    kept = compact(layer_norm(expected, block.norm1), emit)
    words = ActivationWords(place=place[:sent], lanes=lanes[:sent])
    got = read_words(design, design.nsa, words, kept.shape, base=0, stride=design.nsa.norm_stride)
    assert (got == kept).all()
