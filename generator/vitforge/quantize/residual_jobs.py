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
    """Jobs that add the outputs ``keep`` (D,) of a layer to the residual. Tiles whose passes their products hide share
    a job; the others have one for each number of passes.

    tokens : of a token tile that leave
    spares : results go to the spare row, where no channel may be missing: what is pruned moves there too
    """
    f = design.folding
    unit = f.tk * (2 if job.get("sparse") else 1)
    cycles = ceil_div(tokens, f.tr)  # of a pass
    parts = [(layer, inputs, keep)]
    if spares:
        zeros = select(layer, np.full(len(keep), NOTHING), np.arange(layer.weight.shape[1]))
        parts.append((zeros, np.full(1, NOTHING), unmoved(keep, f.tc, f.lane_banks)))
    jobs = []
    for source, columns, channels in parts:
        free = free_passes(ceil_div(len(columns), unit), tokens, f.tr)
        tiles = restore_tiles(channels, f.tc, f.lane_banks)
        for passes, group in _by_passes(tiles, free):
            rows = np.concatenate([padded(np.array(tile.channels), f.tc) for tile in group])
            targets = [_residual_target(design, tile, base, passes) for tile in group]
            part = select(source, rows, columns)
            jobs.append(linear_job(design, part, targets, drains=passes * cycles, by_token=True, spares=spares, **job))
    return jobs


def _by_passes(tiles: list[RestoreTile], free: int) -> list[tuple[int, list[RestoreTile]]]:
    """(passes, tiles) of each job; ``tiles`` come with the fewest passes first."""
    groups = [list(group) for _, group in groupby(tiles, key=lambda tile: max(free, tile.pass_count))]
    return [(group[-1].pass_count, group) for group in groups]


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
