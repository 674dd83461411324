# SPDX-License-Identifier: Apache-2.0
"""What A3 counted in a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """Of all queries of the last call; with one key a head, a query counts once for each.

    candidates, kept : rows that selection, and then post-scoring, left
    cycles : of the busiest stage of the busiest unit, added up over the launches
    saturated : query elements that were clipped
    """

    queries: int = 0
    candidates: int = 0
    kept: int = 0
    cycles: int = 0
    saturated: int = 0
