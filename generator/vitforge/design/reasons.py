# SPDX-License-Identifier: Apache-2.0
"""Why a fit chose what it chose, in words."""

from __future__ import annotations

from vitforge.boards import RESOURCES
from vitforge.design.design import Design
from vitforge.design.resources import Resources
from vitforge.design.rules import PACKING_DEPTH
from vitforge.timing.estimate import Estimate


def reasons(design: Design, used: Resources, timing: Estimate) -> list[str]:
    """A sentence each on what shaped the folding, its balance, and what it is limited by."""
    f, board, n = design.folding, design.board, design.shape.seq_len
    waste = [engine.token_tiles * engine.tt - n for engine in (design.nsa, design.nmp)]
    tightest = max(RESOURCES, key=lambda r: getattr(used, r) / board.limit(r) if board.limit(r) else 0.0)
    limited = f"limited by {timing.limited_by}"
    nmp = design.nmp
    if design.fc1.tile_beats > nmp.token_tiles * max(design.fc1.k_tiles, nmp.drain_groups):
        limited += f", whose weights arrive at {design.beat_bytes} a cycle: {n} tokens are too few to hide them"
    stores = f.resident_nsa, f.resident_nmp
    kept = f"resident = {stores[0]:,} and {stores[1]:,}: beats of the weight streams that stay on chip for a launch"
    return [
        f"tk = {f.tk}: {board.dsp_family} sums pairs of up to {PACKING_DEPTH[board.dsp_family]} products in a cascade "
        "without overflow",
        f"tt = {f.tt_nsa} and {f.tt_nmp}: {design.nsa.token_tiles} and {design.nmp.token_tiles} tiles "
        f"cover {n} tokens, with {waste[0]} and {waste[1]} to spare",
        f"engines balanced to {timing.engine_balance:.0%}: attention {f.array_dsp_nsa} DSPs, MLP {f.array_dsp_nmp}",
        f"td = {f.td_nsa} and {f.td_nmp}: the drain empties a tile while the next one works",
        *([kept] if any(stores) else []),
        f"tightest resource: {tightest}, {getattr(used, tightest):,} of {board.limit(tightest):,} allowed",
        f"{timing.cycles_per_image:,} cycles per image, modelled; {limited}",
        f"the arrays multiply in {timing.array_busy['nsa']:.0%} (attention) and {timing.array_busy['nmp']:.0%} (MLP) "
        f"of the cycles, which is {timing.dsp_roof_fraction:.0%} of what all DSPs of the device could do",
    ]
