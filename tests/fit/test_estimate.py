# SPDX-License-Identifier: Apache-2.0
"""The closed form against the streams that the hardware reads and the schedule that the host writes."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from fit.stream_cost import section_cost
from kernels.designs import DESIGNS
from kernels.support import quant_model
from vitforge.boards import load_board
from vitforge.design.design import Design, Folding
from vitforge.design.loops import CALL_CYCLES, LOOPS
from vitforge.golden.random_model import random_quant_model
from vitforge.model.deit import deit_shape
from vitforge.model.vit import ViTShape
from vitforge.quantize.blob import build_blob, build_sections
from vitforge.quantize.prune import prune_quantized, prune_two_of_four, random_keep
from vitforge.timing import costs
from vitforge.timing.costs import NOTHING, JobCost
from vitforge.timing.ddr import ddr_bytes
from vitforge.timing.estimate import UNITS, UnitCosts, estimate, step_cycles
from vitforge_host.blob import read_blob
from vitforge_host.schedule import chunk_lists, schedule

SHORT = ViTShape(
    image_size=(20, 20), channels=1, patch_size=4, embed_dim=24, depth=1, num_heads=2, hidden_dim=48, num_classes=5
)
# Softmax slower than the array: more tokens in a tile than scores in a row of drained words.
SLOW_SOFTMAX = Design(
    name="slow-softmax",
    board=load_board("zcu104"),
    shape=SHORT,
    folding=Folding(tt_nsa=32, tt_nmp=32, tc=8, tk=8, td_nsa=8, td_nmp=8),
    clock_mhz=300.0,
)
# Many blocks and classes, so that the class head is spread over steps.
DEEP = dataclasses.replace(
    DESIGNS["ragged"], name="deep", shape=dataclasses.replace(DESIGNS["ragged"].shape, depth=5, num_classes=60)
)
# Two tokens a tile: class heads of two images, each before the next two.
PAIRS = {
    f"pairs-{embeds}": dataclasses.replace(
        DESIGNS["one-head"],
        name=f"pairs-{embeds}",
        shape=dataclasses.replace(DESIGNS["one-head"].shape, depth=4, num_classes=60),
        folding=dataclasses.replace(DESIGNS["one-head"].folding, embed_nsa=embeds),
    )
    for embeds in (0, 1)
}
ALL = {**DESIGNS, **PAIRS, "slow-softmax": SLOW_SOFTMAX, "deep": DEEP}


def embedding_alone(design: Design) -> JobCost:
    """Jobs of the embedding without their waiting: the patches of the first slice have come, the others' have not."""
    waits = sum(part.tokens * design.patch.k_tiles + 1 for part in design.patch_parts[1:])
    cost = costs.patch_embedding(design, 10**9)
    return dataclasses.replace(cost, cycles=cost.cycles - waits)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("name", sorted(ALL))
