# SPDX-License-Identifier: Apache-2.0
"""Cycles of an array's section, read from its bytes as `array_job.hpp` and `softmax.hpp` count their loops."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vitforge.design.design import Design
from vitforge.design.geometry import EngineGeometry
from vitforge.design.loops import CALL_CYCLES, LOOPS


def loop(label: str, iterations: int) -> int:
    return (iterations - 1) * LOOPS[label].interval + LOOPS[label].depth


@dataclass
class Job:
    """A job of a section, as `array_job.hpp` counts its loops."""

    op: int
    bytes: int  # that follow the header
    cycles: int  # without the header
    products: int  # cycles in which the array multiplies
    token_tiles: int


def read_job(design: Design, engine: EngineGeometry, words: tuple[int, ...]) -> Job:
    f, beat = design.folding, design.beat_bytes
    op, gelu, has_first = words[0] & 0xFF, words[0] >> 8 & 1, words[0] >> 15 & 1
    sparse, next_sparse = words[0] >> 18 & 1, words[0] >> 19 & 1
    k_tiles, columns, tiles = words[1] & 0xFFFF, words[1] >> 16, words[2] & 0xFFFF

    def beats_of(k_tiles: int, sparse: int = sparse) -> int:
        return -(-(8 + f.tc) // beat) + -(-f.tc * 8 // beat) + k_tiles * (f.tc * f.tk // beat + sparse)

    linear = op == 1
    drains = words[6] >> 16 if linear else engine.drain_groups
    following = beats_of(words[7] & 0xFFFF, next_sparse) if linear and words[7] & 0xFFFF else 0
    outer, inner = (columns, tiles) if linear else (tiles, columns)
    work = inner * max(k_tiles, drains)
    period = max(work, beats_of(k_tiles)) if linear else work
    cycles = loop("array_cycle", (outer - 1) * period + max(work + drains, following)) if op else 0
    size = 0
    if linear:
        cycles += 0 if has_first else loop("first_tile_beat", beats_of(k_tiles))
        cycles += loop("gelu_beat", 256 // beat) if gelu else 0
        size = 256 * gelu + beat * ((columns - has_first) * beats_of(k_tiles) + following)
    return Job(op, size, cycles, columns * tiles * k_tiles if op else 0, tiles)


def section_cost(design: Design, engine: EngineGeometry, *parts: bytes) -> tuple[int, int]:
    """(cycles, multiplying cycles) of an array's section: softmax starts with a slot's scores and may outlast them."""
    period = max(design.key_columns * engine.drain_groups, engine.tt)
    header = loop("header_beat", 32 // design.beat_bytes)
    data = b"".join(parts)
    at = cycles = products = softmax = 0
    while at < len(data):
        job = read_job(design, engine, struct.unpack_from("<8I", data, at))
        at += 32 + job.bytes
        products += job.products
        cycles += header + job.cycles
        if job.op == 2:
            start = cycles - job.cycles - header
            cycles = max(cycles, start + job.token_tiles * period)  # the array waits for a slower softmax
            softmax = cycles + 2 * period + LOOPS["softmax_cycle"].depth
        elif job.op == 0:
            cycles, softmax = max(cycles, softmax) + 2 * CALL_CYCLES, 0
    return cycles, products
