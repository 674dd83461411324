# SPDX-License-Identifier: Apache-2.0
"""Model of a Vitis HLS block with ap_ctrl_hs on AXI4-Lite, its arguments in registers (UG1399)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from vitforge_host.errors import SimulationError, WatchdogError
from vitforge_host.sim.kernel import KernelFunction
from vitforge_host.sim.manifest import ArgumentSpec, IpSpec

CTRL, GIER, IER, ISR = 0x00, 0x04, 0x08, 0x0C
STACK_BYTES = 256 << 20  # reserved, not committed
START, DONE, IDLE, READY, AUTO_RESTART = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 7


@dataclass(frozen=True)
class Surroundings:
    """What an IP needs of its board.

    ``resolve(address, nbytes, what)`` gives the host address behind a physical one; ``busy(cycles)`` accounts time.
    """

    resolve: Callable[[int, int, str], int]
    busy: Callable[[int], None]
    run_mode: str  # "thread" or "sync"
    idle_polls: int  # CTRL reads of an idle block, without a write between them, that the watchdog allows
    run_limit_s: float  # seconds that one run may take while it is polled [s of the machine that simulates]


class HlsIP:
    """Registers and runs of one block.

    A start is taken only when idle. AP_DONE and AP_READY clear on read. What goes wrong in a run is raised by each
    CTRL read until the next start.
    """

    def __init__(self, spec: IpSpec, kernel: KernelFunction, surroundings: Surroundings) -> None:
        self._spec = spec
        self._kernel = kernel
        self._around = surroundings
        self._words: dict[int, int] = {}
        self._outputs = {a.offset: a for a in spec.arguments if a.kind == "out32"}
        self._valid = {a.offset + 4: False for a in self._outputs.values()}
        self._lock = threading.Lock()
        self._running = False
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
            if value & START and not self._running:
                self._start()
        elif offset == ISR:
            self._interrupts ^= value & 3
        elif offset not in self._outputs and offset not in self._valid:
            self._words[offset] = value

    def _read_control(self) -> int:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            running, sticky = self._running, self._sticky
            self._sticky = 0
        self._watch(running, sticky)
        return sticky | (START if running else IDLE)

    def _start(self) -> None:
        with self._lock:
            self._running = True
            self._sticky = 0
            self._failure = None
        self._started_at = time.monotonic()
        self.runs += 1
        if self._around.run_mode == "sync":
            self._run()
        else:
            _start_thread(self._run, f"sim-{self._spec.name}")

    def _run(self) -> None:
        failure: Exception | None = None
        outputs: dict[str, int] = {}
        try:
            scalars = {a.name: _signed(self._words.get(a.offset, 0)) for a in self._spec.arguments if a.kind == "i32"}
            cycles, outputs = self._kernel([self._value(a, scalars) for a in self._spec.arguments])
            self._around.busy(cycles)
        except Exception as error:  # reported to whoever polls, as a hung bus would be
            failure = error
        with self._lock:
            for argument in self._outputs.values():
                if argument.name in outputs:
                    self._words[argument.offset] = outputs[argument.name]
                    self._valid[argument.offset + 4] = True
            self._failure = failure
            self._sticky = DONE | READY
            self._interrupts |= self._words.get(IER, 0) & 3
            self._running = False

    def _value(self, argument: ArgumentSpec, scalars: dict[str, int]) -> int:
        if argument.kind == "i32":
            return scalars[argument.name]
        if argument.kind == "out32":
            return 0
        address = self._words.get(argument.offset, 0) | self._words.get(argument.offset + 4, 0) << 32
        nbytes = argument.min_bytes * (max(scalars[argument.times], 0) if argument.times else 1)
        return self._around.resolve(address, max(nbytes, 1), f"argument {argument.name} of {self._spec.name}")

    def _watch(self, running: bool, sticky: int) -> None:
        """Turn polling that cannot end into an exception."""
        if sticky:
            self._polls = 0
            return
        self._polls += 1
        if running:
            elapsed = time.monotonic() - self._started_at
            if elapsed > self._around.run_limit_s:
                raise WatchdogError(
                    f"{self._spec.name} has been running for {elapsed:.1f} s (run {self.runs}, {self._polls} CTRL "
                    "reads) without an end; it waits for data that never comes, or the job lists have no end"
                )
        elif self._polls > self._around.idle_polls:
            raise WatchdogError(
                f"CTRL of {self._spec.name} was read {self._polls} times while the block is idle ({self.runs} runs so "
                "far); write AP_START, and note that AP_DONE clears on read"
            )


def _start_thread(target: Callable[[], None], name: str) -> None:
    """A daemon thread with room for the on-chip memories of a kernel, which C++ keeps on the stack."""
    usual = threading.stack_size(STACK_BYTES)
    try:
        threading.Thread(target=target, name=name, daemon=True).start()
    finally:
        threading.stack_size(usual)


def _signed(word: int) -> int:
    return word - (1 << 32) if word & 0x80000000 else word
