# SPDX-License-Identifier: Apache-2.0
"""What the drivers of all our kernels share: overlay, clock, device memory, starting and waiting, and the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import numpy as np

from vitforge_host.benchmark import Benchmark, check_sizes, run_benchmark
from vitforge_host.clocks import set_at_most
from vitforge_host.errors import (
    AcceleratorTimeout,
    ClosedError,
    DeviceMemoryError,
    HostError,
    InputError,
    TransferError,
)
from vitforge_host.identity import REGISTERS, Identity, check_identity
from vitforge_host.installed import find_installed
from vitforge_host.overlay import AcceleratorIp, load_overlay
from vitforge_host.stopwatch import Stopwatch
from vitforge_host.waiting import Poller, Waiter, check_wait, make_waiter

START, DONE, IDLE = 1 << 0, 1 << 1, 1 << 2
PAUSE_S = 0.0005  # between polls of what should be at rest
_LOG = logging.getLogger(__name__)
_ABANDONED: list[Any] = []  # buffers that an accelerator which never finished may still write to
Self = TypeVar("Self", bound="Accelerator")
T = TypeVar("T")


class Accelerator:
    """One of our kernels in the overlay ``bitfile``; the other arguments as drivers say.

    Subclasses say which kernel in `KERNEL`, prepare it in their constructor and call `close` if that fails.
    """

    KERNEL: ClassVar[Identity]

    def __init__(self, bitfile: str | Path, device: Any, batch: int, timeout_s: float, wait: str) -> None:
        if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)) or batch < 1:
            raise InputError(f"batch is {batch!r}; it must be a whole number of at least 1")
        if not isinstance(timeout_s, (int, float, np.number)) or not timeout_s > 0:
            raise InputError(f"timeout_s is {timeout_s!r}; it must be a positive number of seconds")
        check_wait(wait)
        self.batch = self._wanted_batch = int(batch)
        self.timeout_s = float(timeout_s)
        self.clock_mhz = 0.0
        self._lock = threading.Lock()
        self._unusable = ""  # why, once it is
        self._buffers: list[Any] = []
        self._wait_mode = wait
        self._waiter: Waiter = Poller()
        self._running = Stopwatch()  # from starts until their ends are seen
        self._transferring = Stopwatch()
        self._overlay = load_overlay(bitfile, device)

    @classmethod
    def installed(cls: type[Self], name: str | None = None, device: Any = None, **options: Any) -> Self:
        """Open an overlay that was installed with this package, on a board or on the simulated one.

        Parameters
        ----------
        name : str, optional
            Of the overlay; may be left out if only one of this kernel is installed.
        device : pynq.Device, optional
            Default: pynq's active device.
        options
            As the constructor takes them: ``batch``, ``timeout_s``, ``clock_mhz``, ``wait``.

        Raises
        ------
        OverlayError
            If there is no such overlay, or for several and no name; else as the constructor does.
        """
        found = find_installed(name, cls.KERNEL)
        if found.blob is not None:
            options["blob_path"] = found.blob
        return cls(found.bitfile, device=device, **options)

    # --- setup -----------------------------------------------------------------------------------------------------
    def _find_ip(self, registers: list[str], wanted_mhz: float | None) -> None:
        """Find the IP, which must have ``registers`` beside those that all have, and set its clock."""
        self._ip = AcceleratorIp(self._overlay, self.KERNEL.ip_type)
        self._ip.require(["CTRL", *registers, *REGISTERS, *(f"{name}_ctrl" for name in REGISTERS)])
        self.clock_mhz = self._set_clock(wanted_mhz)
        self._waiter = make_waiter(self._wait_mode, self._overlay, self._ip)

    @property
    def waits_by(self) -> str:
        """How it waits for the end of a launch: "interrupt" or "poll"."""
        return self._waiter.name

    @property
    def simulated(self) -> bool:
        """Whether the board is a simulated one."""
        return bool(getattr(self._overlay.device, "simulated", False))

    @property
    def modelled_s(self) -> float:
        """Modelled time that the accelerator has run so far [s]; 0 on a real board."""
        return float(self._overlay.device.busy_s) if self.simulated else 0.0

    @property
    def waited_s(self) -> float:
        """Time from starts until their ends were seen, so far [s]."""
        return self._running.seconds

    @property
    def transferred_s(self) -> float:
        """Time of transfers between host and DDR so far [s], beside that in `waited_s`."""
        return self._transferring.seconds

    def _check_identity(self, design_hash: str) -> None:
        """After a launch, which fills the identity registers."""
        check_identity({name: self._ip.read_output(name) for name in REGISTERS}, design_hash, self.KERNEL)

    def _set_clock(self, wanted_mhz: float | None) -> float:
        limit = self._ip.clock_mhz
        if wanted_mhz is not None and limit is not None and wanted_mhz > limit:
            raise InputError(f"clock_mhz is {wanted_mhz:g}; the design was built for at most {limit:g} MHz")
        target = wanted_mhz if wanted_mhz is not None else limit
        if target is not None:
            return set_at_most(target)
        from pynq import Clocks

        return float(Clocks.fclk0_mhz)

    def _allocate(self, shape: Any, dtype: Any) -> Any:
        from pynq import allocate

        try:
            buffer = allocate(shape, dtype, target=self._overlay.device)
        except (RuntimeError, MemoryError, HostError) as error:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            raise DeviceMemoryError(
                f"no device memory for {size} bytes ({error}); free buffers or lower batch"
            ) from error
        self._buffers.append(buffer)
        return buffer

    def _as_memory_allows(self, make: Callable[[int], T]) -> T:
        """``make(batch)``, which allocates, with `batch` halved until device memory holds it."""
        self.batch = self._wanted_batch
        while True:
            before = list(self._buffers)
            try:
                made = make(self.batch)
            except DeviceMemoryError:
                self._free([new for new in self._buffers if all(new is not old for old in before)])
                if self.batch == 1:
                    raise
                self.batch //= 2
                continue
            if self.batch < self._wanted_batch:
                _LOG.warning("device memory holds launches of %d, not of %d", self.batch, self._wanted_batch)
            return made

    def _free(self, buffers: list[Any]) -> None:
        """Give some of what `_allocate` gave back early."""
        self._buffers = [kept for kept in self._buffers if all(kept is not buffer for buffer in buffers)]
        for buffer in buffers:
            buffer.freebuffer()

    # --- one launch ------------------------------------------------------------------------------------------------
    def _require_idle(self) -> None:
        if not self._ip.read("CTRL") & IDLE:  # reading also clears a done flag left over
            raise HostError(f"{self._ip.name} is busy although nothing was started; open the accelerator again")

    def _start(self) -> None:
        self._waiter.arm()
        self._started_at = time.perf_counter()
        self._ip.write("CTRL", START)

    def _until_done(self, job: Callable[[], tuple[str, str]], check: Callable[[], None] | None = None) -> None:
        """Wait for the end of a launch; ``check`` is called between polls and may raise.

        Raises AcceleratorTimeout with what ``job`` gives: what did not finish, and what was set for it.
        """
        waiting_since = time.perf_counter()
        while True:
            control = self._ip.read("CTRL")
            now = time.perf_counter()
            if control & DONE:
                self._running.seconds += now - self._started_at
                return
            if check is not None:
                check()
            if now - waiting_since > self.timeout_s:
                raise AcceleratorTimeout(self._diagnosis(*job(), control, now - waiting_since))
            self._waiter.pause(now - self._started_at)

    def _diagnosis(self, what: str, settings: str, control: int, elapsed: float) -> str:
        state = "idle" if control & IDLE else "running"
        advice = (
            "the start was not taken or AP_DONE was read by someone else; use only one driver on an IP"
            if control & IDLE
            else f"raise timeout_s if the batch is that long, else check that overlay and {self.KERNEL.partner} are "
            "of one project and that the PL clock runs, and open the accelerator again to reload the overlay"
        )
        return (
            f"{self._ip.name} did not finish {what} in {elapsed:.2f} s: CTRL 0x{control:02x} ({state}), {settings}, "
            f"clock {self.clock_mhz:g} MHz; {advice}"
        )

    @contextmanager
    def _in_flight(self) -> Iterator[None]:
        """Around launches: whatever ends them early leaves the accelerator ready, or marked as unusable."""
        try:
            yield
        except TransferError:
            raise  # whoever raises that has cleared up
        except HostError as error:
            self._unusable = f"failed before ({error})"
            raise
        except BaseException:  # an interrupt from the keyboard, say: leave no batch in flight
            self._drain()
            raise

    def _drain(self) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not self._idle():
            if time.monotonic() > deadline:
                self._unusable = "was interrupted and did not come to an end"
                return
            time.sleep(PAUSE_S)

    def _idle(self) -> bool:
        try:
            return bool(self._ip.read("CTRL") & IDLE)
        except HostError:  # the simulated board reports a fault this way; its run has ended
            return True

    # --- use and end -----------------------------------------------------------------------------------------------
    def _check_usable(self) -> None:
        again = f"again with {type(self).__name__}(...)"
        if self._unusable:
            raise ClosedError(f"the accelerator {self._unusable}; open it {again}")
        if not self._overlay.is_loaded():
            raise ClosedError(f"another overlay was loaded since; open the accelerator {again}")

    def _measure(self, work: Callable[[int, int], None], batches: Sequence[int], launches: int, unit: str) -> Benchmark:
        """`run_benchmark` of ``work``, with the lock held."""
        with self._lock:
            self._check_usable()
            sizes = check_sizes(batches, launches, self.batch)
            with self._in_flight():
                return run_benchmark(self, work, sizes, launches, unit)

    def close(self) -> None:
        """Give all device memory back; harmless when repeated."""
        if self._unusable == "is closed":
            return
        self._unusable = "is closed"
        self._waiter.close(self._overlay.is_loaded())
        buffers, self._buffers = self._buffers, []
        if buffers and not self._idle():
            _ABANDONED.extend(buffers)
            _LOG.warning("the accelerator still runs, so its buffers stay allocated until this process ends")
            return
        for buffer in buffers:
            buffer.freebuffer()

    def __enter__(self: Self) -> Self:
        self._check_usable()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
