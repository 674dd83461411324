# SPDX-License-Identifier: Apache-2.0
"""Control registers of a Vitis HLS block with ap_ctrl_hs, and its arguments on AXI4-Lite (UG1399)."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from vitforge_host.errors import SimulationError, WatchdogError
from vitforge_host.sim.manifest import IpSpec
from vitforge_host.sim.worker import Worker

CTRL, GIER, IER, ISR = 0x00, 0x04, 0x08, 0x0C
START, DONE, IDLE, READY, AUTO_RESTART = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 7


@dataclass(frozen=True)
class Surroundings:
    """What an IP needs of its board.

    ``resolve(address, nbytes, what)`` gives the host address behind a physical one, which stays as long as
    ``changes()`` does; ``busy(cycles)`` accounts time.
    """

    resolve: Callable[[int, int, str], int]
    changes: Callable[[], int]
    busy: Callable[[int], None]
    run_mode: str  # "thread" or "sync"
    idle_polls: int  # status reads while nothing runs, without a write between them, that the watchdog allows
    run_limit_s: float  # seconds that one run may take while it is polled [s of the machine that simulates]
    lock: AbstractContextManager[object] = field(default_factory=threading.RLock)  # over the state of all IPs
    interrupt: Callable[[str, bool], None] = lambda pin, level: None  # sets an interrupt pin by its full name
    running: set[str] = field(default_factory=set)  # names of the blocks that compute at present


class ControlBlock(ABC):
    """Registers of one block; what it does when started, `_begin` of a subclass says.

    A start is taken only when idle. AP_DONE and AP_READY clear on read. What goes wrong in a run is raised by each
    CTRL read until the next start.
    """

    def __init__(self, spec: IpSpec, surroundings: Surroundings) -> None:
        self._spec = spec
        self._around = surroundings
        self._words: dict[int, int] = {}
        self._pin = f"{spec.name}/interrupt"
        self._outputs = {a.offset: a for a in spec.arguments if a.kind == "out32"}
        self._pointers = {
            a.name: (a.offset, a.min_bytes, a.times, f"argument {a.name} of {spec.name}")
            for a in spec.arguments
            if a.kind == "ptr"
        }
        self._valid = {a.offset + 4: False for a in self._outputs.values()}
        self._lock = surroundings.lock
        self._worker = Worker(f"sim-{spec.name}")
        self._started = False
        self._sticky = 0  # DONE and READY not yet read
        self._interrupts = 0  # IP_ISR
        self._failure: Exception | None = None
        self._polls = 0
        self._started_at = 0.0
        self.runs = 0

    def read(self, offset: int) -> int:
        """A 32-bit register."""
        if offset == CTRL:
            return self._read_control()
        if offset == ISR:
            return self._interrupts
        if offset in self._valid:
            with self._lock:
                valid, self._valid[offset] = self._valid[offset], False
            return int(valid)
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A 32-bit register; writes to outputs are ignored, as the bus ignores them."""
        self._polls = 0
        if offset == CTRL:
            if value & AUTO_RESTART:
                raise SimulationError(f"{self._spec.name}: AUTO_RESTART is not simulated; start each run by itself")
            if value & START and not self._started:
                self._start()
        elif offset == ISR:
            self._interrupts ^= value & 3
        elif offset not in self._outputs and offset not in self._valid:
            self._words[offset] = value
        if offset in (GIER, IER, ISR):
            self._drive_interrupt()

    def close(self) -> None:
        """End its thread; a run that goes on is left to itself."""
        self._worker.close(wait=self._spec.name not in self._around.running)

    # --- for subclasses ----------------------------------------------------------------------------------------------
    @abstractmethod
    def _begin(self) -> None:
        """Called at a start; leads to `_end`, now or later."""

    def _waits_for(self) -> str:
        """What a started block needs from outside before it can go on; empty while it does."""
        return ""

    def _address(self, argument: str, scalars: Mapping[str, int]) -> int:
        """Host address behind a pointer argument; all that ``scalars`` (i32 by name) make it read must be there."""
        offset, min_bytes, times, what = self._pointers[argument]
        address = self._words.get(offset, 0) | self._words.get(offset + 4, 0) << 32
        return self._around.resolve(address, max(min_bytes * scalars[times] if times else min_bytes, 1), what)

    def _compute(self, run: Callable[[], Callable[[], None]]) -> None:
        """Call ``run`` inside this register write, or in the thread of the block, and then what it returns."""
        self._started_at = time.monotonic()
        self._around.running.add(self._spec.name)

        def whole() -> None:
            try:
                after = run()
            except Exception as error:  # reported to whoever polls, as a hung bus would be
                after = partial(self._end, {}, error)
            with self._lock:
                self._around.running.discard(self._spec.name)
                after()

        if self._around.run_mode == "sync":
            whole()
        else:
            self._worker.call(whole)

    def _end(self, outputs: dict[str, int], failure: Exception | None = None) -> None:
        with self._lock:
            for argument in self._outputs.values():
                if argument.name in outputs:
                    self._words[argument.offset] = outputs[argument.name]
                    self._valid[argument.offset + 4] = True
            self._failure = failure
            self._sticky = DONE | READY
            self._interrupts |= self._words.get(IER, 0) & 3
            self._polls = 0
            self._started = False
        self._drive_interrupt()

    def _drive_interrupt(self) -> None:
        self._around.interrupt(self._pin, bool(self._words.get(GIER, 0) & 1 and self._interrupts))

    # --- CTRL --------------------------------------------------------------------------------------------------------
    def _read_control(self) -> int:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            sticky, self._sticky = self._sticky, 0
            self._watch(sticky)
            return sticky | (START if self._started else IDLE)

    def _start(self) -> None:
        with self._lock:
            self._started = True
            self._sticky = 0
            self._failure = None
        self.runs += 1
        if self._around.run_mode == "thread":
            self._worker.wake()
        self._begin()

    def _watch(self, sticky: int) -> None:
        """Turn polling that cannot end into an exception."""
        if sticky:
            self._polls = 0
            return
        self._polls += 1
        if self._around.running:
            self._watch_time()
        elif self._polls > self._around.idle_polls:
            lacks = self._waits_for() if self._started else ""
            state = f"has been started but {lacks}" if lacks else "is idle"
            cure = "" if lacks else "; write AP_START, and note that AP_DONE clears on read"
            raise WatchdogError(
                f"CTRL of {self._spec.name} was read {self._polls} times while the block {state} ({self.runs} runs so "
                f"far){cure}"
            )

    def _watch_time(self) -> None:
        elapsed = time.monotonic() - self._started_at
        if self._started and not self._waits_for() and elapsed > self._around.run_limit_s:
            raise WatchdogError(
                f"{self._spec.name} has been running for {elapsed:.1f} s (run {self.runs}, {self._polls} CTRL "
                "reads) without an end; it waits for data that never comes, or the job lists have no end"
            )


def signed(word: int) -> int:
    """The 32-bit word as a signed integer."""
    return word - (1 << 32) if word & 0x80000000 else word
