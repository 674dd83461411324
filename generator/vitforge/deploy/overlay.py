# SPDX-License-Identifier: Apache-2.0
"""The overlay for the simulated board: ``vitforge.hwh``, a stub ``vitforge.bit`` and the simulation manifest.

The `.hwh` has the parts that pynq reads (addresses, registers, clocks, memory ports) under the names that Vivado gives
them, so that one driver binds to this file and to the one of a real build.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from vitforge.boards import Board
from vitforge.codegen.environment import environment
from vitforge.design.design import Design
from vitforge.design.registers import (
    CONTROL_INTERFACE,
    IP_VLNV,
    SIM_SYMBOL,
    TOP_NAME,
    Bundle,
    Register,
    Word,
    address_bits,
    bundles,
    register_map,
    register_words,
)
from vitforge.errors import OutputError
from vitforge_host.clocks import divisor_at_most
from vitforge_host.sim.manifest import FORMAT
from vitforge_host.stub import stub_bitfile

OVERLAY_NAME = "vitforge"
INSTANCE = f"{TOP_NAME}_0"
CONTROL_BYTES = 0x10000  # address window of the control interface
_LIST_ENTRY_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class MemoryWindow:
    """A range of DDR behind a high-performance port, as Vivado names its address block."""

    block: str
    base: str
    high: str


@dataclass(frozen=True, kw_only=True)
class ProcessingSystem:
    """Names and clock rules of one PS family."""

    instance: str
    modtype: str
    vlnv: str
    master: str  # AXI master that reaches the registers
    slave: str  # high-performance port, {} = index
    base: int  # of the control registers
    windows: tuple[tuple[str, int, int], ...]  # address block after the port's name, first and last address


ZYNQMP = ProcessingSystem(
    instance="zynq_ultra_ps_e_0",
    modtype="zynq_ultra_ps_e",
    vlnv="xilinx.com:ip:zynq_ultra_ps_e:3.5",
    master="M_AXI_HPM0_FPD",
    slave="S_AXI_HP{}_FPD",
    base=0xA000_0000,
    windows=(("DDR_LOW", 0x0, 0x7FFF_FFFF), ("DDR_HIGH", 0x8_0000_0000, 0xF_FFFF_FFFF)),
)
ZYNQ7000 = ProcessingSystem(
    instance="processing_system7_0",
    modtype="processing_system7",
    vlnv="xilinx.com:ip:processing_system7:5.5",
    master="M_AXI_GP0",
    slave="S_AXI_HP{}",
    base=0x43C0_0000,
    windows=(("DDR_LOWOCM", 0x0, 0x1FFF_FFFF),),
)
PROCESSING_SYSTEMS = {"zynqmp": ZYNQMP, "zynq7000": ZYNQ7000}


@dataclass(frozen=True, kw_only=True)
class PortContext:
    """An m_axi port and the windows it sees through its PS port."""

    name: str
    data_bits: int
    slave: str
    windows: tuple[MemoryWindow, ...]


@dataclass(frozen=True, kw_only=True)
class HandoffContext:
    """overlay.hwh"""

    name: str
    device: str
    ps: ProcessingSystem
    ps_parameters: tuple[tuple[str, str], ...]
    ps_slaves: tuple[str, ...]
    instance: str
    top: str
    vlnv: str
    control: str
    control_bits: int
    control_bytes: int
    base: str
    high: str
    clock_hz: int
    words: tuple[Word, ...]
    ports: tuple[PortContext, ...]

    @classmethod
    def build(cls, design: Design) -> HandoffContext:
        board = design.board
        ps = PROCESSING_SYSTEMS[board.ps]
        ports = tuple(_port(design, ps, bundle) for bundle in bundles())
        registers = register_map()
        divisor = divisor_at_most(board.pll_mhz, design.clock_mhz)
        return cls(
            name=OVERLAY_NAME,
            device=board.part,
            ps=ps,
            ps_parameters=_clock_parameters(board, divisor),
            ps_slaves=tuple(dict.fromkeys(port.slave for port in ports)),
            instance=INSTANCE,
            top=TOP_NAME,
            vlnv=IP_VLNV,
            control=CONTROL_INTERFACE,
            control_bits=address_bits(registers),
            control_bytes=CONTROL_BYTES,
            base=f"0x{ps.base:08X}",
            high=f"0x{ps.base + CONTROL_BYTES - 1:08X}",
            clock_hz=round(board.pll_mhz / divisor * 1e6),
            words=register_words(registers),
            ports=ports,
        )


def render_handoff(design: Design) -> str:
    """Text of the `.hwh`."""
    template = environment().overlay(autoescape=True).get_template("overlay/overlay.hwh.jinja")
    return template.render(handoff=HandoffContext.build(design))


def render_manifest(design: Design, library: str | None) -> str:
    """Text of the simulation manifest; ``library`` is relative to its folder, None while there is none."""
    arguments = [_manifest_argument(register, design) for register in register_map()]
    entry = {"lib": library, "symbol": SIM_SYMBOL, "ctrl": "ap_ctrl_hs", "args": arguments}
    return json.dumps({"format": FORMAT, "ip": {INSTANCE: entry}, "streams": []}, indent=2) + "\n"


def overlay_files(design: Design, library: str | None = None) -> dict[str, bytes]:
    """Content of the overlay by file name; ``library`` as in `render_manifest`."""
    handoff = render_handoff(design).encode("utf-8")
    return {
        f"{OVERLAY_NAME}.hwh": handoff,
        f"{OVERLAY_NAME}.bit": stub_bitfile(handoff),
        f"{OVERLAY_NAME}.sim.json": render_manifest(design, library).encode("utf-8"),
    }


def write_overlay(directory: Path, design: Design, *, library: Path | None) -> None:
    """Write ``vitforge.hwh``, ``vitforge.bit`` and ``vitforge.sim.json`` into ``directory``.

    Parameters
    ----------
    directory : Path
        Created if absent.
    design : Design
    library : Path or None
        Csim shared library with ``vitforge_sim``; None leaves it to `link_library`.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    relative = None if library is None else _relative(library, directory)
    for name, content in overlay_files(design, relative).items():
        _write(directory / name, content)


