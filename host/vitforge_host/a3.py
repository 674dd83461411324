# SPDX-License-Identifier: Apache-2.0
"""``A3``: attention over keys and values that stay on the accelerator, exact or approximate."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge_host import a3_checks as checks
from vitforge_host.a3_load import LoadReport, Prepared, prepare
from vitforge_host.a3_runner import LOAD, A3Runner, Launch
from vitforge_host.a3_scale import threshold_register
from vitforge_host.a3_slots import Loaded, QuerySlot
from vitforge_host.a3_statistics import Statistics
from vitforge_host.benchmark import Benchmark
from vitforge_host.errors import InputError, SaturationWarning, TransferError
from vitforge_host.fixed_point import decode, encode


class A3(A3Runner):
    """An A3 attention accelerator.

    Parameters
    ----------
    bitfile : str or Path
        Overlay; its `.hwh` and `.a3.json` lie beside it.
    device : pynq.Device, optional
        Default: pynq's active device.
    batch : int
        Most queries of one launch; two launches have buffers at a time. A load makes it less if device memory does not
        hold them. More queries are split.
    timeout_s : float
        Longest time that one launch may take [s].
    clock_mhz : float, optional
        Run at most at this PL clock [MHz]; the clock of the design is the limit and the default.
    wait : str
        How to wait for a launch: "interrupt", "poll", or "auto", which takes the interrupt if the overlay has one.

    Raises
    ------
    OverlayError, InputError, IdentityError
        If the overlay cannot be loaded or is another one.

    Examples
    --------
    >>> with A3("overlay/vitforge.bit") as a3:
    ...     a3.load(keys, values)  # (n, d) float, n and d up to the compiled maxima
    ...     a3.m, a3.t = len(keys) // 2, 5.0
    ...     result = a3.queries(queries)  # (N, d) float -> (N, d) float64
    """

    def __init__(
        self,
        bitfile: str | Path,
        device: Any = None,
        batch: int = 256,
        timeout_s: float = 60.0,
        *,
        clock_mhz: float | None = None,
        wait: str = "auto",
    ) -> None:
        super().__init__(bitfile, device, batch, timeout_s, clock_mhz, wait)
        self._m: int | None = None
        self._t: float | None = None
        self._loaded: Loaded | None = None
        self._slots: list[QuerySlot] = []
        self.statistics = Statistics()

    # --- properties --------------------------------------------------------------------------------------------------
    @property
    def n_max(self) -> int:
        """Most rows of a key."""
        return self._format.n_max

    @property
    def d_max(self) -> int:
        """Most elements of a row."""
        return self._format.d_max

    @property
    def m_max(self) -> int:
        """Largest `m`; 0 if the overlay has no candidate selection."""
        return self._format.m_max

    @property
    def units(self) -> int:
        """Pipelines of the overlay, and heads that a load may have."""
        return self._format.units

    @property
    def m(self) -> int | None:
        """Iterations of candidate selection; None takes all rows as candidates."""
        return self._m

    @m.setter
    def m(self, value: int | None) -> None:
        self._m = checks.iterations(value, self._format)

    @property
    def t(self) -> float | None:
        """Percent of the largest weight below which post-scoring drops a row; None keeps all candidates."""
        return self._t

    @t.setter
    def t(self, value: float | None) -> None:
        self._t = checks.threshold(value)

    # --- load --------------------------------------------------------------------------------------------------------
    def load(
        self, keys: ArrayLike, values: ArrayLike, *, scale: float | None = None, centre: bool = False
    ) -> LoadReport:
        """Quantise, sort and copy keys and values, which queries then use until the next load.

        Parameters
        ----------
        keys : (n, d) or (heads, n, d)
            Real numbers. With heads, as many as `units`, each unit holds one; without, all units hold the same.
        values : (n, columns) or (heads, n, columns)
            Real numbers.
        scale : float, optional
            Of the dot products; default 1 / sqrt(d).
        centre : bool
            Subtract the mean row from the keys: softmax does not see it, and `m` often does with fewer candidates.

        Warns
        -----
        SaturationWarning
            If elements do not fit the number format.

        Raises
        ------
        InputError
            For sizes over the compiled maxima, numbers that are not finite, or a scale out of range; what was loaded
            before stays.
        TransferError
            If a DMA transfer failed; nothing is loaded then.
        AcceleratorTimeout, ClosedError
            As for `queries`.
        """
        with self._lock:
            self._check_usable()
            prepared = prepare(keys, values, scale, self._format, centre=centre)
            self._warn_saturated(sum(prepared.saturated), prepared.elements, "key and value", stacklevel=3)
            started = time.perf_counter()
            self._copy(prepared)
            return prepared.report(time.perf_counter() - started, self._format)

    def _copy(self, prepared: Prepared) -> None:
        """One packet for all units, or one for each."""
        loaded, size = prepared.loaded, prepared.packet_bytes(self._format)
        self._check_packet(size, "keys and values")
        self._check_packet(QuerySlot.most_bytes(loaded, self._format, self.batch), f"batches of {self.batch} queries")
        self._loaded = None
        self._make_slots(loaded)
        buffer = self._allocate((size,), np.uint8)
        for head, packet in enumerate(prepared.packets(self._format)):
            buffer[:] = packet
            mask = 1 << head if loaded.heads else (1 << self.units) - 1
            arguments = {"op": LOAD, "n": loaded.n, "d": loaded.d, "unit_mask": mask}
            launch = Launch("keys and values", arguments, buffer, size)
            try:
                with self._in_flight():
                    self._begin(launch)
                    self._finish(launch)
            except TransferError:
                self._free([buffer])
                raise
        self._free([buffer])
        self._loaded = loaded

    def _make_slots(self, loaded: Loaded) -> None:
        """Two batches of buffers for queries of this shape."""
        if not all(slot.fits(loaded) for slot in self._slots) or not self._slots:
            for slot in self._slots:
                self._free(slot.buffers)
            self._slots = []
            self._slots = self._as_memory_allows(
                lambda batch: [QuerySlot(self._allocate, loaded, self._format, batch) for _ in range(2)]
            )

    # --- queries -----------------------------------------------------------------------------------------------------
    def query(self, query: ArrayLike) -> NDArray[np.float64]:
        """Attention of one query, (d,) -> (columns,), or with heads (heads, d) -> (heads, columns); see `queries`."""
        return self._attend(np.asarray(query)[np.newaxis])[0]

    def queries(self, queries: ArrayLike) -> NDArray[np.float64]:
        """Attention of many queries, in their order: (N, d) -> (N, columns), or (N, heads, d) -> (N, heads, columns).

        The host quantises and packs the next batch, and unpacks the last one, while the accelerator runs.

        Warns
        -----
        SaturationWarning
            If elements do not fit the number format.

        Raises
        ------
        InputError
            For queries before a load, of another shape, or that are not finite numbers; nothing has run.
        TransferError
            If a DMA transfer failed; there are no results, and the next call works.
        AcceleratorTimeout
            If a batch does not finish; the accelerator must then be opened again.
        ClosedError
            After ``close()`` or such a failure.
        """
        return self._attend(queries)

    def codes(self, queries: NDArray[np.integer]) -> NDArray[np.signedinteger]:
        """As `queries`, but of integers: codes of the number format in, result codes (int16 or int32) out."""
        with self._lock:
            integers = checks.query_codes(queries, self._require_loaded(), self._format)
            return self._run(integers, lambda part: (part.astype(np.int16), 0), self.batch)

    def benchmark(self, batches: Sequence[int] = (1, 4, 16, 64, 256), *, launches: int = 10) -> Benchmark:
        """Time of host, transfers and accelerator for launches of each of ``batches`` random queries, over what is
        loaded and with the present `m` and `t`.

        Sizes above `batch` are left out. See `vitforge_host.benchmark.run_benchmark` for what is measured, and raised.
        """
        loaded = self._require_loaded()
        reals = np.random.default_rng(0).uniform(-1, 1, (self.batch, *loaded.query_shape))

        def work(size: int, count: int) -> None:
            self._run(np.concatenate([reals[:size]] * count), self._encode, size)

        return self._measure(work, batches, launches, "queries")

    def _attend(self, queries: ArrayLike) -> NDArray[np.float64]:
        with self._lock:
            reals = checks.queries(queries, self._require_loaded())
            results = self._run(reals, self._encode, self.batch)
            self._warn_saturated(self.statistics.saturated, reals.size, "query", stacklevel=4)
        return decode(results, self._format.result_fraction)

    def _run(self, queries: NDArray, encoded: Callable[[NDArray], tuple[NDArray[np.int16], int]], size: int) -> NDArray:
        """Results of ``queries`` in launches of ``size``."""
        loaded = self._require_loaded()
        arguments = self._arguments(loaded)
        parts: list[NDArray] = []
        totals = dict.fromkeys(("candidates", "kept", "cycles"), 0)
        running: QuerySlot | None = None
        saturated = 0
        self.statistics = Statistics()

        def end(slot: QuerySlot) -> None:
            outputs = self._finish(slot.launch)
            for name in totals:
                totals[name] += outputs[name]

        with self._in_flight():
            for index, start in enumerate(range(0, len(queries), size)):
                slot = self._slots[index % 2]
                codes, lost = encoded(queries[start : start + size])
                slot.put(codes, arguments)
                saturated += lost
                if running is not None:
                    end(running)
                self._begin(slot.launch)
                if running is not None:
                    parts.append(running.results())
                running = slot
            assert running is not None  # queries are not empty
            end(running)
            parts.append(running.results())
        self.statistics = Statistics(len(queries) * max(loaded.heads, 1), **totals, saturated=saturated)
        return np.concatenate(parts)

    def _arguments(self, loaded: Loaded) -> dict[str, int]:
        mult, shift = loaded.scale
        return {
            "n": loaded.n,
            "d": loaded.d,
            "m": self._m or 0,
            "threshold": threshold_register(self._t, loaded.scale, self._format.fraction_bits),
            "scale_mult": mult,
            "scale_shift": shift,
        }

    def _require_loaded(self) -> Loaded:
        self._check_usable()
        if self._loaded is None:
            raise InputError("no keys and values are on the accelerator; call load(keys, values) first")
        return self._loaded

    def _encode(self, queries: NDArray) -> tuple[NDArray[np.int16], int]:
        return encode(queries, self._format.integer_bits, self._format.fraction_bits, "queries")

    def _warn_saturated(self, count: int, size: int, what: str, stacklevel: int) -> None:
        if count:
            most = self._format.limit / (1 << self._format.fraction_bits)
            warnings.warn(
                f"{count} of {size} {what} elements lie outside of ±{most:g} and were clipped; scale them down, or "
                "generate the overlay with more integer bits",
                SaturationWarning,
                stacklevel=stacklevel,
            )
