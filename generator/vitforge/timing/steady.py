# SPDX-License-Identifier: Apache-2.0
"""The steady state of a launch: which of its steps it is, and what the linear layers take in it."""

from __future__ import annotations

from vitforge.design.design import Design
from vitforge.timing.blocks import ARRAYS
from vitforge.timing.jobs import is_linear
from vitforge.timing.solution import Solution

HEADER = "header_beat"  # an array reads one before each job


def steady_steps(design: Design) -> tuple[int, int]:
    """First step, and the step after the last, of the second round: all units work, and images enter and leave."""
    first = 1 + design.image_steps + 4
    return first, first + design.image_steps


def linear_cycles(solution: Solution, jobs: dict[str, list[list[str]]], steps: tuple[int, int]) -> int:
    """Cycles of the blocks' linear layers on both arrays in a range of steps, each from its descriptor to the next.

    jobs : of `array_jobs`
    """
    total = 0
    for engine, node in ARRAYS.items():
        names = [name for step in jobs[engine][steps[0] : steps[1]] for name in step]
        starts = [entry.start for entry in solution.slices if entry.node == node and entry.label == HEADER]
        spans = zip(names, starts, starts[1:], strict=False)
        total += sum(after - start for name, start, after in spans if is_linear(name))
    return total
