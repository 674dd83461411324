# SPDX-License-Identifier: Apache-2.0
"""Control registers of a Vitis HLS block with ap_ctrl_hs, and its arguments on AXI4-Lite (UG1399)."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from vitforge_host.errors import KernelFault, SimulationError, WatchdogError
from vitforge_host.sim.arena import Arena
from vitforge_host.sim.beside import Beside
from vitforge_host.sim.kernel import CsimFunction
from vitforge_host.sim.manifest import IpSpec

CTRL, GIER, IER, ISR, ARGUMENTS = 0x00, 0x04, 0x08, 0x0C, 0x10  # the last: the first of them
START, DONE, IDLE, READY, AUTO_RESTART = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 7


@dataclass(frozen=True)
class Surroundings:
    """What an IP needs of its board.

    ``busy(cycles)`` accounts time.
    """

    memory: Arena
    busy: Callable[[int], None]
    run_mode: str  # "thread" or "sync"
    idle_polls: int  # status reads while nothing runs, without a write between them, that the watchdog allows
    run_limit_s: float  # seconds that one run may take while it is polled [s of the machine that simulates]
    lock: AbstractContextManager[object] = field(default_factory=threading.RLock)  # over the state of all IPs
    interrupt: Callable[[str, bool], None] = lambda pin, level: None  # sets an interrupt pin by its full name
    running: Beside = field(default_factory=Beside)  # the blocks that compute at present


class ControlBlock(ABC):
    """Registers of one block; what it does when started, `_begin` of a subclass says.

    A start is taken only when idle. AP_DONE and AP_READY clear on read. What goes wrong in a run is raised by each
    CTRL read until the next start.
    """

    def __init__(self, spec: IpSpec, function: CsimFunction, surroundings: Surroundings) -> None:
        self._spec = spec
        self._function = function
        self._around = surroundings
        self._is_beside = surroundings.run_mode == "thread"
        self._words: dict[int, int] = {}  # what was written, by offset
        self._results: Callable[[], Mapping[str, int]] = dict  # outputs of the last run, by name
        self._pin = f"{spec.name}/interrupt"
        self._outputs = {a.offset: a.name for a in spec.arguments if a.kind == "out32"}
        self._pointers = {
            a.name: (a.offset, a.min_bytes, a.times, f"argument {a.name} of {spec.name}")
            for a in spec.arguments
            if a.kind == "ptr"
        }
        self._valid = dict.fromkeys((offset + 4 for offset in self._outputs), False)
        self._lock = surroundings.lock
        self._after: Callable[[int], None] | None = None  # what follows the run that goes on, given its cycles
        self._started = False
        self._sticky = 0  # DONE and READY not yet read
        self._interrupts = 0  # IP_ISR
        self._level = False  # of the interrupt pin
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
        if offset in self._outputs:
            return self._results().get(self._outputs[offset], 0)
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A 32-bit register; writes to outputs are ignored, as the bus ignores them."""
        self._polls = 0
        if offset >= ARGUMENTS:
            if offset not in self._outputs and offset not in self._valid:
                self._words[offset] = value
        elif offset == CTRL:
            if value & AUTO_RESTART:
                raise SimulationError(f"{self._spec.name}: AUTO_RESTART is not simulated; start each run by itself")
            if value & START and not self._started:
                self._start()
        else:
            if offset == ISR:
                self._interrupts ^= value & 3
            else:
                self._words[offset] = value
            self._drive_interrupt()

    def settle(self) -> None:
        """Take over a run that has ended."""
        with self._lock:
            if self._after is not None and self._is_beside and self._function.ended.value:
                self._conclude(self._function.result)

    def expect(self) -> None:
        """A start is near: its thread comes up for it."""
        if self._is_beside and not self._started:
            self._function.expect()

    def close(self) -> None:
        """End its thread; a run that goes on is left to itself."""
        self._function.close()

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
        return self._around.memory.resolve(address, max(min_bytes * scalars[times] if times else min_bytes, 1), what)

    def _compute(self, arguments: Sequence[object], after: Callable[[int], None]) -> None:
        """Run inside this register write, or in the thread of the block, and then call ``after`` with the cycles."""
        self._started_at = time.monotonic()
        if not self._is_beside:
            self._after = after
            self._around.running.begin(self)
            self._conclude(lambda: self._function.call(*arguments))
            return
        try:
            with self._lock:  # or somebody who looks would take the end of the last run for that of this one
                self._function.start(*arguments)
                self._after = after
                self._around.running.begin(self)
        except SimulationError as error:
            self._end(failure=error)

    def _conclude(self, cycles: Callable[[], int]) -> None:
        after, self._after = self._after, None
        assert after is not None
        try:
            follow = partial(after, cycles())
        except KernelFault as error:  # reported to whoever polls, as a hung bus would be
            follow = partial(self._end, failure=error)
        self._around.running.end(self)
        follow()

    def _end(self, results: Callable[[], Mapping[str, int]] | None = None, failure: Exception | None = None) -> None:
        with self._lock:
            if results is not None:
                self._results = results
                self._valid = dict.fromkeys(self._valid, True)
            self._failure = failure
            self._sticky = DONE | READY
            self._interrupts |= self._words.get(IER, 0) & 3
            self._polls = 0
            self._started = False
        self._drive_interrupt()

    def _drive_interrupt(self) -> None:
        with self._lock:
            level = bool(self._words.get(GIER, 0) & 1 and self._interrupts)
            if level != self._level:
                self._level = level
                self._around.interrupt(self._pin, level)

    # --- CTRL --------------------------------------------------------------------------------------------------------
    def _read_control(self) -> int:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            sticky, self._sticky = self._sticky, 0
            if sticky:
                self._polls = 0
            else:
                self._watch()
            return sticky | (START if self._started else IDLE)

    def _start(self) -> None:
        with self._lock:
            self._started = True
            self._sticky = 0
            self._failure = None
        self.runs += 1
        self._begin()

    def _watch(self) -> None:
        """Turn polling that cannot end into an exception."""
        self._polls += 1
        if self._around.running.blocks:
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