def link_library(directory: Path, library: Path) -> None:
    """Enter ``library`` into the manifest of an overlay written before it was built."""
    path = directory / f"{OVERLAY_NAME}.sim.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["ip"][INSTANCE]["lib"] = _relative(library, directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is no simulation manifest of ours ({error}); generate the project again") from None
    _write(path, (json.dumps(document, indent=2) + "\n").encode("utf-8"))


def _manifest_argument(register: Register, design: Design) -> dict[str, object]:
    entry: dict[str, object] = {"name": register.name, "kind": register.kind, "offset": register.offset}
    if register.name == "images":
        entry |= {"min_bytes": design.image_beats * design.beat_bytes, "times": "n_images"}
    elif register.name == "logits":
        entry |= {"min_bytes": design.result_words * 4, "times": "n_images"}
    elif register.name.startswith("list_"):
        entry["min_bytes"] = _LIST_ENTRY_BYTES
    return entry


def _port(design: Design, ps: ProcessingSystem, bundle: Bundle) -> PortContext:
    index = bundle.hp_port % design.board.hp_ports
    windows = tuple(
        MemoryWindow(block=f"HP{index}_{name}", base=f"0x{base:010X}", high=f"0x{high:010X}")
        for name, base, high in ps.windows
    )
    return PortContext(
        name=f"m_axi_{bundle.name}", data_bits=design.axi_bits, slave=ps.slave.format(index), windows=windows
    )


def _clock_parameters(board: Board, divisor: int) -> tuple[tuple[str, str], ...]:
    """PL clock 0 enabled at the PLL over ``divisor``; the others off, at divisors for 100 MHz."""
    parameters: list[tuple[str, str]] = []
    for index in range(4):
        first, second = _split(divisor) if index == 0 else _split(divisor_at_most(board.pll_mhz, 100.0))
        enabled = "1" if index == 0 else "0"
        mhz = f"{board.pll_mhz / (first * second):.6f}"
        if board.ps == "zynq7000":
            clock = f"PCW_FCLK{index}_PERIPHERAL_"
            parameters += [(f"PCW_FPGA_FCLK{index}_ENABLE", enabled), (f"PCW_ACT_FPGA{index}_PERIPHERAL_FREQMHZ", mhz)]
            parameters += [(f"{clock}CLKSRC", "IO PLL")]
        else:
            clock = f"PSU__CRL_APB__PL{index}_REF_CTRL__"
            parameters += [(f"PSU__FPGA_PL{index}_ENABLE", enabled), (f"{clock}ACT_FREQMHZ", mhz)]
            parameters += [(f"{clock}SRCSEL", "IOPLL")]
        parameters += [(f"{clock}DIVISOR0", str(first)), (f"{clock}DIVISOR1", str(second))]
    return tuple(parameters)


def _split(divisor: int) -> tuple[int, int]:
    """The product as two factors of at most 63, the first as large as it goes."""
    first = max(factor for factor in range(1, 64) if divisor % factor == 0)
    return first, divisor // first


def _relative(library: Path, directory: Path) -> str:
    return Path(os.path.relpath(library.resolve(), directory.resolve())).as_posix()


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); free space or choose another place") from None
