# SPDX-License-Identifier: Apache-2.0
"""The fit is the best there is: compared with every legal folding, counted and estimated one by one."""

from __future__ import annotations

import dataclasses

import pytest

from vitforge.boards import RESOURCES, Board, load_board
from vitforge.design.design import Design, Folding
from vitforge.design.fit import BALANCE, BUSY, IDLE_GAIN, WORTHWHILE, fit
from vitforge.design.resources import Resources, resources
from vitforge.errors import CapacityError
from vitforge.model.vit import ViTShape
from vitforge.timing.estimate import estimate

SMALL = ViTShape(
    image_size=(12, 12), channels=3, patch_size=4, embed_dim=48, depth=2, num_heads=3, hidden_dim=96, num_classes=10
)
BOARDS = {
    # Plenty of all; few multipliers; little memory, with URAM and without; a 64-bit port.
    "zcu104": {"dsp": 500},
    "ultra96v2": {},
    "kv260": {"bram36": 60, "uram": 12, "dsp": 400},
    "zcu102": {"bram36": 90, "dsp": 400},
    "pynq-z2": {},
}


def cut(name: str) -> Board:
    return dataclasses.replace(load_board(name), **BOARDS[name])


def every_folding(board: Board, seq_len: int) -> list[Folding]:
    """Straight from the rules: tk within the packing depth, weight words of whole beats, 4 drained values or more."""
    depth = {"dsp48e2": 8, "dsp48e1": 4}[board.dsp_family]
    found = []
    for tk, tc in [(tk, tc) for tk in (1, 2, 4, 8) for tc in (1, 2, 4, 8) if tk <= depth and tk % tc == 0]:
        if tc * tk % (board.axi_bits // 8):
            continue
        tiles = [
            (tt, td)
            for tt in range(2, seq_len + 2, 2)
            for td in range(1, tt + 1)
            if tt % td == 0 and 4 <= td * tc <= 256
        ]
        found += [
            Folding(tt_nsa=a, tt_nmp=b, tc=tc, tk=tk, td_nsa=i, td_nmp=j, embed_nsa=embeds, mlp_slices=slices)
            for a, i in tiles
            for b, j in tiles
            for slices in range(1, min(4, -(-seq_len // b)) + 1)
            for embeds in (0, 1)
        ]
    return found


def cost(board: Board, used: Resources) -> float:
    """Shares of the board, added up."""
    return sum(getattr(used, name) / board.limit(name) for name in RESOURCES if board.limit(name))


def best(board: Board, shape: ViTShape) -> tuple[int, float]:
    """(cycles to stay within, least cost) by the rules of the choice, over every folding.

    No idle array if that costs at most `IDLE_GAIN`; then the cheapest of those within `WORTHWHILE` of the fastest.
    """
    fitting = []
    for folding in every_folding(board, shape.seq_len):
        if folding.array_dsp_nsa + folding.array_dsp_nmp > board.limit("dsp"):
            continue
        design = Design(name="vitforge", board=board, shape=shape, folding=folding, clock_mhz=board.clock_mhz)
        used = resources(design)
        if all(getattr(used, resource) <= board.limit(resource) for resource in RESOURCES):
            timing = estimate(design)
            idles = min(timing.array_busy.values()) < BUSY or timing.engine_balance < BALANCE
            fitting.append((timing.cycles_per_image, cost(board, used), idles))
    fastest = min(cycles for cycles, _, _ in fitting)
    steady = [entry for entry in fitting if not entry[2] and entry[0] <= fastest * (1 + IDLE_GAIN)]
    limit = min(cycles for cycles, _, _ in steady or fitting) * (1 + WORTHWHILE)
    return int(limit), min(entry[1] for entry in steady or fitting if entry[0] <= limit)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_nothing_fits_and_is_faster_or_as_fast_and_smaller(name: str) -> None:
    board = cut(name)
    found = fit(SMALL, board, overrides={"resident_nsa": 0, "resident_nmp": 0})
    limit, least = best(board, SMALL)
    assert found.estimate.cycles_per_image <= limit
    assert cost(board, found.resources) <= least * (1 + 1e-9)
    assert found.considered > 0


def test_more_of_the_board_is_never_slower() -> None:
    """A larger share of DSPs or of memory does not lengthen an image by more than the gain that counts."""
    shape = dataclasses.replace(SMALL, image_size=(48, 48))
    for resource, shares in (("dsp", (0.4, 0.5, 0.6, 0.75, 0.9)), ("bram36", (0.15, 0.2, 0.25, 0.8))):
        cycles = []
        for share in shares:
            board = load_board("ultra96v2")
            board = dataclasses.replace(board, caps={**board.caps, resource: share})
            cycles.append(fit(shape, board).estimate.cycles_per_image)
        for slower, faster in zip(cycles, cycles[1:], strict=False):
            assert faster <= slower * (1 + WORTHWHILE), (resource, cycles)
        assert cycles[0] > cycles[-1], resource


def test_addresses_beyond_a_descriptor_are_not_chosen() -> None:
    """993 tokens and 4,096 hidden channels: tiles of fewer than ten tokens need more entries than 16 bits count."""
    shape = dataclasses.replace(
        SMALL, image_size=(124, 128), patch_size=4, embed_dim=1024, num_heads=8, hidden_dim=4096, depth=1
    )
    roomy = dataclasses.replace(load_board("zcu102"), bram36=200_000, lut=10**8, ff=10**8, dsp=200)
    design = fit(shape, roomy).design
    assert max(design.nsa.left_depth, design.nmp.left_depth) < 1 << 16
    last = design.mlp_parts[-1].first_token * design.channel_tiles
    assert last + design.residual_base + design.channel_tiles < 1 << 16
    smaller = dataclasses.replace(design, folding=dataclasses.replace(design.folding, tt_nmp=8))
    assert smaller.nmp.left_depth >= 1 << 16
    with pytest.raises(CapacityError, match="needs addresses to [0-9,]+ and 65,535 is the limit"):
        fit(shape, dataclasses.replace(roomy, dsp=100))
