# SPDX-License-Identifier: Apache-2.0
"""Tensors to and from the on-chip memory layouts of the kernels (`docs/architecture.md`, Memories)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry


def activation_memory(engine: EngineGeometry, depth: int) -> NDArray[np.int8]:
    """An empty XN or scratch memory: (depth, tt, tk / tc, tc)."""
    groups = engine.folding_tk // engine.folding_tc
    return np.zeros((depth, engine.tt, groups, engine.folding_tc), np.int8)


def _activation_index(engine: EngineGeometry, tokens: int, channels: int, base: int, stride: int) -> tuple:
    token = np.arange(tokens)[:, None]
    channel = np.arange(channels)[None, :]
    tk, tc = engine.folding_tk, engine.folding_tc
    entry = base + token // engine.tt * stride + channel // tk
    return entry, token % engine.tt, channel % tk // tc, channel % tc


def put_activations(memory: NDArray, engine: EngineGeometry, values: NDArray, *, base: int, stride: int) -> None:
    """Writes ``values`` (tokens, channels) int8 into an activation memory, in place."""
    memory[_activation_index(engine, values.shape[0], values.shape[1], base, stride)] = values


def get_activations(
    memory: NDArray, engine: EngineGeometry, tokens: int, channels: int, *, base: int, stride: int
) -> NDArray:
    """(tokens, channels) int8 out of an activation memory."""
    return memory[_activation_index(engine, tokens, channels, base, stride)]


def token_memory(design: Design, depth: int) -> NDArray[np.int16]:
    """An empty residual or branch memory: (depth, td, tc)."""
    return np.zeros((depth, design.folding.td, design.folding.tc), np.int16)


def _token_index(design: Design, tokens: int, channels: int, base: int) -> tuple:
    token = np.arange(tokens)[:, None]
    channel = np.arange(channels)[None, :]
    td, tc = design.folding.td, design.folding.tc
    return base + token // td * design.channel_tiles + channel // tc, token % td, channel % tc


def put_tokens(memory: NDArray, design: Design, values: NDArray, *, base: int = 0) -> None:
    """Writes ``values`` (tokens, channels) int16 into a residual or branch memory, in place."""
    memory[_token_index(design, values.shape[0], values.shape[1], base)] = values


def get_tokens(memory: NDArray, design: Design, tokens: int, channels: int, *, base: int = 0) -> NDArray:
    """(tokens, channels) int16 out of a residual or branch memory."""
    return memory[_token_index(design, tokens, channels, base)]
