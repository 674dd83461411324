# SPDX-License-Identifier: Apache-2.0
"""Where the cycles of the two arrays go, read from a trace: products that the model needs, padding, and the rest."""

from __future__ import annotations

from vitforge.design.design import Design
from vitforge.timing.blocks import ARRAY_LOOP, ARRAYS, DRAINS, STEP, WORK
from vitforge.timing.estimate import macs_per_image
from vitforge.timing.report import IN_FLIGHT
from vitforge.timing.solution import Solution
from vitforge.timing.trace import Trace

_STEPS = {"nsa": f"{STEP}/nsa_step", "nmp": f"{STEP}/nmp_step"}  # what a step of an engine is an invocation of
_BEFORE = {
    "header_beat": "descriptors",
    "first_tile_beat": "first weight tile of a step",
    "gelu_beat": "GELU table",
    "take_word": "rest of the activations",
}


def needed_macs(design: Design) -> dict[str, int]:
    """Engine -> multiplications of an image that it has to do, padding not counted.

    Where the last block is needed for the class token alone, all others are not.
    """
    s = design.shape
    n, d, blocks = s.seq_len, s.embed_dim, s.depth
    embedding = s.num_patches * s.patch_len * d
    if design.finishes_early:
        attention = (blocks - 1) * (4 * n * d * d + 2 * n * n * d) + 2 * n * d * d + 2 * d * d + 2 * n * d
        mlp = ((blocks - 1) * n + 1) * 2 * d * s.hidden_dim
    else:
        attention, mlp = blocks * (4 * n * d * d + 2 * n * n * d), blocks * 2 * n * d * s.hidden_dim
    in_nsa = bool(design.folding.embed_nsa)
    return {
        "nsa": attention + d * s.num_classes + (embedding if in_nsa else 0),
        "nmp": mlp + (0 if in_nsa else embedding),
    }


def skipped_share(design: Design) -> float:
    """Of the model's multiplications: in the last block, those that the class token does not need."""
    return 1 - sum(needed_macs(design).values()) / macs_per_image(design)


def lost_cycles(result: Trace) -> dict[str, dict[str, float]]:
    """Engine -> what its array does -> fraction of the cycles of the steady state; they add up to 1."""
    solution = result.machine.solve(result.recording, result.window)
    window = result.window[1] - result.window[0]
    lost = {}
    for engine in ARRAYS:
        parts = _parts(solution, engine, window)
        needed = _needed_cycles(result.machine.design, engine)
        work = parts.pop("multiplies")
        lost[engine] = {"needed products": needed, "padding of tiles": work - needed, **parts}
    return {engine: {name: round(count / window, 5) for name, count in parts.items()} for engine, parts in lost.items()}


def _needed_cycles(design: Design, engine: str) -> float:
    """Of the window, if every multiplier did a product of the model in every cycle."""
    f = design.folding
    tokens = {"nsa": design.nsa.tt, "nmp": design.nmp.tt}[engine]
    return IN_FLIGHT * needed_macs(design)[engine] / (tokens * f.tc * f.tk)


def _parts(solution: Solution, engine: str, window: int) -> dict[str, float]:
    node, step = solution.nodes[ARRAYS[engine]], solution.nodes[_STEPS[engine]]
    parts: dict[str, float] = dict.fromkeys(("multiplies", "drains alone", "next weights still arrive"), 0)
    parts |= dict.fromkeys(_BEFORE.values(), 0)
    for (where, loop, kind), count in solution.iterations.items():
        if where != ARRAYS[engine]:
            continue
        if loop == ARRAY_LOOP:
            name = "multiplies" if kind & WORK else "drains alone" if kind & DRAINS else "next weights still arrive"
        else:
            name = _BEFORE[loop]
        parts[name] += count
    parts["pipelines fill and drain"] = node.busy - sum(parts.values())
    parts["waits for a FIFO"] = node.stall_empty + node.stall_full
    parts["softmax ends later, calls"] = step.active - node.busy - node.stall_empty - node.stall_full
    parts["other units of the step"] = window - step.active
    return parts
