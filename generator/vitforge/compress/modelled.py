# SPDX-License-Identifier: Apache-2.0
"""Modelled cycles of pruned versions of a model, all on the overlay of the dense one."""

from __future__ import annotations

from vitforge.boards import load_board
from vitforge.compress.magnitude import magnitude_keep
from vitforge.design.design import Design
from vitforge.design.fit import fit
from vitforge.errors import CapacityError
from vitforge.model.keep import TWO_OF_FOUR, kept_fraction
from vitforge.model.vit import ViTModel
from vitforge.timing.estimate import estimate

BOARD = "zcu104"
FRACTIONS = (1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)
_QUICK = {"tr": 2, "lane_banks": 1}  # restores pruned outputs without waiting, if the board has room


def overlay_for(model: ViTModel) -> Design | None:
    """The dense model's on `BOARD`, which takes 2:4 weights if ``model`` has them; None if it does not fit."""
    sparse = {"sparse": int(model.sparsity == TWO_OF_FOUR)}
    for overrides in (_QUICK | sparse, sparse):
        try:
            return fit(model.shape, load_board(BOARD), overrides=overrides).design
        except CapacityError:
            continue
    return None


def cycle_curve(design: Design, model: ViTModel) -> list[tuple[float, float]]:
    """(fraction kept, cycles of an image against the dense model's) of magnitude masks."""
    dense = estimate(design).cycles_per_image
    keeps = [magnitude_keep(model, fraction) for fraction in FRACTIONS]
    return [(kept_fraction(keep, model.shape), estimate(design, keep).cycles_per_image / dense) for keep in keeps]


def relative_cycles(design: Design, model: ViTModel) -> float:
    """Cycles of an image of a pruned ``model`` against those of the dense one."""
    pruned = estimate(design, model.keep, sparse=model.sparsity == TWO_OF_FOUR).cycles_per_image
    return pruned / estimate(design).cycles_per_image
