# SPDX-License-Identifier: Apache-2.0
"""The fit: legal, within the caps, fast, and clear about what does not fit."""

from __future__ import annotations

import dataclasses
import re
import time

import pytest

from vitforge.boards import RESOURCES, list_boards, load_board
from vitforge.design.fit import BALANCE, BUSY, IDLE_GAIN, WORTHWHILE, fit
from vitforge.design.memories import memories
from vitforge.design.resources import DISTRIBUTED_SHARE, place_memories, resources
from vitforge.design.rules import PACKING_DEPTH
from vitforge.errors import CapacityError, ConfigError, VitforgeError
from vitforge.model.vit import ViTShape
from vitforge.timing.estimate import estimate

MNIST = ViTShape(
    image_size=(28, 28), channels=1, patch_size=4, embed_dim=64, depth=6, num_heads=4, hidden_dim=256, num_classes=10
)


def deit(dim: int, heads: int) -> ViTShape:
    return ViTShape(
        image_size=(224, 224),
        channels=3,
        patch_size=16,
        embed_dim=dim,
        depth=12,
        num_heads=heads,
        hidden_dim=4 * dim,
        num_classes=1000,
    )


@pytest.mark.parametrize("name", list_boards())
@pytest.mark.parametrize("shape", [MNIST, dataclasses.replace(MNIST, embed_dim=60, num_heads=5, hidden_dim=250)])
def test_legal_and_within_the_caps(name: str, shape: ViTShape) -> None:
    board = load_board(name)
    found = fit(shape, board)
    f, used = found.design.folding, found.resources
    assert f.tt_nsa % 2 == f.tt_nmp % 2 == 0
    assert f.tt_nsa % f.td_nsa == f.tt_nmp % f.td_nmp == f.tk % f.tc == 0
    assert f.td_nsa * f.tc >= 4 and f.td_nmp * f.tc >= 4
    assert PACKING_DEPTH[board.dsp_family] % f.tk == 0
    assert f.tc * f.tk % found.design.beat_bytes == 0
    for resource in RESOURCES:
        assert getattr(used, resource) <= board.limit(resource), resource
    assert found.reasons and all(found.reasons)


def test_the_same_question_gets_the_same_answer() -> None:
    assert fit(MNIST, load_board("zcu104")) == fit(MNIST, load_board("zcu104"))


def test_a_design_on_a_bigger_board_is_at_least_as_fast() -> None:
    small, middle, big = (fit(MNIST, load_board(name), clock_mhz=150.0) for name in ("ultra96v2", "kv260", "zcu102"))
    slack = 1 + WORTHWHILE
    assert middle.estimate.cycles_per_image <= small.estimate.cycles_per_image * slack
    assert big.estimate.cycles_per_image <= middle.estimate.cycles_per_image * slack


@pytest.mark.parametrize(
    ("board", "dim", "heads", "fps", "busy", "balance"),
    [
        ("zcu104", 192, 3, 600, 0.9, 0.96),
        ("zcu104", 384, 6, 165, 0.9, 0.96),
        ("zcu104", 768, 12, 43, 0.9, 0.9),
        ("kv260", 192, 3, 450, 0.9, 0.96),
        ("ultra96v2", 192, 3, 110, 0.9, 0.96),
    ],
)
def test_deit_keeps_both_arrays_busy(board: str, dim: int, heads: int, fps: float, busy: float, balance: float) -> None:
    timing = fit(deit(dim, heads), load_board(board)).estimate
    assert timing.fps >= fps
    assert min(timing.array_busy.values()) >= busy
    assert timing.engine_balance >= balance


@pytest.mark.parametrize("board", list_boards())
def test_deit_tiny_has_room_on_every_board_but_the_smallest(board: str) -> None:
    try:
        used = fit(deit(192, 3), load_board(board)).resources
    except CapacityError as refusal:
        assert board == "pynq-z2" and "bram36" in str(refusal)
    else:
        assert all(getattr(used, name) <= load_board(board).limit(name) for name in RESOURCES)


