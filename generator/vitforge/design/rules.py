# SPDX-License-Identifier: Apache-2.0
"""What the kernels ask of a folding and of a model, and the sentence for each rule that is broken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields

from vitforge.boards import Board
from vitforge.design.design import Design, Folding
from vitforge.design.resident import MOST_ENTRIES, can_stay
from vitforge.errors import CapacityError, ConfigError
from vitforge.model.vit import ViTShape

PACKING_DEPTH = {"dsp48e1": 4, "dsp48e2": 8}  # products that a DSP cascade sums in pairs (`kernels`, dsp_pack)
MAX_SEQ_LEN = MAX_EMBED_DIM = 1024  # widths of layer norm and softmax sums
MIN_DRAIN = 4  # values that leave an array in a cycle
MAX_DRAIN = 256  # td * tc: a word of drained scores has 16 bits each and at most 4096
_SMALLEST = {"tt_nsa": 4, "tt_nmp": 4, "tc": 4, "tk": 4, "td_nsa": 2, "td_nmp": 2, "mlp_slices": 1, "tr": 1}
_STORES = ("resident_nsa", "resident_nmp")
_FLAGS = ("embed_nsa", "lane_banks", "sparse")
RESIDUAL_TOKENS = (1, 2, 4, 8)  # that an array may add to the residual in a cycle
FIELD_LIMIT = 1 << 16  # descriptors count and address in 16 bits
WORD_LIMIT = 1 << 9  # and words of the residual in 9


def divisors(value: int) -> list[int]:
    """Divisors of ``value``, ascending."""
    return [d for d in range(1, value + 1) if value % d == 0]


def lane_choices(board: Board) -> Iterator[tuple[int, int]]:
    """(tk, tc): a cascade within the packing depth, and weight words of whole beats."""
    for tk in divisors(PACKING_DEPTH[board.dsp_family]):
        for tc in divisors(tk):
            if tc * tk % (board.axi_bits // 8) == 0:
                yield tk, tc


def drain_is_legal(td: int, tc: int) -> bool:
    """Whether td tokens of tc columns may leave the array in a cycle."""
    return MIN_DRAIN <= td * tc <= MAX_DRAIN


def check_shape(shape: ViTShape, board: Board) -> None:
    """Raises CapacityError for what no folding can hold on ``board``."""
    if board.dsp_family not in PACKING_DEPTH:
        raise CapacityError(f"{board.title} has {board.dsp_family} DSPs, which no kernel packs yet")
    if shape.seq_len > MAX_SEQ_LEN:
        raise CapacityError(f"the model has {shape.seq_len} tokens; softmax sums hold at most {MAX_SEQ_LEN}")
    if shape.embed_dim > MAX_EMBED_DIM:
        raise CapacityError(f"the model is {shape.embed_dim} wide; layer-norm sums hold at most {MAX_EMBED_DIM}")
    longest = max(shape.patch_len, shape.hidden_dim, shape.num_classes)
    if longest > FIELD_LIMIT // 4:
        raise CapacityError(f"a layer of the model has {longest} channels; job descriptors count to {FIELD_LIMIT // 4}")


def largest_field(design: Design) -> tuple[int, str]:
    """(largest number that a descriptor of ``design`` must hold, what it is)."""
    layers = (design.patch, design.qkv, design.proj, design.fc1, design.fc2, design.head)
    numbers = [
        ((design.mlp_parts[-1].first_token + 2) * design.channel_tiles, "residual memory"),
        (design.nsa.left_depth, "left memory of attention"),
        (design.nmp.left_depth, "left memory of the MLP"),
        (max(layer.column_tiles for layer in layers), "column tiles of a layer"),
        (max(layer.k_tiles for layer in layers), "k tiles of a layer"),
    ]
    return max(numbers)


def descriptors_fit(design: Design) -> bool:
    """Whether descriptors can address the memories of ``design``."""
    return largest_field(design)[0] < FIELD_LIMIT and design.channel_tiles <= WORD_LIMIT


def _nearest(values: list[int], wanted: int) -> int:
    return min(values, key=lambda value: (abs(value - wanted), value))


def _check_lanes(board: Board, overrides: Mapping[str, int]) -> list[int]:
    """Values of tc that the overrides leave."""
    depth, beat = PACKING_DEPTH[board.dsp_family], board.axi_bits // 8
    tk, tc = overrides.get("tk"), overrides.get("tc")
    pairs = list(lane_choices(board))
    legal_tk = sorted({pair[0] for pair in pairs})
    if tk is not None and depth % tk:
        raise ConfigError(
            f"folding.tk = {tk} must divide {depth}, the packing depth of {board.dsp_family}; "
            f"try {_nearest(legal_tk, tk)}"
        )
    if tk is not None and tk not in legal_tk:
        raise ConfigError(
            f"folding.tk = {tk} cannot make weight words that are a multiple of {beat} bytes, a DDR beat; "
            f"try {_nearest(legal_tk, tk)}"
        )
    legal_tc = sorted({pair[1] for pair in pairs if tk is None or pair[0] == tk})
    if tc is None:
        return legal_tc
    if (tk or depth) % tc:
        raise ConfigError(f"folding.tc = {tc} must divide tk = {tk or depth}; try {_nearest(legal_tc, tc)}")
    if tc not in legal_tc:
        product = f"tc * tk = {tc * tk}" if tk else f"tc = {tc} times any tk up to {depth}"
        raise ConfigError(
            f"folding.{product} must be a multiple of {beat}, the bytes of a DDR beat; "
            f"try tc = {_nearest(legal_tc, tc)}"
        )
    return [tc]


def _check_drain(legal_tc: list[int], overrides: Mapping[str, int]) -> None:
    for name in ("td_nsa", "td_nmp"):
        td = overrides.get(name)
        if td is not None and not any(drain_is_legal(td, tc) for tc in legal_tc):
            lowest, highest = -(-MIN_DRAIN // max(legal_tc)), MAX_DRAIN // min(legal_tc)
            raise ConfigError(
                f"folding.{name} = {td} times tc must be {MIN_DRAIN} to {MAX_DRAIN} drained values; "
                f"try {min(max(td, lowest), highest)}"
            )


def _check_tokens(overrides: Mapping[str, int]) -> None:
    for engine in ("nsa", "nmp"):
        name, unit = f"tt_{engine}", f"td_{engine}"
        value, step = overrides.get(name), overrides.get(unit, 1)
        if value is not None and (value % 2 or value % step):
            rule = f"even and a multiple of {unit} = {step}" if step > 1 else "even, for two tokens share a DSP"
            whole = math.lcm(2, step)
            raise ConfigError(f"folding.{name} = {value} must be {rule}; try {max(1, round(value / whole)) * whole}")


def _check_store(board: Board, name: str, value: int) -> None:
    if not 0 <= value <= MOST_ENTRIES:
        raise ConfigError(f"folding.{name} = {value} must be 0 to {MOST_ENTRIES:,} beats; try 0, or leave it out")
    if value and not can_stay(board):
        raise ConfigError(f"folding.{name} = {value} needs URAM and ports of 128 bits, not {board.title}; try 0")


def check_overrides(board: Board, overrides: Mapping[str, int]) -> None:
    """Raises ConfigError for folding values that break a rule, with the nearest value that keeps it."""
    names = [field.name for field in fields(Folding)]
    for name, value in overrides.items():
        if name not in names:
            raise ConfigError(f"folding has no value {name!r}; there are {', '.join(names)}")
        if name in _FLAGS:
            if value not in (0, 1):
                raise ConfigError(f"folding.{name} = {value} must be 0 or 1; try 0")
        elif name in _STORES:
            _check_store(board, name, value)
        elif name == "tr" and value not in RESIDUAL_TOKENS:
            nearest = _nearest(list(RESIDUAL_TOKENS), value)
            raise ConfigError(f"folding.tr = {value} must be 1, 2, 4 or 8 tokens; try {nearest}")
        elif value < 1:
            raise ConfigError(f"folding.{name} = {value} must be positive; try {_SMALLEST[name]}")
    _check_drain(_check_lanes(board, overrides), overrides)
    _check_tokens(overrides)
    for name in ("td_nsa", "td_nmp"):
        if overrides.get(name, 0) % overrides.get("tr", 1):
            raise ConfigError(
                f"folding.tr = {overrides['tr']} must divide {name} = {overrides[name]}, the tokens that leave in a "
                "cycle; try 1"
            )


def check_embedding(shape: ViTShape, overrides: Mapping[str, int]) -> None:
    """Raises ConfigError if the attention array is to embed patches but never has time for it."""
    if overrides.get("embed_nsa") and not shape.num_classes:
        raise ConfigError(
            "folding.embed_nsa = 1 needs a class head: without one the last block takes all tokens, and the attention "
            "array has no time for patches; try 0"
        )
