# SPDX-License-Identifier: Apache-2.0
"""Jobs whose results are added to the residual, each column at the channel that it belongs to."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from vitforge.design.design import Design
from vitforge.design.geometry import ceil_div
from vitforge.design.restore import RestoreTile, free_passes, restore_tiles, unmoved
from vitforge.quantize.compact import NOTHING, Index, padded, select
from vitforge.quantize.model import QuantLinear
from vitforge.quantize.records import Destination, LinearJob, Target, linear_job


def residual_jobs(
    design: Design,
    layer: QuantLinear,
    inputs: Index,
    keep: np.ndarray,
    base: int,
    tokens: int,
    *,
    spares: bool = False,
    **job: Any,
) -> list[LinearJob]:
    """Jobs that add the outputs ``keep`` (D,) of a layer to the residual.

    tokens : of a token tile that leave
    spares : results go to the spare row, where no channel may be missing: what is pruned moves there too
    """
    jobs = _adding_jobs(design, layer, inputs, keep, base, tokens, spares=spares, **job)
    if spares:
        rest = unmoved(keep, design.folding.tc, design.folding.lane_banks)
        zeros = select(layer, np.full(len(keep), NOTHING), np.arange(layer.weight.shape[1]))
        jobs += _adding_jobs(design, zeros, np.full(1, NOTHING), rest, base, tokens, spares=True, **job)
    return jobs


def _adding_jobs(
    design: Design,
    layer: QuantLinear,
    inputs: Index,
    keep: np.ndarray,
    base: int,
    tokens: int,
    *,
    spares: bool,
    **job: Any,
) -> list[LinearJob]:
    """Tiles whose passes their products hide share a job; the others have one for each number of passes."""
    tc, tr = design.folding.tc, design.folding.tr
    unit = design.folding.tk * (2 if job.get("sparse") else 1)
    free = free_passes(ceil_div(len(inputs), unit), tokens, tr)
    jobs = []
    tiles = restore_tiles(keep, tc, design.folding.lane_banks)
    for _, some in groupby(tiles, key=lambda tile: max(free, tile.pass_count)):
        group = list(some)
        rows = np.concatenate([padded(np.array(tile.channels), tc) for tile in group])
        pass_count = max(tile.pass_count for tile in group)
        targets = [_residual_target(design, tile, base, pass_count) for tile in group]
        part = select(layer, rows, inputs)
        drains = pass_count * ceil_div(tokens, tr)
        jobs.append(linear_job(design, part, targets, drains=drains, by_token=True, spares=spares, **job))
    return jobs


def _residual_target(design: Design, tile: RestoreTile, base: int, pass_count: int) -> Target:
    tc = design.folding.tc
    return Target(
        destination=Destination.RESIDUAL,
        base=base,
        words=tuple(channel // tc for channel in tile.channels),
        lanes=tuple(channel % tc for channel in tile.channels),
        passes=tile.passes,
        pass_count=pass_count,
    )
