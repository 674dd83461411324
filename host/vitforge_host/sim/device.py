# SPDX-License-Identifier: Apache-2.0
"""``SimDevice``: a pynq device whose programmable logic is the csim library of the overlay.

Importing this module registers the device with pynq. It offers itself only when ``VITFORGE_SIM=1`` is set and there is
no real board. pynq's ``Overlay``, ``allocate``, ``MMIO``, ``register_map`` and ``Clocks`` run on it unmodified.
"""

from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import Any

import pynq.ps
from pynq.pl_server.device import Device
from pynqmetadata.frontends import Metadata

from vitforge_host import sim
from vitforge_host.errors import OverlayError, SimulationError
from vitforge_host.sim.address import WORD, AddressMap, RegArray
from vitforge_host.sim.arena import Arena
from vitforge_host.sim.beside import Beside
from vitforge_host.sim.control import ControlBlock, Surroundings
from vitforge_host.sim.interrupts import InterruptNet
from vitforge_host.sim.manifest import read_manifest
from vitforge_host.sim.memory import SimMemory
from vitforge_host.sim.models import build_models
from vitforge_host.sim.ps import ProcessingSystem, map_ps
from vitforge_host.stub import check_stub

try:
    from pynqmetadata.views.runtime import RuntimeMetadataParser
except ImportError:  # pynq 3
    from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser

RUN_MODES = ("thread", "sync")


