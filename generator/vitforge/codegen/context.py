# SPDX-License-Identifier: Apache-2.0
"""One frozen dataclass a template: every number that a generated file states, read from `Design`."""

from __future__ import annotations

from dataclasses import dataclass

from vitforge.codegen.engines import EngineContext, nmp_context, nsa_context
from vitforge.codegen.identity import IdentityContext, namespace
from vitforge.design.design import Design
from vitforge.design.exp_tables import EXP_FRACTION_BITS, EXP_RANGE, EXP_SHIFT, exp_tables
from vitforge.design.identity import FORMAT_VERSION, MAGIC, design_hash
from vitforge.design.loops import BURST_BEATS, OUTSTANDING
from vitforge.design.memories import (
    COMMAND_BITS,
    FETCH_FIFO_BEATS,
    MERGE_BITS,
    RESIDENT_FIFO_BEATS,
    RESIDENT_FIFO_ENTRIES,
)
from vitforge.design.registers import ARGUMENTS, TOP_NAME


def namespace_of(design: Design) -> str:
    """C++ namespace of the project."""
    return namespace(design.name, design_hash(design))


@dataclass(frozen=True, kw_only=True)
class TablesContext:
    """exp_tables.hpp"""

    high: list[int]
    low: list[int]
    range: int
    shift: int
    fraction_bits: int

    @classmethod
    def build(cls) -> TablesContext:
        high, low = exp_tables()
        return cls(
            high=[int(v) for v in high],
            low=[int(v) for v in low],
            range=EXP_RANGE,
            shift=EXP_SHIFT,
            fraction_bits=EXP_FRACTION_BITS,
        )


@dataclass(frozen=True, kw_only=True)
class ModelContext:
    """model_config.hpp"""

    identity: IdentityContext
    seq_len: int
    embed_dim: int
    depth: int
    num_heads: int
    head_dim: int
    hidden_dim: int
    patch_len: int
    num_classes: int

    @classmethod
    def build(cls, design: Design) -> ModelContext:
        shape = design.shape
        return cls(
            identity=IdentityContext.build(design.name, design_hash(design), MAGIC, FORMAT_VERSION),
            seq_len=shape.seq_len,
            embed_dim=shape.embed_dim,
            depth=shape.depth,
            num_heads=shape.num_heads,
            head_dim=shape.head_dim,
            hidden_dim=shape.hidden_dim,
            patch_len=shape.patch_len,
            num_classes=shape.num_classes,
        )


@dataclass(frozen=True, kw_only=True)
class NormContext:
    """norm_step.hpp"""

    fifo_depth: int
    tokens: int
    token_words: int

    @classmethod
    def build(cls, design: Design) -> NormContext:
        return cls(fifo_depth=design.norm_fifo_depth, tokens=design.norm_tokens, token_words=design.channel_tiles)


@dataclass(frozen=True, kw_only=True)
class TypesContext:
    """types.hpp"""

    namespace: str
    beat_bits: int
    logit_word_bits: int
    command_bits: int
    merge_bits: int
    entry_bits: int
    widest: int  # widest ap_uint of the design

    @classmethod
    def build(cls, design: Design) -> TypesContext:
        f = design.folding
        widest = max(16 * f.td_nsa * f.tc, 32 * f.tc, design.word_bits, 1024)
        return cls(
            namespace=namespace_of(design),
            beat_bits=design.axi_bits,
            logit_word_bits=32 * f.tc,
            command_bits=COMMAND_BITS,
            merge_bits=MERGE_BITS,
            entry_bits=design.entry_bits,
            widest=widest,
        )


@dataclass(frozen=True, kw_only=True)
class HwContext:
    """hw_config.hpp"""

    namespace: str
    engines: list[EngineContext]
    result_tiles: int
    list_depth: int
    blob_depth: int
    image_depth: int
    logit_depth: int

    @classmethod
    def build(cls, design: Design, extent: Extent) -> HwContext:
        return cls(
            namespace=namespace_of(design),
            engines=[nsa_context(design), nmp_context(design)],
            result_tiles=design.result_tiles,
            list_depth=extent.list_beats,
            blob_depth=extent.blob_beats,
            image_depth=extent.images * design.image_beats,
            logit_depth=extent.images * design.result_words,
        )


