# SPDX-License-Identifier: Apache-2.0
"""Runs one unit of the accelerator for one step, on the weight stream that the driver would send it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.layout import (
    FEATURE,
    ActivationWords,
    activation_words,
    attention_memory,
    end_word,
    get_attention,
    get_residual,
    get_spare,
    read_words,
    residual_memory,
    set_spare,
)
from vitforge.design.design import Design
from vitforge.model.keep import BlockKeep, Mask
from vitforge.quantize.blob import image_slices

Residual = NDArray[np.int16]


@dataclass(frozen=True, kw_only=True)
class UnitBench:
    """One csim library, its design, and the stream sections of a model (`quantize.blob.build_sections`)."""

    csim: CsimLibrary
    design: Design
    sections: dict[str, bytes]
    keep: tuple[BlockKeep, ...] = ()  # of a pruned model

    def kept(self, layer: int, norm: str) -> Mask:
        """Channels that ``norm1`` or ``norm2`` of a block sends on."""
        if not self.keep:
            return np.ones(self.design.shape.embed_dim, bool)
        mask: Mask = getattr(self.keep[layer], norm)
        return mask

    def _beats(self, *parts: str | bytes) -> tuple[NDArray[np.uint8], int]:
        data = b"".join(self.sections[part] if isinstance(part, str) else part for part in parts)
        return np.frombuffer(data, np.uint8), len(data) // self.design.beat_bytes

    # --- array units -------------------------------------------------------------------------------------------------
    def _nsa(
        self, words: ActivationWords, sections: list[str], residual: Residual, result_tiles: int
    ) -> NDArray[np.int32]:
        """A step that stores ``words``, then one with ``sections``; returns what left for the host."""
        results = np.zeros(max(1, result_tiles * self.design.folding.tc), np.int32)
        self._call_nsa(words, ["end.nsa"], residual, results, 0)
        self._call_nsa(end_word(self.design), [*sections, "end.nsa"], residual, results, result_tiles)
        return results

    def _call_nsa(
        self, words: ActivationWords, sections: list[str], residual: Residual, results: NDArray, tiles: int
    ) -> None:
        beats = self._beats(*sections)
        self.csim.call("vf_nsa_step", *beats, words.place, words.lanes, len(words.place), residual, results, tiles)

    def self_attention(self, layer: int, norm1: NDArray[np.int8], residual: Residual | None = None) -> Residual:
        """norm1 (N, D) int8 -> residual (N, D) int16 of zeros, or as given, after block ``layer`` has added to it.

        Only the class token's row where nothing else is used afterwards.
        """
        design, nsa = self.design, self.design.nsa
        x = residual_memory(design, residual)
        sent = norm1[:, self.kept(layer, "norm1")]
        words = activation_words(design, nsa, sent, base=0, stride=nsa.norm_stride) + end_word(design)
        self._nsa(words, [f"nsa.{layer}"], x, 0)
        if not self._is_early(layer):
            return get_residual(x, design)[:, : norm1.shape[1]]
        moved = design.folding.embed_nsa
        return (get_spare(x, design)[None, :] if moved else get_residual(x, design)[:1])[:, : norm1.shape[1]]

    def class_head(self, norm: NDArray[np.int8]) -> NDArray[np.int32]:
        """Class token after the final norm (D,) int8 -> logits (classes,) int32."""
        design, nsa = self.design, self.design.nsa
        words = activation_words(design, nsa, norm[None, :], base=nsa.spare_base, stride=nsa.norm_stride)
        tiles = design.head.column_tiles
        sections = [f"nsa.head.{i}{end}" for i in range(len(design.head_slices)) for end in (".1", "")]
        results = self._nsa(words + end_word(design), sections, residual_memory(design), tiles)
        return results[: design.shape.num_classes]

    def mlp(self, layer: int, norm2: NDArray[np.int8], residual: Residual | None = None) -> Residual:
        """norm2 (N, D) int8 -> residual (N, D) int16 of zeros, or as given, after block ``layer`` has added to it.

        Only the class token's row where nothing else is used afterwards.
        """
        design, nmp = self.design, self.design.nmp
        x = self._early_residual(layer, residual)
        sent = norm2[:, self.kept(layer, "norm2")]
        words = activation_words(design, nmp, sent, base=0, stride=nmp.norm_stride) + end_word(design)
        self._nmp(words, "end.nmp", x)
        self._nmp(end_word(design), f"nmp.{layer}", x)
        rows = get_spare(x, design)[None, :] if self._is_early(layer) else get_residual(x, design)
        return rows[:, : norm2.shape[1]]

    def _nmp(self, words: ActivationWords, section: str, residual: Residual) -> None:
        parts = [section] if section == "end.nmp" else [section, "end.nmp"]
        beats = self._beats(*parts)
        self.csim.call("vf_nmp_step", *beats, words.place, words.lanes, len(words.place), residual)

    def _early_residual(self, layer: int, residual: Residual | None) -> Residual:
        """A residual memory; the class token is in its spare row too, where the last block may look for it."""
        x = residual_memory(self.design, residual)
        if residual is not None and self._is_early(layer) and self.design.folding.embed_nsa:
            set_spare(x, self.design, residual[0])
        return x

    def _is_early(self, layer: int) -> bool:
        return self.design.finishes_early and layer == self.design.shape.depth - 1

    def patch_embedding(self, packed_image: NDArray[np.uint8]) -> Residual:
        """One image as it lies in DDR (`vitforge_host.blob.pack_images`) -> branch (N, D) int16.

        Loads it through the layer-norm unit before the array that embeds, then runs the embedding.
        """
        design = self.design
        rows = packed_image.reshape(-1, design.beat_bytes)
        parts: list[str | bytes] = []
        loader = "ln1" if design.folding.embed_nsa else "ln2"
        for i, (first, beats) in enumerate(image_slices(design)):
            parts += [f"{loader}.load.{i}", rows[first : first + beats].tobytes()]
        x = residual_memory(design)
        words = self._norm(f"vf_{loader}_step", x, *parts)
        if design.folding.embed_nsa:
            self._call_nsa(words, ["nsa.embed", "end.nsa"], x, np.zeros(1, np.int32), 0)
        else:
            self._nmp(words, "nmp.embed", x)
        return get_residual(x, design)[:, : design.shape.embed_dim]

    # --- layer-norm units --------------------------------------------------------------------------------------------
    def _norm(self, kernel: str, residual: Residual, *parts: str | bytes) -> ActivationWords:
        design = self.design
        capacity = design.shape.seq_len * (design.patch.k_tiles + design.channel_tiles) + 16
        place = np.zeros((capacity, 4), np.int32)
        lanes = np.zeros((capacity, design.folding.tk), np.int8)
        sent = self.csim.call(kernel, *self._beats(*parts, "end.ln"), residual, place, lanes, capacity)
        return ActivationWords(place=place[:sent], lanes=lanes[:sent])

    def norm1(self, layer: int, residual: Residual) -> tuple[Residual, NDArray[np.int8]]:
        """residual (N, D) int16 -> (residual, norm1 (N, kept) int8). Block 0 adds the table in the stream first."""
        nsa, x = self.design.nsa, residual_memory(self.design, residual)
        words = self._norm("vf_ln1_step", x, f"ln1.{layer}")
        tokens, width = residual.shape
        sent = int(self.kept(layer, "norm1").sum())
        out = read_words(self.design, nsa, words, (tokens, sent), base=0, stride=nsa.norm_stride)
        return get_residual(x, self.design)[:, :width], out

    def norm2(self, layer: int, residual: Residual) -> NDArray[np.int8]:
        """residual (N, D) int16 -> norm2 (N, kept) int8; only the class token's row where no other is used."""
        nmp, x = self.design.nmp, self._early_residual(layer, residual)
        words = self._norm("vf_ln2_step", x, f"ln2.{layer}")
        rows = 1 if self._is_early(layer) else residual.shape[0]
        sent = int(self.kept(layer, "norm2").sum())
        return read_words(self.design, nmp, words, (rows, sent), base=0, stride=nmp.norm_stride)

    def final_norm(self, residual: Residual) -> NDArray[np.int8]:
        """Last residual (N, D) int16 -> (D,) int8 of the class token, or (N, D) features without a class head."""
        design, nsa = self.design, self.design.nsa
        width = residual.shape[1]
        x = residual_memory(design, residual)
        set_spare(x, design, residual[0])
        words = self._norm("vf_ln1_step", x, "ln1.final.0", "ln1.final")
        if design.finishes_early:
            return read_words(design, nsa, words, (1, width), base=nsa.spare_base, stride=nsa.norm_stride)[0]
        sent = words.lanes[words.place[:, 0] == FEATURE][:, : design.folding.tc]
        return sent.reshape(design.shape.seq_len, -1)[:, :width]

    # --- softmax -----------------------------------------------------------------------------------------------------
    def softmax(
        self, scores: NDArray[np.int16], context_mult: int, context_shift: int
    ) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.int32]]:
        """scores (N, N) int16 of one head -> (weights (N, N) int8, reciprocal mult (N,), shift (N,))."""
        design, engine, tc = self.design, self.design.nsa, self.design.folding.tc
        n = scores.shape[0]
        padded = np.zeros((engine.token_tiles * engine.tt, design.key_columns * tc), np.int16)
        padded[:n, : scores.shape[1]] = scores
        words = padded.reshape(engine.token_tiles, engine.drain_groups, engine.td, design.key_columns, tc)
        words = np.ascontiguousarray(words.transpose(0, 3, 1, 2, 4))  # tile, key column, drain group, td, tc
        weights = attention_memory(design)
        reciprocal = np.zeros(engine.token_tiles * engine.tt, np.int32)
        count = words.size // (engine.td * tc)
        scale = context_mult | context_shift << 16
        self.csim.call("vf_softmax", engine.token_tiles, n, scale, words, count, weights, reciprocal)
        return get_attention(weights, design, n), reciprocal[:n] & 0x3FFFF, reciprocal[:n] >> 18