class SimDevice(Device):
    """A simulated board.

    Parameters
    ----------
    name : str
        Device name, by which pynq resolves ``<overlay>.bit.d`` folders.
    strict : bool
        Keep the CPU's and the accelerator's view of each buffer apart until flush or invalidate.
    run_mode : str
        "thread": the accelerator runs beside the host; "sync": it runs inside the write of AP_START.
    register_rw : bool
        Offer pynq's REGISTER_RW access instead of MEMORY_MAPPED.
    ddr_bytes : int
        Bytes of simulated memory for buffers.
    idle_polls, run_limit_s : int, float
        Watchdog limits, see `Surroundings`.

    Attributes
    ----------
    busy_s : float
        Modelled time that accelerators have run since the last download [s]; zero if the library models no cycles.
    cycles : int
        The same in clock cycles.
    """

    _probe_priority_ = 10
    simulated = True

    @classmethod
    def _probe_(cls) -> list[SimDevice]:
        return [cls()] if sim.requested() and not sim.on_board() else []

    def __init__(
        self,
        name: str = "sim",
        *,
        strict: bool = True,
        run_mode: str = "thread",
        register_rw: bool = False,
        ddr_bytes: int = 1 << 30,
        idle_polls: int = 200_000,
        run_limit_s: float = 3600.0,
    ) -> None:
        super().__init__(name)
        if run_mode not in RUN_MODES:
            raise SimulationError(f"run_mode is {run_mode!r}; it must be one of {', '.join(RUN_MODES)}")
        self.name = name
        self.arch = "aarch64"
        self.capabilities = {"MEMORY_MAPPED": not register_rw, "REGISTER_RW": register_rw, "CALLABLE": False}
        self.strict = strict
        self.run_mode = run_mode
        self.busy_s = 0.0
        self.cycles = 0
        self.timestamp = ""
        self._limits = (idle_polls, run_limit_s)
        self._ddr_bytes = ddr_bytes
        self._ps_family = ""
        self._ps: ProcessingSystem | None = None
        self._bus = AddressMap(Beside())
        self._regions: list[str] = []  # names of the overlay's on the bus
        self._blocks: list[ControlBlock] = []
        self._memory: SimMemory | None = None
        self._time_lock = threading.Lock()

    # --- overlay ---------------------------------------------------------------------------------------------------
    def get_bitfile_metadata(self, bitfile: str, partial: bool = False) -> Any:
        """Parse the .hwh beside ``bitfile``; map the clock registers, which pynq writes before it calls `download`."""
        if partial:
            raise SimulationError("partial reconfiguration is not simulated; load the whole overlay")
        handoff = Path(bitfile).with_suffix(".hwh")
        if not handoff.is_file():
            raise OverlayError(f"{handoff} is missing; .bit and .hwh of an overlay belong in one folder")
        check_stub(Path(bitfile), handoff)
        parser = RuntimeMetadataParser(Metadata(input=str(handoff)))
        self._fill_clock_frequencies(parser)
        self._select_ps(parser.family_ps)
        self._claim_clocks()
        memory = self.default_memory
        parser.mem_dict["PSDDR"] = {
            "raw_type": 1,
            "used": 1,
            "type": "DDR4",
            "streaming": False,
            "base_address": memory.base_address,
            "size": memory.size,
            "idx": 0,
            "tag": "PSDDR",
            "fullpath": "PSDDR",
        }
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Build the models of all IPs from ``<overlay>.sim.json``; all state of the former overlay is gone."""
        if parser is None:
            parser = self.get_bitfile_metadata(bitstream.bitfile_name)
        manifest = read_manifest(Path(bitstream.bitfile_name).with_suffix(".sim.json"))
        addressed = {name: entry for name, entry in parser.ip_dict.items() if "phys_addr" in entry}
        idle_polls, run_limit_s = self._limits
        lock = threading.RLock()
        net = InterruptNet(parser.interrupt_pins, parser.interrupt_controllers, lock, self._bus.running)
        around = Surroundings(
            self.default_memory.arena,
            self._account,
            self.run_mode,
            idle_polls,
            run_limit_s,
            lock,
            net.drive,
            self._bus.running,
        )
        models = build_models(manifest, addressed, around, net.controllers)
        self.close()
        self._blocks = [model for model in models.values() if isinstance(model, ControlBlock)]
        self._bus.running.watchers.clear()
        self._bus.remove(self._regions)
        self._regions = list(addressed)
        for name, entry in addressed.items():
            self._bus.add(name, entry["phys_addr"], entry["addr_range"], models[name])
        self.busy_s = 0.0
        self.cycles = 0
        net.offer()
        if net.controllers:  # pynq looks interrupts up on the active device
            Device.active_device = self
        self.post_download(bitstream, parser, self.name)

    def _account(self, cycles: int) -> None:
        assert self._ps is not None  # or nothing could run
        with self._time_lock:
            self.cycles += cycles
            self.busy_s += cycles / (self._ps.clocks.mhz * 1e6)

    # --- processing system -----------------------------------------------------------------------------------------
    def pl_clock_mhz(self) -> float:
        """Present frequency of PL clock 0 [MHz], from the clock registers."""
        if self._ps is None:
            raise SimulationError("no overlay has been loaded, so there is no clock yet; load one with Overlay(...)")
        return self._ps.clocks.mhz

    def _select_ps(self, family: str) -> None:
        """Map the PS registers at the first overlay, and again only when the family changes: reloads keep the PS."""
        if self._ps is not None and family == self._ps_family:
            return
        self._bus.clear()
        self._regions = []
        self._ps = map_ps(family, self._bus)
        self._ps_family = family
        self.arch = self._ps.arch
        size = min(self._ddr_bytes, self._ps.ddr_limit)
        self._memory = SimMemory(self, Arena(self._ps.ddr_base, size, self.strict))

    def _claim_clocks(self) -> None:
        """pynq keeps one Clocks backend per process, tied to the device it was first made for: drop that of another."""
        if hasattr(pynq.ps.Clocks, "_real_instance"):
            del pynq.ps.Clocks._real_instance
        if not hasattr(pynq.ps.Clocks, "set_device"):  # pynq 3.0: clocks of the active device, by this machine's CPU
            Device.active_device = self
            pynq.ps.CPU_ARCH = self.arch

    @staticmethod
    def _fill_clock_frequencies(parser: Any) -> None:
        """pynq 4.0 looks for frequencies under their UltraScale+ names only and would fail on a Zynq-7000."""
        for index, clock in parser.clock_dict.items():
            name = f"PCW_ACT_FPGA{index}_PERIPHERAL_FREQMHZ"
            if clock.get("frequency") is None and name in parser.ps.parameters:
                clock["frequency"] = float(parser.ps.parameters[name].value)

    # --- registers -------------------------------------------------------------------------------------------------
    def mmap(self, base_addr: int, length: int) -> RegArray:
        """Registers at ``base_addr`` as an array of 32-bit words."""
        return RegArray(self._bus, base_addr, length // WORD)

    def read_registers(self, address: int, length: int) -> bytes:
        return struct.pack(f"<{length // WORD}I", *(self._bus.read(address + i) for i in range(0, length, WORD)))

    def write_registers(self, address: int, data: bytes) -> None:
        for i, (word,) in enumerate(struct.iter_unpack("<I", bytes(data))):
            self._bus.write(address + WORD * i, word)

    # --- memory ----------------------------------------------------------------------------------------------------
    @property
    def default_memory(self) -> SimMemory:
        """The PS DDR; as on a board it can be used once an overlay is loaded."""
        if self._memory is None:
            raise RuntimeError("Overlay is not downloaded")
        return self._memory

    def get_memory(self, description: dict[str, Any]) -> SimMemory:
        return self.default_memory

    def flush(self, bo: Any, offset: int, vaddr: int, nbytes: int) -> None:
        bo.flush(offset, nbytes)
        self._bus.running.settle()
        for block in self._blocks:
            block.expect()

    def invalidate(self, bo: Any, offset: int, vaddr: int, nbytes: int) -> None:
        bo.invalidate(offset, nbytes)

    # --- what a board does in sysfs --------------------------------------------------------------------------------
    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        """Nothing to cache."""

    def shutdown(self) -> None:
        """No AXI connections to shut down."""

    def close(self) -> None:
        """End the threads of the accelerators; the next run starts one again."""
        for block in self._blocks:
            block.close()

    def insert_device_tree(self, abs_dtbo: str) -> None:
        """No device tree."""

    def remove_device_tree(self, abs_dtbo: str) -> None:
        """No device tree."""