def test_array_parts_take_what_their_streams_say(name: str, fraction: float, sparse: bool) -> None:
    design, rng = ALL[name], np.random.default_rng(1)
    keep = tuple(random_keep(rng, design.shape, fraction) for _ in range(design.shape.depth))
    model = prune_quantized(quant_model(design, "random"), keep)
    sections = build_sections(design, prune_two_of_four(model) if sparse else model)
    unit = UnitCosts(design, keep, sparse)
    embedder = "nsa" if design.folding.embed_nsa else "nmp"
    found: list[tuple[JobCost, str, list[str]]] = [
        *((cost, "nsa", [f"nsa.{block}"]) for block, cost in enumerate(unit.attentions)),
        *((cost, "nmp", [f"nmp.{block}"]) for block, cost in enumerate(unit.mlps)),
        (embedding_alone(design), embedder, [f"{embedder}.embed"]),
        *((head, "nsa", [f"nsa.head.{i}.1", f"nsa.head.{i}"]) for i, head in enumerate(unit.head)),
    ]
    for cost, name, parts in found:
        cycles, products = section_cost(design, getattr(design, name), *(sections[part] for part in parts))
        is_block = parts[0].startswith("nsa.") and parts[0][4:].isdigit()
        ends = 2 * CALL_CYCLES if is_block else 0  # of the last slot: its mark is apart
        assert (cost.cycles, cost.work) == (cycles + ends, products), parts


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_embedding_waits_for_the_patches_that_came_too_late(name: str) -> None:
    design = ALL[name]
    words = [part.tokens * design.patch.k_tiles + 1 for part in design.patch_parts]  # of a slice, and its mark
    none, some = (costs.patch_embedding(design, room).cycles for room in (0, 5))
    assert none - some == 5
    assert none - costs.patch_embedding(design, 10**9).cycles == words[0]  # the later ones come when their turn is
    assert sum(words) - len(words) == design.shape.seq_len * design.patch.k_tiles


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_part_is_faster_than_its_beats(name: str) -> None:
    design = ALL[name]
    sections = build_sections(design, quant_model(design, "random"))
    unit, last = UnitCosts(design), design.shape.depth - 1
    beats = {section: len(data) // design.beat_bytes for section, data in sections.items()}
    second = costs.norm(design, 1) if design.finishes_early else unit.norm
    assert unit.first_norm >= beats["ln1.0"] and unit.final_norm >= beats["ln1.final"]
    assert second >= beats[f"ln2.{last}"] and costs.load(design) >= design.image_beats
    assert unit.attentions[-1].cycles >= beats[f"nsa.{last}"] and unit.mlps[-1].cycles >= beats[f"nmp.{last}"]
    embedder = "nsa" if design.folding.embed_nsa else "nmp"
    assert unit.embedding.cycles >= beats[f"{embedder}.embed"]
    assert all(head.cycles >= beats[f"nsa.head.{i}"] for i, head in enumerate(unit.head))


def test_a_linear_job_counted_by_hand() -> None:
    """FC2 of a slice: a tile of 12 tokens, 8 k tiles of 2 beats; 8 column tiles of 1 + 2 + 16 beats each.

    12 tokens leave one a cycle: 12 cycles a tile, fewer than the 19 of the next weights. The last tile takes 12 and
    its drain another 12, longer than the 11 beats of the FC1 that follows.
    """
    design = DESIGNS["even"]
    cost = costs.linear_job(design, design.nmp, design.fc2, 1, drains=12, next_beats=11, loads=True)
    cycles = 7 * 19 + 12 + 12
    header = 1 + LOOPS["header_beat"].depth
    assert cost == JobCost(cycles=header + cycles - 1 + LOOPS["array_cycle"].depth, work=64, room=cycles - 32)


def test_a_layer_norm_counted_by_hand() -> None:
    """17 tokens of 8 words: a token every 16 cycles, for its deviation takes longer than its 9 cycles of output."""
    design = DESIGNS["even"]
    header, records = 1 + LOOPS["header_beat"].depth, 15 + LOOPS["forward_beat"].depth
    first = 8 + LOOPS["sum_word"].depth + LOOPS["reciprocal_token"].depth
    assert LOOPS["reciprocal_token"].interval == 16
    expected = 2 * header + records + first + 17 * 16 + LOOPS["normalize_word"].depth
    assert costs.norm(design, 17) == expected
    table = 18 * 8 - 1 + LOOPS["table_beat"].depth  # of two tokens at a time
    assert costs.norm(design, 17, table=True) == expected + table


def part_cost(unit: UnitCosts, section: str, room: int) -> JobCost:
    """Of a part of the schedule; ``room`` for patches beside the last block of the image before."""
    design, last = unit.design, unit.design.shape.depth - 1
    early = design.finishes_early
    words = design.shape.seq_len * design.channel_tiles
    name, *rest = section.split(".")
    if section.startswith("nsa.head."):
        return unit.head[int(rest[1])] if len(rest) == 3 else NOTHING
    if rest[:1] == ["final"]:
        return JobCost(cycles=unit.final_norm if len(rest) == 2 else 0, work=0)
    if rest[:1] == ["load"]:
        return JobCost(cycles=costs.load(design) if rest[1] == "0" else 0, work=0)
    if rest == ["embed"]:
        return costs.patch_embedding(design, room)
    if name in ("nsa", "nmp"):
        return (unit.attentions if name == "nsa" else unit.mlps)[int(rest[0])]
    if name in ("ln1", "ln2") and rest[0].isdigit():
        if name == "ln2" and early and int(rest[0]) == last:
            return JobCost(cycles=costs.norm(design, 1), work=0)
        cycles = unit.first_norm if section == "ln1.0" else unit.norm
        return JobCost(cycles=cycles, work=costs.sending(design, design.shape.seq_len), room=words)
    return NOTHING


def batch_steps(design: Design, images: int) -> list[dict[str, JobCost]]:
    """What the units do in each step of a batch, along the schedule that the host writes."""
    unit = UnitCosts(design)
    embedder = "nsa" if design.folding.embed_nsa else "nmp"
    steps = []
    for step in schedule(
        images,
        design.shape.depth,
        image_steps=design.image_steps,
        has_head=design.finishes_early,
        head_images=design.head_images,
        head_slices=len(design.head_slices),
        slices=len(design.patch_parts),
        embed_unit=embedder,
    ):
        work = {}
        for name in UNITS:
            jobs = [NOTHING]
            room = 0
            for part in getattr(step, name):
                jobs.append(part_cost(unit, part.section, room))
                leaves = design.finishes_early and part.section == f"{embedder}.{design.shape.depth - 1}"
                room = jobs[-1].room if leaves else 0
            work[name] = sum(jobs, NOTHING)
        steps.append(work)
    return steps


@pytest.mark.parametrize("name", sorted(ALL))
def test_steady_state_follows_the_schedule(name: str) -> None:
    design = ALL[name]
    many, few = batch_steps(design, 64), batch_steps(design, 32)
    gained = sum(map(step_cycles, many)) - sum(map(step_cycles, few))
    timing = estimate(design)
    assert timing.limited_by == "ddr" or timing.cycles_per_image == pytest.approx(gained / 32, abs=0.5)
    for array in ("nsa", "nmp"):
        work = (sum(step[array].work for step in many) - sum(step[array].work for step in few)) / 32
        assert timing.array_busy[array] == pytest.approx(work / timing.cycles_per_image, abs=1e-3)
    steps = UnitCosts(design).steady_steps()
    assert len(steps) == design.image_steps
    assert timing.limited_by == "ddr" or sum(map(step_cycles, steps)) == gained / 8


@pytest.mark.parametrize("name", sorted(ALL))
def test_latency_is_that_of_one_image_along_the_schedule(name: str) -> None:
    """Steps in which no unit has anything to do are not counted: that the last block waits for nobody neither."""
    design = ALL[name]
    idle = step_cycles(dict.fromkeys(UNITS, NOTHING))
    alone = [step_cycles(step) for step in batch_steps(design, 1)]
    embedding = step_cycles({"nmp": costs.patch_embedding(design, 0)})
    taken = sum(cycles for cycles in alone if cycles > idle)
    assert estimate(design).latency_cycles == pytest.approx(taken, abs=0.03 * taken)
    assert estimate(design).latency_cycles > embedding


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_bytes_of_an_image_are_those_of_its_lists(name: str) -> None:
    """Descriptors and activation tables, of a few beats each, are left out; weights and images are all there."""
    check_bytes(DESIGNS[name], least=0.75)


def test_bytes_of_a_large_model() -> None:
    shape = dataclasses.replace(deit_shape("deit_tiny"), image_size=(64, 64), depth=2, num_classes=100)
    check_bytes(dataclasses.replace(SLOW_SOFTMAX, shape=shape), least=0.99)


def check_bytes(design: Design, least: float) -> None:
    model = random_quant_model(np.random.default_rng(0), design.shape)
    manifest = read_blob(build_blob(design, model)).manifest
    beats = [
        sum(int(entries[:, 1].sum()) for entries in chunk_lists(manifest, images)[0].values()) for images in (8, 16)
    ]
    read = (beats[1] - beats[0]) / 8 * design.beat_bytes
    counted = ddr_bytes(design) - 4 * design.result_words
    assert least * read <= counted <= read


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
        for engine in ("nsa", "nmp"):
            assert timing.array_efficiency[engine] <= timing.array_busy[engine] <= timing.busy[engine]


def test_an_estimate_takes_less_than_a_tenth_of_a_second() -> None:
    base = Folding(tt_nsa=16, tt_nmp=30, tc=8, tk=8, td_nsa=2, td_nmp=1)
    for design in (SLOW_SOFTMAX, dataclasses.replace(SLOW_SOFTMAX, shape=deit_shape("deit_base"), folding=base)):
        start = time.perf_counter()
        estimate(design)
        assert time.perf_counter() - start < 0.1
