# SPDX-License-Identifier: Apache-2.0
"""``SparseMatmul``: INT8 rows times a weight matrix that is dense, pruned by keep masks, 2:4, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitforge_host.benchmark import Benchmark
from vitforge_host.errors import InputError
from vitforge_host.identity import SPARSE_MATMUL
from vitforge_host.packet_runner import Launch, PacketRunner, Registers
from vitforge_host.sparse_matmul_format import SparseMatmulFormat, read_format
from vitforge_host.sparse_matmul_packets import pack_activations, result_bytes, unpack_results
from vitforge_host.sparse_matrix import DENSE, PackedMatrix, pack_matrix
from vitforge_host.sparse_matrix_checks import array_of

POINTERS = ("matrix",)
INPUTS = ("matrix_beats", "head_beats", "rows")
OUTPUTS = ("status", "cycles")
_BITFILE = "vitforge.bit"
_BLOCKS = 8  # of the default batch


@dataclass(frozen=True)
class MatmulStatistics:
    """Of the last call: rows, launches, and the cycles in which the array multiplied or drained."""

    rows: int = 0
    launches: int = 0
    cycles: int = 0


class _Slot:
    """Buffers of a launch of up to ``rows`` rows."""

    def __init__(self, runner: SparseMatmul, matrix: PackedMatrix, rows: int) -> None:
        format_ = runner.format
        self.rows = 0
        self.packet = runner._allocate((rows, format_.row_bytes(matrix.inputs)), np.uint8)
        self.results = runner._allocate((result_bytes(matrix, rows, format_),), np.uint8)


class SparseMatmul(PacketRunner):
    """An overlay of the sparse MAC array.

    Parameters
    ----------
    overlay : str or Path
        Bitstream, with its `.hwh` and `.sparse_matmul.json` beside it, or the folder of ``vitforge.bit``.
    device : pynq.Device, optional
        Default: pynq's active device.
    batch : int, optional
        Most rows of one launch; more are split. Default: eight of the blocks that the array multiplies at a time. Two
        launches have buffers at a time. A load makes it less if device memory does not hold them.
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
    >>> with SparseMatmul("my-project/overlay") as matmul:
    ...     matmul.load(weights, mult=mult, shift=shift, keep_inputs=mask, sparsity="2:4")  # (n, k) int8
    ...     result = matmul(activations)  # (m, k) int8 -> (m, n) int8
    """

    KERNEL = SPARSE_MATMUL

    def __init__(
        self,
        overlay: str | Path,
        device: Any = None,
        batch: int | None = None,
        timeout_s: float = 60.0,
        *,
        clock_mhz: float | None = None,
        wait: str = "auto",
    ) -> None:
        bitfile = Path(overlay) / _BITFILE if Path(overlay).is_dir() else Path(overlay)
        registers = Registers(INPUTS, OUTPUTS, POINTERS)
        super().__init__(registers, bitfile, device, 1 if batch is None else batch, timeout_s, wait)
        try:
            self.format: SparseMatmulFormat = read_format(self._beside(self.KERNEL.suffix))
            if batch is None:
                self.batch = self._wanted_batch = _BLOCKS * self.format.block_rows
            self._open(self.format, clock_mhz, {"rows": 0})
        except BaseException:
            self.close()
            raise
        self._matrix: PackedMatrix | None = None
        self._record: Any = None
        self._slots: list[_Slot] = []
        self.statistics = MatmulStatistics()

    # --- load ------------------------------------------------------------------------------------------------------
    def load(
        self,
        weights: ArrayLike,
        *,
        bias: ArrayLike | None = None,
        mult: ArrayLike | None = None,
        shift: ArrayLike | None = None,
        keep_inputs: ArrayLike | None = None,
        keep_outputs: ArrayLike | None = None,
        sparsity: str = DENSE,
    ) -> PackedMatrix:
        """Pack a matrix and use it from now on; arguments and errors are those of `pack_matrix`.

        Raises HostError if device memory does not hold it beside what was loaded before, which stays if anything
        fails. The packed matrix can be given to `load_packed` later.
        """
        with self._lock:
            self._check_usable()
            matrix = pack_matrix(
                weights,
                self.format,
                bias=bias,
                mult=mult,
                shift=shift,
                keep_inputs=keep_inputs,
                keep_outputs=keep_outputs,
                sparsity=sparsity,
            )
            self._use(matrix)
        return matrix

    def load_packed(self, matrix: PackedMatrix) -> None:
        """Use a matrix that was packed for this design.

        Raises InputError if it was damaged or is of another one, and HostError as `load` does.
        """
        if not isinstance(matrix, PackedMatrix):
            raise InputError(f"the matrix is a {type(matrix).__name__}; give one that pack_matrix or load returned")
        with self._lock:
            self._check_usable()
            if matrix.design_hash != self.format.design_hash:
                raise InputError("the matrix was packed for another design than that of the overlay; pack it again")
            self._use(matrix)

    def _use(self, matrix: PackedMatrix) -> None:
        matrix.check()
        self._check_packet(self.batch * self.format.row_bytes(matrix.inputs), f"batches of {self.batch} rows")
        self._check_packet(result_bytes(matrix, self.batch, self.format), f"results of batches of {self.batch} rows")
        before, batch = list(self._buffers), self.batch
        try:
            record = self._allocate(matrix.data.shape, np.uint8)
            record[:] = matrix.data
            record.flush()
            slots = self._as_memory_allows(lambda rows: self._make_slots(matrix, rows))
        except BaseException:
            self.batch = batch
            self._free([new for new in self._buffers if all(new is not old for old in before)])
            raise
        self._matrix, self._record, self._slots = matrix, record, slots
        self._free(before)

    def _make_slots(self, matrix: PackedMatrix, rows: int) -> list[_Slot]:
        """Two launches of up to ``rows`` rows; none for a matrix of which nothing is kept."""
        return [_Slot(self, matrix, rows) for _ in range(2)] if matrix.column_tiles else []

    # --- use -------------------------------------------------------------------------------------------------------
    def __call__(self, activations: ArrayLike) -> NDArray[np.signedinteger]:
        return self.run(activations)

    def run(self, activations: ArrayLike) -> NDArray[np.signedinteger]:
        """Rows times the matrix, (m, k) int8 -> (m, n) int8 or int32; outputs that are not kept are 0.

        The host packs the next batch, and unpacks the last one, while the accelerator runs.

        Raises
        ------
        InputError
            For rows before a load, of another size, no int8, or below what the DSPs of the board take; nothing has run.
        TransferError
            If a DMA transfer failed; there are no results, and the next call works.
        AcceleratorTimeout
            If a batch does not finish; the accelerator must then be opened again.
        ClosedError
            After ``close()`` or such a failure.
        """
        with self._lock:
            self._check_usable()
            if self._matrix is None:
                raise InputError("no matrix is on the accelerator; call load(weights) first")
            rows = self._checked(activations, self._matrix)
            self.statistics = MatmulStatistics()
            if not self._matrix.column_tiles:
                return np.zeros((len(rows), len(self._matrix.keep_outputs)), self._matrix.dtype)
            with self._in_flight():
                return np.concatenate(list(self._batches(rows, self._matrix, self.batch)))

    def benchmark(self, batches: Sequence[int] = (1, 8, 64, 512), *, launches: int = 10) -> Benchmark:
        """Time of host, transfers and accelerator for launches of each of ``batches`` random rows times what is loaded.

        Sizes above `batch` are left out. See `vitforge_host.benchmark.run_benchmark` for what is measured, and raised.
        """
        if self._matrix is None or not self._matrix.column_tiles:
            raise InputError("no matrix with a row to compute is on the accelerator; call load(weights) first")
        matrix = self._matrix
        lowest = self.format.activation_lowest
        numbers = np.random.default_rng(0).integers(lowest, 128, (self.batch, matrix.inputs), dtype=np.int8)

        def work(size: int, count: int) -> None:
            for _ in self._batches(np.concatenate([numbers[:size]] * count), matrix, size):
                pass

        return self._measure(work, batches, launches, "rows")

    def _batches(self, rows: NDArray[np.int8], matrix: PackedMatrix, size: int) -> Iterator[NDArray[np.signedinteger]]:
        """Results of ``rows`` in launches of ``size``."""
        running: tuple[_Slot, Launch] | None = None
        for index, start in enumerate(range(0, len(rows), size)):
            slot = self._slots[index % 2]
            launch = self._prepare(slot, rows[start : start + size], matrix)
            if running is not None:
                self._end(running[1])
            self._begin(launch)
            if running is not None:
                yield self._collect(running[0], matrix)
            running = slot, launch
        assert running is not None  # rows are not empty
        self._end(running[1])
        yield self._collect(running[0], matrix)

    def _prepare(self, slot: _Slot, rows: NDArray[np.int8], matrix: PackedMatrix) -> Launch:
        packed = pack_activations(rows, self.format)
        slot.packet[: len(rows)] = packed
        slot.rows = len(rows)
        return Launch(
            what=f"{len(rows)} rows",
            arguments={
                "matrix_beats": len(matrix.data) // self.format.beat_bytes,
                "head_beats": matrix.head_beats,
                "rows": len(rows),
            },
            packet=slot.packet,
            packet_bytes=packed.size,
            results=slot.results,
            result_bytes=result_bytes(matrix, len(rows), self.format),
            pointers={"matrix": int(self._record.device_address)},
        )

    def _end(self, launch: Launch) -> None:
        outputs = self._finish(launch)
        done = self.statistics
        self.statistics = MatmulStatistics(
            done.rows + launch.arguments["rows"], done.launches + 1, done.cycles + outputs["cycles"]
        )

    def _collect(self, slot: _Slot, matrix: PackedMatrix) -> NDArray[np.signedinteger]:
        size = result_bytes(matrix, slot.rows, self.format)
        return unpack_results(np.array(slot.results[:size], subok=False), matrix, slot.rows, self.format)

    def _checked(self, activations: ArrayLike, matrix: PackedMatrix) -> NDArray[np.int8]:
        rows = array_of("activations", activations)
        if rows.dtype != np.int8 or rows.ndim != 2 or rows.shape[1] != matrix.inputs or not len(rows):
            raise InputError(
                f"activations are {rows.shape} {rows.dtype}; expected (m, {matrix.inputs}) int8 with m at least 1"
            )
        lowest = self.format.activation_lowest
        if lowest > -128 and int(rows.min()) < lowest:
            row, column = np.argwhere(rows < lowest)[0].tolist()
            raise InputError(
                f"activations[{row}, {column}] is -128; the DSPs of this board take {lowest} to 127, so clip them"
            )
        return rows
