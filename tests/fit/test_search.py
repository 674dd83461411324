# SPDX-License-Identifier: Apache-2.0
"""The fit is the best there is: compared with every legal folding, counted and estimated one by one."""

from __future__ import annotations

import dataclasses
import math

import pytest

from vitforge.boards import RESOURCES, Board, load_board
from vitforge.design.design import Design, Folding
from vitforge.design.fit import WORTHWHILE, fit
from vitforge.design.resources import resources
from vitforge.model.vit import ViTShape
from vitforge.timing.estimate import estimate

SMALL = ViTShape(
    image_size=(20, 20), channels=3, patch_size=4, embed_dim=48, depth=2, num_heads=3, hidden_dim=96, num_classes=10
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
    lanes = [(tk, tc) for tk in (1, 2, 4, 8) for tc in (1, 2, 4, 8) if tk <= depth and tk % tc == 0]
    found = []
    for tk, tc in lanes:
        for td in range(1, 17):
            if tc * tk % (board.axi_bits // 8) or td * tc < 4:
                continue
            unit = math.lcm(2, td)
            sizes = range(unit, seq_len + unit, unit)
            norms = [lt for lt in range(1, min(td, 10) + 1) if td % lt == 0]
            found += [
                Folding(tt_nsa=a, tt_nmp=b, tc=tc, tk=tk, td=td, lt=lt) for a in sizes for b in sizes for lt in norms
            ]
    return found


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_nothing_fits_and_is_faster_or_as_fast_and_smaller(name: str) -> None:
    board = cut(name)
    found = fit(SMALL, board)
    others = []
    for folding in every_folding(board, SMALL.seq_len):
        if folding.array_dsp_nsa + folding.array_dsp_nmp > board.limit("dsp"):
            continue
        design = Design(name="vitforge", board=board, shape=SMALL, folding=folding, clock_mhz=board.clock_mhz)
        used = resources(design)
        if all(getattr(used, resource) <= board.limit(resource) for resource in RESOURCES):
            others.append((estimate(design).cycles_per_image, used.dsp))
    fastest = min(cycles for cycles, _ in others)
    assert found.estimate.cycles_per_image <= fastest * (1 + WORTHWHILE)
    close = [dsp for cycles, dsp in others if cycles <= fastest * (1 + WORTHWHILE)]
    assert found.resources.dsp == min(close)
    assert found.considered > 0


def test_more_of_the_board_is_never_slower() -> None:
    """A larger share of DSPs or of memory does not lengthen an image by more than the gain that counts."""
    shape = dataclasses.replace(SMALL, image_size=(48, 48))
    for resource, shares in (("dsp", (0.4, 0.5, 0.6, 0.75, 0.9)), ("bram36", (0.3, 0.35, 0.4, 0.8))):
        cycles = []
        for share in shares:
            board = load_board("ultra96v2")
            board = dataclasses.replace(board, caps={**board.caps, resource: share})
            cycles.append(fit(shape, board).estimate.cycles_per_image)
        for slower, faster in zip(cycles, cycles[1:], strict=False):
            assert faster <= slower * (1 + WORTHWHILE), (resource, cycles)
        assert cycles[0] > cycles[-1], resource


def test_addresses_beyond_a_descriptor_are_not_chosen() -> None:
    """1,024 tokens of 1,024 channels have more words than 16 bits count, unless the words are large."""
    shape = dataclasses.replace(
        SMALL, image_size=(124, 128), patch_size=4, embed_dim=1024, num_heads=8, hidden_dim=1024, depth=1
    )
    roomy = dataclasses.replace(load_board("zcu102"), bram36=20000, lut=10**7, ff=10**7, dsp=300)
    design = fit(shape, roomy).design
    assert max(design.nsa.extra_base, design.nmp.extra_base) < 1 << 16
    assert design.embed_branch_base + design.channel_tiles <= 1 << 16
