# SPDX-License-Identifier: Apache-2.0
"""Runs one unit of the accelerator for one step, on the weight stream that the driver would send it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.layout import (
    activation_memory,
    get_activations,
    get_tokens,
    put_activations,
    put_tokens,
    token_memory,
)
from vitforge.design.design import Design


@dataclass(frozen=True, kw_only=True)
class UnitBench:
    """One csim library, its design, and the stream sections of a model (`quantize.blob.build_sections`)."""

    csim: CsimLibrary
    design: Design
    sections: dict[str, bytes]

    def _stream(self, names: list[str], extra: bytes = b"") -> tuple[NDArray[np.uint8], int]:
        data = b"".join(self.sections[name] + (extra if name == "ln2.load" else b"") for name in names)
        return np.frombuffer(data, np.uint8), len(data) // self.design.beat_bytes

    def self_attention(self, layer: int, norm1: NDArray[np.int8]) -> NDArray[np.int16]:
        """norm1 (N, D) int8 -> branch (N, D) int16 of block ``layer``."""
        design, engine = self.design, self.design.nsa
        xn = activation_memory(engine, engine.xn_depth)
        put_activations(xn, engine, norm1, base=0, stride=engine.xn_stride)
        branch = token_memory(design, design.branch_nsa_depth)
        stream, beats = self._stream([f"nsa.{layer}", "end.array"])
        self.csim.call("vf_nsa_step", stream, beats, xn, branch, np.zeros(1, np.int32), 0)
        return get_tokens(branch, design, *norm1.shape)

    def class_head(self, norm: NDArray[np.int8]) -> NDArray[np.int32]:
        """Class token after the final norm (D,) int8 -> logits (classes,) int32."""
        design, engine = self.design, self.design.nsa
        xn = activation_memory(engine, engine.xn_depth)
        put_activations(xn, engine, norm[None, :], base=engine.extra_base, stride=engine.extra_stride)
        logits = np.zeros(design.logits_words, np.int32)
        stream, beats = self._stream(["nsa.head", "end.array"])
        branch = token_memory(design, design.branch_nsa_depth)
        self.csim.call("vf_nsa_step", stream, beats, xn, branch, logits, design.head.column_tiles)
        return logits[: design.shape.num_classes]

    def mlp(self, layer: int, norm2: NDArray[np.int8]) -> NDArray[np.int16]:
        """norm2 (N, D) int8 -> branch (N, D) int16 of block ``layer``."""
        design, engine = self.design, self.design.nmp
        xn = activation_memory(engine, engine.xn_depth)
        put_activations(xn, engine, norm2, base=0, stride=engine.xn_stride)
        branch = token_memory(design, design.branch_nmp_depth)
        stream, beats = self._stream([f"nmp.{layer}", "end.array"])
        self.csim.call("vf_nmp_step", stream, beats, xn, branch)
        return get_tokens(branch, design, *norm2.shape)

    def patch_embedding(self, packed_image: NDArray[np.uint8]) -> NDArray[np.int16]:
        """One image as it lies in DDR (`vitforge_host.blob.pack_images`) -> branch (N, D) int16.

        Loads it through the second layer-norm unit, then runs the embedding on the MLP array.
        """
        design, engine = self.design, self.design.nmp
        xn = activation_memory(engine, engine.xn_depth)
        stream, beats = self._stream(["ln2.load", "end.ln"], packed_image.tobytes())
        residual = token_memory(design, design.residual_depth)
        self.csim.call("vf_ln2_step", stream, beats, residual, token_memory(design, design.branch_nsa_depth), xn)
        branch = token_memory(design, design.branch_nmp_depth)
        stream, beats = self._stream(["nmp.embed", "end.array"])
        self.csim.call("vf_nmp_step", stream, beats, xn, branch)
        shape = design.shape
        return get_tokens(branch, design, shape.seq_len, shape.embed_dim, base=design.embed_branch_base)

    def norm1(
        self, layer: int, residual: NDArray[np.int16], branch: NDArray[np.int16]
    ) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
        """(residual, branch) (N, D) int16 -> (new residual int16, norm1 int8).

        Block 0 takes its residual from the stream, whatever is given here.
        """
        base = self.design.embed_branch_base if layer == 0 else 0
        return self._norm("vf_ln1_step", [f"ln1.{layer}", "end.ln"], residual, branch, base)

    def norm2(
        self, layer: int, residual: NDArray[np.int16], branch: NDArray[np.int16]
    ) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
        """The same for the norm before the MLP of block ``layer``."""
        return self._norm("vf_ln2_step", [f"ln2.{layer}", "end.ln"], residual, branch, 0)

    def _norm(
        self, kernel: str, names: list[str], residual: NDArray, branch: NDArray, base: int
    ) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
        design = self.design
        first = kernel == "vf_ln1_step"
        engine = design.nsa if first else design.nmp
        x = token_memory(design, design.residual_depth)
        put_tokens(x, design, residual)
        b = token_memory(design, design.branch_nmp_depth if first else design.branch_nsa_depth)
        put_tokens(b, design, branch, base=base)
        xn = activation_memory(engine, engine.xn_depth)
        stream, beats = self._stream(names)
        self.csim.call(kernel, stream, beats, x, b, xn)
        out = get_activations(xn, engine, *residual.shape, base=0, stride=engine.xn_stride)
        return get_tokens(x, design, *residual.shape), out

    def final_norm(self, residual: NDArray[np.int16], branch: NDArray[np.int16]) -> NDArray[np.int8]:
        """Class token of the last residual (N, D) and branch (N, D) -> (D,) int8."""
        design, engine = self.design, self.design.nsa
        x = token_memory(design, design.residual_depth)
        put_tokens(x, design, residual)
        b = token_memory(design, design.branch_nmp_depth)
        put_tokens(b, design, branch)
        xn = activation_memory(engine, engine.xn_depth)
        stream, beats = self._stream(["ln1.final", "end.ln"])
        self.csim.call("vf_ln1_step", stream, beats, x, b, xn)
        width = residual.shape[1]
        return get_activations(xn, engine, 1, width, base=engine.extra_base, stride=engine.extra_stride)[0]

    def softmax(
        self, scores: NDArray[np.int16], context_mult: int, context_shift: int
    ) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.int32]]:
        """scores (N, N) int16 of one head -> (weights (N, N) int8, reciprocal mult (N,), shift (N,))."""
        design, engine, f = self.design, self.design.nsa, self.design.folding
        n = scores.shape[0]
        padded = np.zeros((engine.token_tiles * engine.tt, design.key_columns * f.tc), np.int16)
        padded[:n, : scores.shape[1]] = scores
        words = padded.reshape(engine.token_tiles, engine.drain_groups, f.td, design.key_columns, f.tc)
        words = np.ascontiguousarray(words.transpose(0, 3, 1, 2, 4))  # tile, key column, drain group, td, tc
        weights = activation_memory(engine, design.weights_depth)
        reciprocal = np.zeros(engine.token_tiles * engine.tt, np.int32)
        count = words.size // (f.td * f.tc)
        scale = context_mult | context_shift << 16
        self.csim.call("vf_softmax", engine.token_tiles, n, scale, words, count, weights, reciprocal)
        out = get_activations(weights, engine, n, scores.shape[1], base=0, stride=design.key_tiles)
        return out, reciprocal[:n] & 0x3FFFF, reciprocal[:n] >> 18
