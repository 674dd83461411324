# SPDX-License-Identifier: Apache-2.0
"""Where the time of a launch goes, for several batch sizes: host, transfers between it and DDR, and accelerator."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vitforge_host.errors import InputError

if TYPE_CHECKING:
    from vitforge_host.accelerator import Accelerator

MEASURED, MODELLED = "measured", "modelled"
_PIPELINED = 4  # launches of a run that shows how fast results come
_HEAD = ("host ms", "transfer ms", "accelerator ms", "latency ms")


@dataclass(frozen=True)
class BenchmarkRow:
    """Medians over launches of ``batch`` items, each alone.

    host_ms : checking, packing, registers, unpacking
    transfer_ms : cache maintenance, and DMA transfers as far as they go on once the kernel has finished
    accelerator_ms : from the start to its end; None on a simulated board whose kernel has no cycle model
    latency_ms : sum of the three
    per_second : items, with two launches in flight
    """

    batch: int
    host_ms: float
    transfer_ms: float
    accelerator_ms: float | None
    latency_ms: float | None
    per_second: float | None


@dataclass(frozen=True)
class Benchmark:
    """Of one accelerator at one clock; ``accelerator_time`` is "measured", or "modelled" on a simulated board."""

    unit: str
    clock_mhz: float
    waits_by: str
    accelerator_time: str
    launches: int
    rows: tuple[BenchmarkRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return asdict(self)

    def __str__(self) -> str:
        head = ("batch", *_HEAD, f"{self.unit}/s")
        lines = [head, *(tuple(map(_cell, asdict(row).values())) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        table = "\n".join("  ".join(text.rjust(width) for text, width in zip(x, widths, strict=True)) for x in lines)
        return f"{table}\naccelerator time {self.accelerator_time}, {self.clock_mhz:g} MHz, waits by {self.waits_by}"


def check_sizes(batches: Sequence[int], launches: int, most: int) -> list[int]:
    """Those of ``batches`` that one launch takes, which is ``most`` items.

    Raises InputError if sizes or launches are no whole numbers of at least 1, or no size is left.
    """
    for name, value in [("launches", launches), *(("batches", size) for size in batches)]:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InputError(f"{name}: {value!r} is no whole number of at least 1")
    sizes = [int(size) for size in batches if size <= most]
    if not sizes:
        raise InputError(f"batches are {list(batches)}; give at least one of at most {most}")
    return sizes


def run_benchmark(
    accelerator: Accelerator, work: Callable[[int, int], None], batches: Sequence[int], launches: int, unit: str
) -> Benchmark:
    """Measure launches of each of ``batches`` items, which `check_sizes` has let through.

    On a board all is measured with the clock of the host. On the simulated board the accelerator's time is that of its
    cycle model at the present PL clock; the time in which the host simulates is left out. ``per_second`` comes from a
    pipelined run there, and here from the larger of accelerator time and all else, which two launches in flight hide.

    Parameters
    ----------
    accelerator : Accelerator
    work : callable
        ``(items of a launch, launches)``.
    batches : sequence of int
    launches : int
        Of each size.
    unit : str
        What the items are, plural.
    """
    rows = tuple(_row(accelerator, work, size, launches) for size in batches)
    source = MODELLED if accelerator.simulated else MEASURED
    return Benchmark(unit, accelerator.clock_mhz, accelerator.waits_by, source, launches, rows)


def _row(accelerator: Accelerator, work: Callable[[int, int], None], size: int, launches: int) -> BenchmarkRow:
    work(size, 1)  # plans, and first touches memory
    split = [_alone(accelerator, work, size) for _ in range(launches)]
    host, transfer, ran = (statistics.median(part) for part in zip(*split, strict=True))
    row = {"batch": size, "host_ms": host * 1e3, "transfer_ms": transfer * 1e3}
    if ran == 0:
        return BenchmarkRow(**row, accelerator_ms=None, latency_ms=None, per_second=None)
    seconds = max(ran, host + transfer) if accelerator.simulated else _pipelined(work, size)
    total = (host + transfer + ran) * 1e3
    return BenchmarkRow(**row, accelerator_ms=ran * 1e3, latency_ms=total, per_second=size / seconds)


def _alone(accelerator: Accelerator, work: Callable[[int, int], None], size: int) -> tuple[float, float, float]:
    """Seconds of host, transfers and accelerator in one launch."""
    modelled, waited, moved = accelerator.modelled_s, accelerator.waited_s, accelerator.transferred_s
    started = time.perf_counter()
    work(size, 1)
    whole = time.perf_counter() - started
    waited, moved = accelerator.waited_s - waited, accelerator.transferred_s - moved
    ran = accelerator.modelled_s - modelled if accelerator.simulated else waited
    return whole - waited - moved, moved, ran


def _pipelined(work: Callable[[int, int], None], size: int) -> float:
    """Seconds a launch, two in flight."""
    started = time.perf_counter()
    work(size, _PIPELINED)
    return (time.perf_counter() - started) / _PIPELINED


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.3f}" if value >= 0.01 else f"{value:.5f}"
