# SPDX-License-Identifier: Apache-2.0
"""The configuration struct of each engine in hw_config.hpp: its folding, memories and loop bounds."""

from __future__ import annotations

from dataclasses import dataclass

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry, ceil_div

DSP_POLICY = {"dsp48e1": "Dsp48e1", "dsp48e2": "Dsp48e2"}


@dataclass(frozen=True, kw_only=True)
class ConstantField:
    """One `static constexpr int` of an engine, with its trailing comment."""

    name: str
    value: int
    comment: str


@dataclass(frozen=True, kw_only=True)
class EngineContext:
    """One engine's configuration struct."""

    name: str
    title: str
    dsp: str
    has_attention: str  # C++ literal
    fields: list[ConstantField]


def constants(values: list[tuple[str, int, str]]) -> list[ConstantField]:
    """Of names, values and comments, which may be empty."""
    return [
        ConstantField(name=name, value=value, comment=f"  // {text}" if text else "") for name, value, text in values
    ]


def _common_fields(design: Design, engine: EngineGeometry) -> list[tuple[str, int, str]]:
    f, shape = design.folding, design.shape
    words = shape.seq_len * design.channel_tiles
    table = design.residual_groups * f.tr * design.channel_tiles
    loads = shape.seq_len * design.patch.k_tiles
    return [
        ("tt", engine.tt, "tokens a cycle"),
        ("tc", f.tc, "output columns a cycle"),
        ("tk", f.tk, "reduction lanes a cycle = DSP cascade"),
        ("td", engine.td, "tokens drained a cycle"),
        ("groups", f.tk // f.tc, "column tiles in an activation entry"),
        ("drain_groups", engine.drain_groups, "cycles to drain a token tile"),
        ("beat_bits", design.axi_bits, "m_axi width"),
        ("beat_bytes", design.beat_bytes, ""),
        ("word_bits", design.word_bits, "tk activations and their address"),
        ("sparse", f.sparse, "1: 2:4 weights too, two k tiles a step"),
        ("left_parts", design.left_parts, "memories that entries go to by turns"),
        ("left_depth", ceil_div(engine.left_depth, design.left_parts), "entries: layer norm, inner activations, spare"),
        ("residual_depth", design.residual_depth, "rows of tr tokens, tc int16 each"),
        ("tr", f.tr, "tokens added to the residual a cycle"),
        ("lane_banks", f.lane_banks, "1: each lane of the residual has an address of its own"),
        ("channel_tiles", design.channel_tiles, "column tiles of the residual stream"),
        ("norm_words", words, "residual words of layer norm"),
        ("norm_out_words", words + shape.seq_len, "the same with the extra cycle of a token"),
        ("table_beats", table * ceil_div(2 * f.tc, design.beat_bytes), "class token and position table"),
        ("image_beats", design.image_beats, ""),
        ("image_words", loads, ""),
        ("max_arrivals", loads + words, "words from layer norm in a step"),
        ("score_bits", 16 * design.nsa.td * f.tc, "scores of a drain group"),
    ]


def _tile_beats(design: Design, k_tiles: int) -> int:
    return design.fc1.param_beats + k_tiles * (design.fc1.word_beats + design.folding.sparse)


def _job_cycles(design: Design, engine: EngineGeometry, k_tiles: int, columns: int) -> int:
    """Upper bound of a job's cycles, for the tool's latency report."""
    steps = max(k_tiles, engine.tt)
    return columns * max(engine.token_tiles * steps, _tile_beats(design, k_tiles)) + engine.tt


def nsa_context(design: Design) -> EngineContext:
    """Constants of the norm + self-attention engine."""
    engine = design.nsa
    values = _common_fields(design, engine) + [
        ("max_k_tiles", design.max_k_tiles_nsa, "of a weight column tile"),
        ("max_tile_beats", _tile_beats(design, design.max_k_tiles_nsa), ""),
        ("max_job_cycles", _job_cycles(design, engine, design.max_k_tiles_nsa, design.qkv.column_tiles), ""),
        ("key_tiles", design.key_tiles, "k tiles over the keys"),
        ("key_columns", design.key_columns, "column tiles over the keys"),
        ("key_banks", design.key_banks, ""),
        ("key_depth", design.key_depth, ""),
        ("value_banks", design.value_banks, ""),
        ("value_depth", design.value_depth, ""),
        ("attention_depth", design.attention_depth, "entries of attention weights of a head"),
        ("reciprocal_depth", engine.token_tiles * engine.drain_groups, "drain groups of a head"),
        ("softmax_cycles", (engine.token_tiles + 2) * max(design.key_columns * engine.drain_groups, engine.tt), ""),
        ("max_slots", design.shape.num_heads + 1, ""),
        ("resident_entries", design.folding.resident_nsa, "of the store of what its stream repeats"),
    ]
    return _engine(design, "Nsa", "Norm + self-attention engine.", True, values)


def nmp_context(design: Design) -> EngineContext:
    """Constants of the norm + MLP engine."""
    engine = design.nmp
    columns = max(design.fc1.column_tiles, design.fc2.column_tiles)
    values = _common_fields(design, engine) + [
        ("max_k_tiles", design.max_k_tiles_nmp, "of a weight column tile"),
        ("max_tile_beats", _tile_beats(design, design.max_k_tiles_nmp), ""),
        ("max_job_cycles", _job_cycles(design, engine, design.max_k_tiles_nmp, columns), ""),
        ("key_tiles", 1, "no attention here: the smallest memories that compile"),
        ("key_columns", 1, ""),
        ("key_banks", design.key_banks, ""),
        ("key_depth", 1, ""),
        ("value_banks", design.value_banks, ""),
        ("value_depth", 1, ""),
        ("attention_depth", 1, ""),
        ("reciprocal_depth", 1, ""),
        ("resident_entries", design.folding.resident_nmp, "of the store of what its stream repeats"),
    ]
    return _engine(design, "Nmp", "Norm + MLP engine.", False, values)


def _engine(
    design: Design, name: str, title: str, has_attention: bool, values: list[tuple[str, int, str]]
) -> EngineContext:
    return EngineContext(
        name=name,
        title=title,
        dsp=DSP_POLICY[design.board.dsp_family],
        has_attention="true" if has_attention else "false",
        fields=constants(values),
    )