def test_an_array_that_idles_is_not_chosen_for_a_small_gain() -> None:
    """Both arrays multiply in nine of ten cycles and about as much, unless that costs more than `IDLE_GAIN`."""
    for shape in (MNIST, deit(192, 3), deit(768, 12)):
        for name in ("zcu104", "ultra96v2"):
            try:
                timing = fit(shape, load_board(name)).estimate
            except CapacityError:
                continue
            if min(timing.array_busy.values()) >= BUSY and timing.engine_balance >= BALANCE:
                continue
            for tt in range(4, 40, 2):  # none of these, with arrays that never idle, is nearly as fast
                overrides = {"tt_nsa": tt, "tc": 8, "tk": 8}
                try:
                    other = fit(shape, load_board(name), overrides=overrides).estimate
                except VitforgeError:
                    continue
                if min(other.array_busy.values()) >= BUSY and other.engine_balance >= BALANCE:
                    assert other.cycles_per_image > timing.cycles_per_image * (1 + IDLE_GAIN)


def test_distributed_ram_takes_what_block_ram_cannot() -> None:
    """DeiT-Small on a KV260 needs more block RAM than the cap; small banks go to LUTs, a stated share at most."""
    found = fit(deit(384, 6), load_board("kv260"))
    board, design = found.design.board, found.design
    placed = place_memories(board, memories(design))
    always = sum(item.copies * item.luts for item in memories(design) if item.is_lutram)
    assert always < placed.lut <= board.lut * DISTRIBUTED_SHARE
    assert placed.bram36 <= board.limit("bram36") and placed.uram <= board.limit("uram")
    assert found.estimate.fps > 115


def test_what_leaves_multipliers_idle_is_told() -> None:
    """Cycles in which an array multiplies lie between those that the model needs and those in which its unit works."""
    for shape in (MNIST, deit(192, 3)):
        timing = fit(shape, load_board("zcu104")).estimate
        for engine in ("nsa", "nmp"):
            assert timing.array_efficiency[engine] <= timing.array_busy[engine]
            assert timing.array_busy[engine] < timing.busy[engine]
        assert 0 < timing.busy["softmax"] < timing.busy["nsa"]
        roof = timing.macs_per_image / (2 * 1728 * timing.cycles_per_image)
        assert timing.dsp_roof_fraction == pytest.approx(roof, abs=1e-4)


def test_search_is_quick() -> None:
    for shape, limit in ((MNIST, 1.5), (deit(384, 6), 6.0)):
        start = time.perf_counter()
        fit(shape, load_board("zcu102"))
        assert time.perf_counter() - start < limit


def test_estimate_scales_with_the_clock() -> None:
    slow, fast = (fit(MNIST, load_board("zcu104"), clock_mhz=clock) for clock in (150.0, 300.0))
    assert slow.estimate.cycles_per_image == fast.estimate.cycles_per_image
    assert fast.estimate.fps == pytest.approx(2 * slow.estimate.fps, rel=1e-3)


def test_more_lanes_take_fewer_cycles() -> None:
    board = load_board("zcu104")
    cycles = [
        estimate(
            fit(MNIST, board, overrides={"tk": 8, "tc": 4, "td_nsa": 2, "td_nmp": 2, "tt_nsa": tt, "tt_nmp": tt}).design
        ).cycles_per_image
        for tt in (4, 10, 26)
    ]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > 1.5 * cycles[1]


def test_dsps_by_construction() -> None:
    """tt/2 * tc * tk of each array, then what drains and normalises; exponents are made of LUTs."""
    forced = {"tt_nsa": 10, "tt_nmp": 20, "tc": 4, "tk": 8, "td_nsa": 5, "td_nmp": 2}
    rows = fit(MNIST, load_board("zcu104"), overrides=forced).resources.dsp_rows
    assert rows["nsa_array"] == 5 * 4 * 8
    assert rows["nmp_array"] == 10 * 4 * 8
    assert rows["requantize"] == (5 + 2) * 4
    assert rows["layer_norm"] + rows["squares"] == 2 * 4 * 3


