# SPDX-License-Identifier: Apache-2.0
"""The timeline of a sparse_matmul trace: one track a process, a slice for each stretch of one kind of work."""

from __future__ import annotations

from pathlib import Path

from vitforge.timing.a3_report import short_name
from vitforge.timing.perfetto import write_timeline
from vitforge.timing.solution import Slice
from vitforge.timing.sparse_matmul_trace import SparseMatmulTrace

_NAMES = {
    ("array_cycle", 0): "waits",
    ("array_cycle", 1): "multiplies",
    ("array_cycle", 2): "drains",
    ("array_cycle", 3): "multiplies and drains",
    ("arrive_cycle", 0): "first block arrives",
    ("rest_cycle", 0): "rest of a block arrives",
}


def write_sparse_matmul_perfetto(result: SparseMatmulTrace, path: Path) -> int:
    """Writes the timeline of the longer dense launch in the Chrome trace-event format; returns the number of slices.
    Raises OSError."""
    solution = result.machine.solve(result.recording, slices=True)

    def track(entry: Slice) -> str | None:
        return None if entry.kind is None else short_name(entry.node)

    report = result.report
    title = f"sparse_matmul, {report.inputs} x {report.outputs}, simulated at {report.clock_mhz:g} MHz"
    return write_timeline(path, solution.slices, report.clock_mhz, title=title, track=track, kinds=_NAMES)
