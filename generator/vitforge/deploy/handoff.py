# SPDX-License-Identifier: Apache-2.0
"""The `.hwh` of an overlay for the simulated board: a processing system, and IPs of any kind on it.

It has the parts that pynq reads (addresses, registers, clocks, memory ports, interrupts) under the names that Vivado
gives them, so that one driver binds to this file and to the one of a real build.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vitforge.boards import Board
from vitforge.codegen.environment import environment
from vitforge.deploy.interrupts import CONCAT, CONCAT_VLNV, INTC, INTC_CONTROL, INTC_VLNV, Pin, interrupt_wires
from vitforge.design.registers import (
    CONTROL_INTERFACE,
    Register,
    Word,
    address_bits,
    ip_vlnv,
    register_words,
)
from vitforge_host.clocks import divisor_at_most

OVERLAY_NAME = "vitforge"
CONTROL_BYTES = 0x10000  # address window of the registers of an IP


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
    interrupt: str  # its pin for interrupts
    base: int  # of the registers of the first IP
    address_bits: int  # of DDR
    windows: tuple[tuple[str, int, int], ...]  # address block after the port's name, first and last address


ZYNQMP = ProcessingSystem(
    instance="zynq_ultra_ps_e_0",
    modtype="zynq_ultra_ps_e",
    vlnv="xilinx.com:ip:zynq_ultra_ps_e:3.5",
    master="M_AXI_HPM0_FPD",
    slave="S_AXI_HP{}_FPD",
    interrupt="pl_ps_irq0",
    base=0xA000_0000,
    address_bits=40,
    windows=(("DDR_LOW", 0x0, 0x7FFF_FFFF), ("DDR_HIGH", 0x8_0000_0000, 0xF_FFFF_FFFF)),
)
ZYNQ7000 = ProcessingSystem(
    instance="processing_system7_0",
    modtype="processing_system7",
    vlnv="xilinx.com:ip:processing_system7:5.5",
    master="M_AXI_GP0",
    slave="S_AXI_HP{}",
    interrupt="IRQ_F2P",
    base=0x43C0_0000,
    address_bits=32,
    windows=(("DDR_LOWOCM", 0x0, 0x1FFF_FFFF),),
)
PROCESSING_SYSTEMS = {"zynqmp": ZYNQMP, "zynq7000": ZYNQ7000}


@dataclass(frozen=True, kw_only=True)
class PortContext:
    """A memory port of an IP and the windows it sees through its PS port."""

    name: str
    data_bits: int
    slave: str
    windows: tuple[MemoryWindow, ...]


@dataclass(frozen=True, kw_only=True)
class StreamContext:
    """An AXI4-Stream port of an IP; ``bus`` names the connection."""

    name: str
    kind: str  # INITIATOR or TARGET
    bus: str
    data_bits: int


@dataclass(frozen=True, kw_only=True)
class ModuleContext:
    """An IP in the block design; its registers lie at ``base``."""

    instance: str
    modtype: str
    vlnv: str
    control: str  # the interface of its registers
    range: int
    base: str
    high: str
    words: tuple[Word, ...]
    parameters: tuple[tuple[str, str], ...]
    ports: tuple[PortContext, ...] = ()
    streams: tuple[StreamContext, ...] = ()
    interrupts: tuple[str, ...] = ()  # its pins for them


@dataclass(frozen=True, kw_only=True)
class PinContext:
    """A pin on an interrupt; ``others`` are at the other end of ``signal``."""

    name: str
    direction: str  # I or O
    signal: str
    others: tuple[Pin, ...]


@dataclass(frozen=True, kw_only=True)
class HandoffContext:
    """overlay.hwh"""

    name: str
    device: str
    ps: ProcessingSystem
    ps_parameters: tuple[tuple[str, str], ...]
    ps_slaves: tuple[str, ...]
    clock_hz: int
    modules: tuple[ModuleContext, ...]
    pins: dict[str, list[PinContext]]  # on interrupts, by instance

    @classmethod
    def build(cls, board: Board, clock_mhz: float, modules: Sequence[ModuleContext]) -> HandoffContext:
        divisor, ps = divisor_at_most(board.pll_mhz, clock_mhz), PROCESSING_SYSTEMS[board.ps]
        sources = interrupt_sources(modules)
        return cls(
            name=OVERLAY_NAME,
            device=board.part,
            ps=ps,
            ps_parameters=_clock_parameters(board, divisor),
            ps_slaves=tuple(dict.fromkeys(port.slave for module in modules for port in module.ports)),
            clock_hz=round(board.pll_mhz / divisor * 1e6),
            modules=(*modules, *_controller(board, len(modules), len(sources))),
            pins=_pins(list(interrupt_wires(sources, (ps.instance, ps.interrupt)))),
        )


def render_handoff(board: Board, clock_mhz: float, modules: Sequence[ModuleContext]) -> str:
    """Text of the `.hwh`."""
    template = environment().overlay(autoescape=True).get_template("overlay/overlay.hwh.jinja")
    return template.render(handoff=HandoffContext.build(board, clock_mhz, modules))


def kernel_module(
    board: Board,
    top: str,
    registers: tuple[Register, ...],
    *,
    ports: tuple[PortContext, ...] = (),
    streams: tuple[StreamContext, ...] = (),
) -> ModuleContext:
    """The IP that Vitis HLS makes of the top function ``top``; it is the first one of the overlay."""
    base, high = module_address(board, 0)
    widths = {f"C_{port.name.upper()}_DATA_WIDTH": port.data_bits for port in ports}
    control = f"C_{CONTROL_INTERFACE.upper()}"
    parameters = {f"{control}_ADDR_WIDTH": address_bits(registers), f"{control}_DATA_WIDTH": 32} | widths
    return ModuleContext(
        instance=instance_of(top),
        modtype=top,
        vlnv=ip_vlnv(top),
        control=CONTROL_INTERFACE,
        range=CONTROL_BYTES,
        base=base,
        high=high,
        words=register_words(registers),
        parameters=tuple((name, str(value)) for name, value in parameters.items()),
        ports=ports,
        streams=streams,
        interrupts=("interrupt",),
    )


def interrupt_sources(modules: Sequence[ModuleContext]) -> list[Pin]:
    """Pins of the interrupts of ``modules``, in the order of their bits."""
    return [(module.instance, pin) for module in modules for pin in module.interrupts]


def _controller(board: Board, index: int, sources: int) -> Iterator[ModuleContext]:
    """The interrupt controller, as IP ``index`` of the overlay, and the concat before it if it has several sources."""
    nothing: dict[str, Any] = {"words": (), "parameters": ()}
    if sources > 1:
        yield ModuleContext(
            instance=CONCAT, modtype="xlconcat", vlnv=CONCAT_VLNV, control="", range=0, base="", high="", **nothing
        )
    base, high = module_address(board, index)
    yield ModuleContext(
        instance=INTC,
        modtype="axi_intc",
        vlnv=INTC_VLNV,
        control=INTC_CONTROL,
        range=CONTROL_BYTES,
        base=base,
        high=high,
        **nothing,
    )


def _pins(wires: Sequence[tuple[Pin, Pin]]) -> dict[str, list[PinContext]]:
    found: dict[str, list[PinContext]] = {}
    for driver, load in wires:
        signal = "_".join(driver)
        for (instance, name), direction, other in ((driver, "O", load), (load, "I", driver)):
            pin = PinContext(name=name, direction=direction, signal=signal, others=(other,))
            found.setdefault(instance, []).append(pin)
    return found


def instance_of(top: str) -> str:
    """Name of an IP in the block design."""
    return f"{top}_0"


def module_address(board: Board, index: int) -> tuple[str, str]:
    """First and last address of the registers of the IP with this index."""
    first = PROCESSING_SYSTEMS[board.ps].base + index * CONTROL_BYTES
    return f"0x{first:08X}", f"0x{first + CONTROL_BYTES - 1:08X}"


def memory_port(board: Board, name: str, hp_port: int) -> PortContext:
    """Port ``name`` of an IP on the high-performance port ``hp_port``, as far as the board has that many."""
    index, ps = hp_port % board.hp_ports, PROCESSING_SYSTEMS[board.ps]
    windows = tuple(
        MemoryWindow(block=f"HP{index}_{block}", base=f"0x{base:010X}", high=f"0x{high:010X}")
        for block, base, high in ps.windows
    )
    return PortContext(name=name, data_bits=board.axi_bits, slave=ps.slave.format(index), windows=windows)


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