@dataclass(frozen=True, kw_only=True)
class Extent:
    """DDR buffers of the test bench: what cosimulation has to know of the m_axi ports."""

    images: int
    n_steps: int
    list_beats: int  # longest of the four chunk lists
    blob_beats: int


@dataclass(frozen=True, kw_only=True)
class Port:
    """An m_axi argument of the top."""

    name: str
    declaration: str
    bundle: str
    depth: int
    options: str
    element: str  # C++ type of an element
    untyped: str  # the same as void, for the flat C interface


@dataclass(frozen=True, kw_only=True)
class TestBenchContext:
    """What the test bench runs."""

    images: int
    n_steps: int
    lists: list[str]

    @classmethod
    def build(cls, extent: Extent) -> TestBenchContext:
        lists = [a.name for a in ARGUMENTS if a.name.startswith("list_")]
        return cls(images=extent.images, n_steps=extent.n_steps, lists=lists)


@dataclass(frozen=True, kw_only=True)
class StreamContext:
    """A stream between the top's processes."""

    name: str
    type: str
    depth: int


@dataclass(frozen=True, kw_only=True)
class FetcherContext:
    """The fetcher of a unit."""

    name: str  # of the unit
    engine: str  # whose resident store it fills; none: ""
    loads_images: bool


@dataclass(frozen=True, kw_only=True)
class TopContext:
    """The top function."""

    title: str
    name: str
    namespace: str
    beat_bits: int
    ports: list[Port]
    scalars: list[str]
    units: list[FetcherContext]
    streams: list[StreamContext]

    @classmethod
    def build(cls, design: Design, extent: Extent) -> TopContext:
        hw = HwContext.build(design, extent)
        pointers = [a for a in ARGUMENTS if a.kind == "ptr"]
        loader = "ln1" if design.folding.embed_nsa else "ln2"
        engines = {unit: f"design::{unit.title()}" for unit, entries in design.resident_entries.items() if entries}
        units = [
            FetcherContext(name=unit, engine=engines.get(unit, ""), loads_images=unit == loader)
            for unit in ("ln1", "nsa", "ln2", "nmp")
        ]
        streams = [stream for unit in units for stream in _fetch_streams(unit)]
        streams.append(StreamContext(name="logit_words", type="logit_word_t", depth=4))
        return cls(
            title=f"{design.name}: Vision Transformer accelerator for {design.board.title}",
            name=TOP_NAME,
            namespace=namespace_of(design),
            beat_bits=design.axi_bits,
            ports=[_port(argument.name, argument.bundle, hw) for argument in pointers],
            scalars=[a.name for a in ARGUMENTS if a.kind != "ptr"],
            units=units,
            streams=streams,
        )


def _fetch_streams(unit: FetcherContext) -> list[StreamContext]:
    """From DDR to a unit. The first FIFO of its beats covers the latency of DDR."""
    if not unit.engine:
        return [StreamContext(name=f"{unit.name}_beats", type="beat_t", depth=FETCH_FIFO_BEATS)]
    kinds = (
        ("commands", "command_t", 4),
        ("kept", "beat_t", RESIDENT_FIFO_BEATS),
        ("words", "beat_t", FETCH_FIFO_BEATS),
        ("merges", "merge_t", 4),
        ("entries", "entry_t", RESIDENT_FIFO_ENTRIES),
        ("beats", "beat_t", RESIDENT_FIFO_BEATS),
    )
    return [StreamContext(name=f"{unit.name}_{name}", type=kind, depth=depth) for name, kind, depth in kinds]


def _port(name: str, bundle: str, hw: HwContext) -> Port:
    reads = f"max_read_burst_length={BURST_BEATS} num_read_outstanding={OUTSTANDING}"
    if name == "logits":
        return Port(
            name=name,
            declaration=f"int {name}[design::logit_depth]",
            bundle=bundle,
            depth=hw.logit_depth,
            options="max_write_burst_length=16",
            element="int",
            untyped="void",
        )
    prefix = "list" if name.startswith("list_") else "blob" if name.startswith("blob_") else "image"
    depths = {"list": hw.list_depth, "blob": hw.blob_depth, "image": hw.image_depth}
    return Port(
        name=name,
        declaration=f"const design::beat_t {name}[design::{prefix}_depth]",
        bundle=bundle,
        depth=depths[prefix],
        options=reads,
        element="const design::beat_t",
        untyped="const void",
    )
