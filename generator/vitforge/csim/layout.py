# SPDX-License-Identifier: Apache-2.0
"""Tensors to and from the on-chip memory layouts of the kernels (`docs/architecture.md`, Memories)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry

STORE, MARK, END, FEATURE = range(4)  # kinds of words from layer norm to an array
_WHOLE_ENTRY = 255


@dataclass(frozen=True, kw_only=True)
class ActivationWords:
    """A stream from layer norm to an array: place (n, 4) int32 (kind, entry, row, group), lanes (n, tk) int8."""

    place: NDArray[np.int32]
    lanes: NDArray[np.int8]

    def __add__(self, other: ActivationWords) -> ActivationWords:
        return ActivationWords(
            place=np.concatenate([self.place, other.place]), lanes=np.concatenate([self.lanes, other.lanes])
        )


def end_word(design: Design) -> ActivationWords:
    """The end of a step."""
    place = np.array([[END, 0, 0, 0]], np.int32)
    return ActivationWords(place=place, lanes=np.zeros((1, design.folding.tk), np.int8))


def activation_words(
    design: Design, engine: EngineGeometry, values: NDArray[np.int8], *, base: int, stride: int
) -> ActivationWords:
    """``values`` (tokens, channels) int8 on their way to a region of the left memory."""
    tk, (tokens, channels) = design.folding.tk, values.shape
    k_tiles = -(-channels // tk)
    lanes = np.zeros((tokens, k_tiles * tk), np.int8)
    lanes[:, :channels] = values
    token, k = np.divmod(np.arange(tokens * k_tiles), k_tiles)
    entry = base + token // engine.tt * stride + k
    place = np.stack([np.full_like(k, STORE), entry, token % engine.tt, np.full_like(k, _WHOLE_ENTRY)], axis=1)
    return ActivationWords(place=place.astype(np.int32), lanes=lanes.reshape(-1, tk))


def read_words(
    design: Design, engine: EngineGeometry, words: ActivationWords, shape: tuple[int, int], *, base: int, stride: int
) -> NDArray[np.int8]:
    """``shape`` (tokens, channels) int8 values of a region of the left memory after ``words`` have been stored."""
    f, (tokens, channels) = design.folding, shape
    stored = words.place[:, 0] == STORE
    place, lanes = words.place[stored], words.lanes[stored].reshape(-1, f.tk // f.tc, f.tc)
    memory = np.zeros((engine.left_depth, engine.tt, f.tk // f.tc, f.tc), np.int8)
    whole = place[:, 3] == _WHOLE_ENTRY
    memory[place[whole, 1], place[whole, 2]] = lanes[whole]
    entry, row, group = place[~whole, 1:].T
    memory[entry, row, group] = lanes[~whole, group]
    token, channel = np.arange(tokens)[:, None], np.arange(channels)[None, :]
    entry = base + token // engine.tt * stride + channel // f.tk
    return memory[entry, token % engine.tt, channel % f.tk // f.tc, channel % f.tc]


def attention_memory(design: Design) -> NDArray[np.int8]:
    """Empty attention weights of a head: (entries, tt, tk / tc, tc)."""
    f = design.folding
    return np.zeros((design.attention_depth, design.nsa.tt, f.tk // f.tc, f.tc), np.int8)


def get_attention(memory: NDArray[np.int8], design: Design, tokens: int) -> NDArray[np.int8]:
    """(tokens, tokens) int8 attention weights."""
    f, token, key = design.folding, np.arange(tokens)[:, None], np.arange(tokens)[None, :]
    entry = token // design.nsa.tt * design.key_tiles + key // f.tk
    return memory[entry, token % design.nsa.tt, key % f.tk // f.tc, key % f.tc]


def residual_memory(design: Design, values: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """A residual memory (rows, tr, tc) that holds ``values`` (tokens, channels) int16, or zeros."""
    f = design.folding
    memory = np.zeros((design.residual_depth, f.tr, f.tc), np.int16)
    if values is not None:
        padded = np.zeros((design.residual_groups * f.tr, design.channel_tiles * f.tc), np.int16)
        padded[: len(values), : values.shape[1]] = values
        words = padded.reshape(-1, f.tr, design.channel_tiles, f.tc).transpose(0, 2, 1, 3)
        memory[design.residual_base :] = words.reshape(-1, f.tr, f.tc)
    return memory


def get_residual(memory: NDArray[np.int16], design: Design) -> NDArray[np.int16]:
    """(tokens, padded channels) int16 of a residual memory."""
    f = design.folding
    words = memory[design.residual_base :].reshape(-1, design.channel_tiles, f.tr, f.tc).transpose(0, 2, 1, 3)
    return words.reshape(design.residual_groups * f.tr, -1)[: design.shape.seq_len]


def get_spare(memory: NDArray[np.int16], design: Design) -> NDArray[np.int16]:
    """(padded channels,) int16 of the spare row of a residual memory."""
    return memory[: design.residual_base, 0].reshape(-1)


def set_spare(memory: NDArray[np.int16], design: Design, values: NDArray[np.int16]) -> None:
    """Puts ``values`` (channels,) into the spare row."""
    padded = np.zeros(design.residual_base * design.folding.tc, np.int16)
    padded[: len(values)] = values
    memory[: design.residual_base, 0] = padded.reshape(-1, design.folding.tc)