def test_overrides_are_kept() -> None:
    forced = {"tt_nsa": 12, "tt_nmp": 24, "tc": 2, "tk": 8, "td_nsa": 6, "td_nmp": 3, "embed_nsa": 1, "mlp_slices": 2}
    forced |= {"tr": 1, "lane_banks": 1, "sparse": 1, "resident_nsa": 100, "resident_nmp": 0}
    found = fit(MNIST, load_board("zcu104"), overrides=forced)
    assert dataclasses.asdict(found.design.folding) == forced


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"tk": 3}, "tk = 3 must divide 8"),
        ({"tc": 3}, "tc = 3 must divide"),
        ({"tk": 4, "tc": 2}, "multiple of 16"),
        ({"tt_nsa": 9}, "tt_nsa = 9 must be even"),
        ({"td_nmp": 5, "tt_nmp": 8}, "tt_nmp = 8 must be even and a multiple of td_nmp = 5; try 10"),
        ({"td_nsa": 3, "tt_nsa": 10}, "tt_nsa = 10 must be even and a multiple of td_nsa = 3; try 12"),
        ({"tc": 1}, "multiple of 16, the bytes of a DDR beat; try tc = 2"),
        ({"td_nsa": 1, "tc": 2}, "td_nsa = 1 times tc must be 4 to 256 drained values; try 2"),
        ({"td_nmp": 200}, "td_nmp = 200 times tc must be 4 to 256 drained values; try 128"),
        ({"mlp_slices": 0}, "mlp_slices = 0 must be positive; try 1"),
        ({"embed_nsa": 2}, "embed_nsa = 2 must be 0 or 1; try 0"),
        ({"speed": 11}, "'speed'"),
    ],
)
def test_impossible_overrides_name_the_rule(overrides: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        fit(MNIST, load_board("zcu104"), overrides=overrides)


def test_without_a_class_head_the_attention_array_does_not_embed() -> None:
    backbone = dataclasses.replace(MNIST, num_classes=0)
    assert fit(backbone, load_board("zcu104")).design.folding.embed_nsa == 0
    with pytest.raises(ConfigError, match="embed_nsa = 1 needs a class head"):
        fit(backbone, load_board("zcu104"), overrides={"embed_nsa": 1})


@pytest.mark.parametrize("name", ["tt_nsa", "tt_nmp", "tc", "tk", "td_nsa", "td_nmp", "embed_nsa", "mlp_slices", "tr"])
@pytest.mark.parametrize("value", [-2, 0, 7, 11])
def test_the_value_that_a_refusal_proposes_is_legal(name: str, value: int) -> None:
    """Whether a value is refused or not, what the sentence says to try gets an answer."""
    board = load_board("zcu104")
    try:
        fit(MNIST, board, overrides={name: value})
    except ConfigError as refusal:
        proposed = int(str(refusal).split()[-1])
        assert getattr(fit(MNIST, board, overrides={name: proposed}).design.folding, name) == proposed


def test_a_refusal_names_the_least_that_is_missing() -> None:
    """The need is that of the folding that comes closest: a board with as much takes the model."""
    for resource, too_few in (("dsp", 45), ("bram36", 6), ("lut", 9000)):
        board = dataclasses.replace(load_board("zcu102"), **{resource: too_few})
        with pytest.raises(CapacityError) as refusal:
            fit(MNIST, board)
        found = re.search(r"needs ([\d,]+) (\w+)", str(refusal.value))
        assert found and found[2] == resource
        need = int(found[1].replace(",", ""))
        exact = dataclasses.replace(board, caps={**board.caps, resource: 1.0}, **{resource: need})
        assert getattr(fit(MNIST, exact).resources, resource) <= need


def test_what_does_not_fit_is_named_with_need_and_limit() -> None:
    board = dataclasses.replace(load_board("pynq-z2"), bram36=4)
    with pytest.raises(CapacityError, match=r"needs [\d,]+ bram36 and the limit is 3"):
        fit(MNIST, board)


@pytest.mark.parametrize(
    "shape",
    [
        dataclasses.replace(MNIST, image_size=(160, 160)),
        dataclasses.replace(MNIST, embed_dim=1100, num_heads=4),
        dataclasses.replace(MNIST, hidden_dim=40000),
    ],
)
def test_shapes_beyond_the_descriptors_are_refused(shape: ViTShape) -> None:
    with pytest.raises(CapacityError):
        fit(shape, load_board("zcu102"))


def test_resources_count_every_memory_once() -> None:
    found = fit(MNIST, load_board("zcu104"))
    again = resources(found.design)
    assert again == found.resources
    names = [item.name for item in memories(found.design)]
    assert len(names) == len(set(names)) and set(names) == set(again.memory_rows)
    arrays = {"nsa_left", "nmp_left", "nsa_weight_tiles", "nmp_weight_tiles", "nmp_gelu"}
    assert arrays | {"key", "value", "attention", "reciprocals", "scores", "residual"} <= set(names)
