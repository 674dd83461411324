# SPDX-License-Identifier: Apache-2.0
"""The closed form against the streams that the hardware reads and the schedule that the host writes."""

from __future__ import annotations

import dataclasses
import struct
import time

import pytest

from kernels.designs import DESIGNS
from kernels.support import quant_model
from vitforge.boards import load_board
from vitforge.design.design import Design, Folding
from vitforge.design.fit import fit
from vitforge.design.geometry import EngineGeometry
from vitforge.model.vit import ViTShape
from vitforge.quantize.blob import build_sections
from vitforge.timing.estimate import (
    ARRAY_DEPTH,
    DDR_LATENCY,
    GELU_BEAT_CYCLES,
    SLOT_OVERHEAD,
    SOFTMAX_DEPTH,
    STEP_OVERHEAD,
    UnitCosts,
    estimate,
    steady_steps,
    unit_costs,
)
from vitforge_host.schedule import IMAGE, schedule

SHORT = ViTShape(
    image_size=(20, 20), channels=1, patch_size=4, embed_dim=24, depth=1, num_heads=2, hidden_dim=48, num_classes=5
)
# Softmax slower than the array: more tokens in a tile than scores in a row of drained words.
SLOW_SOFTMAX = Design(
    name="slow-softmax",
    board=load_board("zcu104"),
    shape=SHORT,
    folding=Folding(tt_nsa=32, tt_nmp=32, tc=8, tk=8, td=8, lt=1),
    clock_mhz=300.0,
)
ALL = {**DESIGNS, "slow-softmax": SLOW_SOFTMAX}


def job_cycles(design: Design, engine: EngineGeometry, words: tuple[int, ...]) -> tuple[int, int, int]:
    """(operation, bytes that follow the header, cycles) of a job, as `array_job.hpp` counts its loop."""
    f, beat = design.folding, design.beat_bytes
    op, gelu = words[0] & 0xFF, words[0] >> 16 & 1
    k_tiles, columns, tiles = words[1] & 0xFFFF, words[1] >> 16, words[2] & 0xFFFF
    tile_beats = 1 + -(-f.tc * 8 // beat) + k_tiles * f.tc * f.tk // beat
    linear = op == 1
    outer, inner = (columns, tiles) if linear else (tiles, columns)
    work = inner * max(k_tiles, engine.drain_groups)
    period = max(work, tile_beats) if linear else work
    cycles = 32 // beat + (outer - 1) * period + work + engine.drain_groups + ARRAY_DEPTH
    cycles += (tile_beats if linear else 0) + gelu * 256 // beat * GELU_BEAT_CYCLES
    return op, gelu * 256 + (columns * tile_beats * beat if linear else 0), cycles


def section_cycles(design: Design, engine: EngineGeometry, data: bytes) -> int:
    """Cycles of an array's section: in each slot softmax starts with the scores and may outlast the array."""
    period = max(design.key_columns * engine.drain_groups, engine.tt)
    at = cycles = 0
    start = softmax = 0
    while at < len(data):
        op, size, took = job_cycles(design, engine, struct.unpack_from("<8I", data, at))
        at += 32 + size
        if op == 0:
            cycles = max(cycles, softmax) + SLOT_OVERHEAD
            softmax = 0
        elif op == 2:
            start = cycles
            cycles += max(took, engine.token_tiles * period)  # the array waits for a slower softmax
            softmax = max(cycles + 2 * period, start + (engine.token_tiles + 2) * period) + SOFTMAX_DEPTH
        else:
            cycles += took
    return max(cycles, softmax)


@pytest.mark.parametrize("name", sorted(ALL))
def test_array_parts_take_what_their_streams_say(name: str) -> None:
    design = ALL[name]
    sections = build_sections(design, quant_model(design, "random"))
    costs = unit_costs(design)
    assert section_cycles(design, design.nsa, sections["nsa.0"]) + SLOT_OVERHEAD == costs.nsa  # the last END is apart
    assert section_cycles(design, design.nsa, sections["nsa.head"]) == costs.nsa_head
    assert section_cycles(design, design.nmp, sections["nmp.0"]) == costs.nmp
    assert section_cycles(design, design.nmp, sections["nmp.embed"]) == costs.nmp_embed


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_part_is_faster_than_its_beats(name: str) -> None:
    design = ALL[name]
    sections = build_sections(design, quant_model(design, "random"))
    costs, last = unit_costs(design), design.shape.depth - 1
    beats = {section: len(data) // design.beat_bytes for section, data in sections.items()}
    assert costs.ln1_first >= beats["ln1.0"] and costs.ln1_final >= beats["ln1.final"]
    assert costs.ln2 >= beats[f"ln2.{last}"] and costs.ln2_load >= design.image_beats
    assert costs.nsa >= beats["nsa.0"] and costs.nmp >= beats["nmp.0"]
    assert costs.nmp_embed >= beats["nmp.embed"] and costs.nsa_head >= beats["nsa.head"]


def batch_cycles(costs: UnitCosts, images: int, depth: int) -> int:
    """Cycles of a batch, step by step, along the schedule that the host writes."""
    cost_of = {"ln1.0": costs.ln1_first, "ln1.final": costs.ln1_final, "nsa.head": costs.nsa_head}
    cost_of |= {"ln2.load": costs.ln2_load, "nmp.embed": costs.nmp_embed, IMAGE: 0}
    total = 0
    for step in schedule(images, depth):
        loads = [
            sum(cost_of.get(name, getattr(costs, name.split(".")[0], 0)) for name, _ in getattr(step, unit))
            for unit in ("ln1", "nsa", "ln2", "nmp")
        ]
        total += max(loads) + STEP_OVERHEAD + DDR_LATENCY
    return total


@pytest.mark.parametrize("name", sorted(ALL))
def test_steady_state_and_latency_follow_the_schedule(name: str) -> None:
    design = ALL[name]
    costs, depth = unit_costs(design), design.shape.depth
    timing = estimate(design)
    gained = batch_cycles(costs, 32, depth) - batch_cycles(costs, 16, depth)
    assert timing.cycles_per_image == pytest.approx(gained / 16, abs=0.5)
    assert timing.latency_cycles == batch_cycles(costs, 1, depth)
    assert len(steady_steps(costs, depth)) == 4 * depth


def test_a_slow_memory_is_the_limit() -> None:
    design = dataclasses.replace(DESIGNS["even"], board=dataclasses.replace(load_board("zcu104"), ddr_gbps=0.001))
    slow, fast = estimate(design), estimate(DESIGNS["even"])
    assert slow.limited_by == "ddr" and fast.limited_by != "ddr"
    assert slow.cycles_per_image > fast.cycles_per_image
    assert all(0 < slow.busy[unit] < fast.busy[unit] for unit in slow.busy)


def test_fractions_are_fractions() -> None:
    for design in ALL.values():
        timing = estimate(design)
        assert all(0 < value < 1 for value in [*timing.busy.values(), *timing.array_efficiency.values()])
        assert 0 < timing.engine_balance <= 1


def test_an_estimate_takes_less_than_a_tenth_of_a_second() -> None:
    design = fit(SHORT, load_board("zcu104")).design
    start = time.perf_counter()
    estimate(design)
    assert time.perf_counter() - start < 0.1
