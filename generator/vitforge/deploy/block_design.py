# SPDX-License-Identifier: Apache-2.0
"""The block design of an overlay: cells, connections and addresses, from the modules that its `.hwh` is made of.

A processing system by the board's preset; registers behind one SmartConnect; each high-performance port with a
SmartConnect of its own; interrupts behind an axi_intc, which is where pynq looks for them; one clock and one reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vitforge.boards import Board
from vitforge.deploy.axi_dma import DMA_INSTANCE, LENGTH_BITS
from vitforge.deploy.handoff import (
    CONTROL_BYTES,
    PROCESSING_SYSTEMS,
    ModuleContext,
    ProcessingSystem,
    StreamContext,
    interrupt_sources,
    module_address,
)
from vitforge.deploy.interrupts import CONCAT, CONCAT_VLNV, INTC, INTC_CONTROL, INTC_VLNV, Pin, interrupt_wires
from vitforge.deploy.ps_pins import PsPins, ps_pins
from vitforge.errors import ConfigError

CONTROL, RESET = "control_interconnect", "reset_0"
_HLS_PINS = {"clocks": ("ap_clk",), "reset": "ap_rst_n"}
_DMA_PINS = {"clocks": ("s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk"), "reset": "axi_resetn"}
_TLAST_BITS = 8  # beside the beats of an HLS stream: bit 0 of them is TLAST (docs/decisions.md)


@dataclass(frozen=True)
class Cell:
    """An IP: its VLNV without the version, of which the newest in the catalogue is taken; its properties."""

    name: str
    vln: str
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Segment:
    """Registers of a cell in the address space of the processing system."""

    cell: str
    interface: str
    block: str
    offset: str
    size: int


@dataclass(frozen=True, kw_only=True)
class BlockDesign:
    """Context of block_design.tcl.jinja and bitstream.tcl.jinja; pins and interfaces are ``cell/pin``."""

    part: str
    board_part: str
    ps: str
    ps_vln: str
    ps_rule: str
    ps_automation: str
    ps_properties: tuple[tuple[str, str], ...]
    ps_space: str  # address space of its masters
    clock_property: str  # that says what the clock came out as [MHz]
    clock_mhz: str
    cells: tuple[Cell, ...]
    interfaces: tuple[tuple[str, str], ...]  # master, slave
    nets: tuple[tuple[str, tuple[str, ...]], ...]  # driver, loads
    segments: tuple[Segment, ...]


def block_design(board: Board, clock_mhz: float, modules: Sequence[ModuleContext]) -> BlockDesign | None:
    """The block design of ``modules``; None on a board whose board part is not known.

    The first module is the HLS kernel; a second one is the DMA on its streams.
    """
    if board.board_part is None:
        return None
    slaves = tuple(sorted({port.slave for module in modules for port in module.ports}))
    ps, pins = PROCESSING_SYSTEMS[board.ps], ps_pins(board, clock_mhz, slaves)
    masters = {
        slave: [f"{m.instance}/{p.name}" for m in modules for p in m.ports if p.slave == slave] for slave in slaves
    }
    interrupts = interrupt_sources(modules)
    converters = [stream for module in modules[:1] for stream in module.streams]
    cells = [
        *(Cell(module.instance, _without_version(module.vlnv), _properties(module)) for module in modules),
        *(_converter(board, stream) for stream in converters),
        Cell(INTC, _without_version(INTC_VLNV), (("C_IRQ_CONNECTION", "1"),)),
        Cell(CONTROL, "xilinx.com:ip:smartconnect", (("NUM_SI", "1"), ("NUM_MI", str(len(modules) + 1)))),
        *(_memory_interconnect(slave, len(masters[slave])) for slave in slaves),
        Cell(RESET, "xilinx.com:ip:proc_sys_reset"),
    ]
    if len(interrupts) > 1:
        cells.append(Cell(CONCAT, _without_version(CONCAT_VLNV), (("NUM_PORTS", str(len(interrupts))),)))
    return BlockDesign(
        part=board.part,
        board_part=board.board_part,
        ps=ps.instance,
        ps_vln=_without_version(ps.vlnv),
        ps_rule=pins.rule,
        ps_automation=pins.automation,
        ps_properties=pins.properties,
        ps_space=f"{ps.instance}/Data",
        clock_property=pins.clock_property,
        clock_mhz=f"{clock_mhz:g}",
        cells=tuple(cells),
        interfaces=tuple(_interfaces(ps, modules, masters)),
        nets=tuple(_nets(ps, pins, modules, slaves, converters, interrupts)),
        segments=tuple(_segments(board, modules)),
    )


def _without_version(vlnv: str) -> str:
    return vlnv.rpartition(":")[0]


def _pins(module: ModuleContext) -> dict:
    return _DMA_PINS if module.instance == DMA_INSTANCE else _HLS_PINS


def _properties(module: ModuleContext) -> tuple[tuple[str, str], ...]:
    """Of the DMA, in the spelling of Vivado's parameters; an HLS IP has none to set."""
    if module.instance != DMA_INSTANCE:
        return ()
    known = dict(module.parameters)
    names = ("c_include_sg", "c_sg_length_width", "c_include_mm2s", "c_include_s2mm", "c_addr_width")
    widths = ("c_m_axi_mm2s_data_width", "c_m_axis_mm2s_tdata_width", "c_m_axi_s2mm_data_width")
    assert known["c_sg_length_width"] == str(LENGTH_BITS)
    return tuple((name, known[name]) for name in (*names, *widths))


def _converter_name(stream: StreamContext) -> str:
    return f"{stream.name}_tlast"


def _converter(board: Board, stream: StreamContext) -> Cell:
    """Between a beat with TLAST beside it, as the DMA has it, and one with TLAST above it, as the kernel has it."""
    beat, wide = board.axi_bits // 8, (board.axi_bits + _TLAST_BITS) // 8
    data = f"tdata[{board.axi_bits - 1}:0]"
    if stream.kind == "TARGET":
        ports = (("S_TDATA_NUM_BYTES", beat), ("M_TDATA_NUM_BYTES", wide), ("S_HAS_TLAST", 1), ("M_HAS_TLAST", 0))
        above = _TLAST_BITS - 1
        remap = [("TDATA_REMAP", f"{above}'b{'0' * above},tlast[0],{data}")]
    else:
        ports = (("S_TDATA_NUM_BYTES", wide), ("M_TDATA_NUM_BYTES", beat), ("S_HAS_TLAST", 0), ("M_HAS_TLAST", 1))
        remap = [("TDATA_REMAP", data), ("TLAST_REMAP", f"tdata[{board.axi_bits}]")]
    keep = (("S_HAS_TKEEP", 0), ("M_HAS_TKEEP", 0))
    properties = tuple((name, str(value)) for name, value in (*ports, *keep))
    return Cell(_converter_name(stream), "xilinx.com:ip:axis_subset_converter", (*properties, *remap))


def _interconnect_name(slave: str) -> str:
    return f"{slave.lower()}_interconnect"


def _memory_interconnect(slave: str, masters: int) -> Cell:
    return Cell(_interconnect_name(slave), "xilinx.com:ip:smartconnect", (("NUM_SI", str(masters)), ("NUM_MI", "1")))


def _interfaces(
    ps: ProcessingSystem, modules: Sequence[ModuleContext], masters: dict[str, list[str]]
) -> Iterator[tuple[str, str]]:
    yield f"{ps.instance}/{ps.master}", f"{CONTROL}/S00_AXI"
    registers = [*(f"{module.instance}/{module.control}" for module in modules), f"{INTC}/{INTC_CONTROL}"]
    for index, slave in enumerate(registers):
        yield f"{CONTROL}/M{index:02d}_AXI", slave
    for slave, ports in masters.items():
        for index, port in enumerate(ports):
            yield port, f"{_interconnect_name(slave)}/S{index:02d}_AXI"
        yield f"{_interconnect_name(slave)}/M00_AXI", f"{ps.instance}/{slave}"
    kernel, *others = modules
    ends = {stream.bus: f"{module.instance}/{stream.name}" for module in others for stream in module.streams}
    for stream in kernel.streams:
        converter, own, other = _converter_name(stream), f"{kernel.instance}/{stream.name}", ends.get(stream.bus)
        if other is None:
            raise ConfigError(f"stream {stream.name} of {kernel.instance} leads nowhere; this is a fault of vitforge")
        first, last = (other, own) if stream.kind == "TARGET" else (own, other)
        yield first, f"{converter}/S_AXIS"
        yield f"{converter}/M_AXIS", last


def _nets(
    ps: ProcessingSystem,
    pins: PsPins,
    modules: Sequence[ModuleContext],
    slaves: Sequence[str],
    converters: Sequence[StreamContext],
    interrupts: Sequence[Pin],
) -> Iterator[tuple[str, tuple[str, ...]]]:
    interconnects = [CONTROL, *map(_interconnect_name, slaves)]
    streams = [_converter_name(stream) for stream in converters]
    clocked = [f"{module.instance}/{pin}" for module in modules for pin in _pins(module)["clocks"]]
    clocked += [f"{cell}/aclk" for cell in (*interconnects, *streams)]
    clocked += [f"{INTC}/s_axi_aclk", f"{RESET}/slowest_sync_clk"]
    yield f"{ps.instance}/{pins.clock}", (*clocked, *(f"{ps.instance}/{pin}" for pin in pins.port_clocks))
    yield f"{ps.instance}/{pins.reset}", (f"{RESET}/ext_reset_in",)
    reset = [f"{module.instance}/{_pins(module)['reset']}" for module in modules]
    reset += [f"{cell}/aresetn" for cell in (*interconnects, *streams)]
    yield f"{RESET}/peripheral_aresetn", (*reset, f"{INTC}/s_axi_aresetn")
    for driver, load in interrupt_wires(interrupts, (ps.instance, ps.interrupt)):
        yield "/".join(driver), ("/".join(load),)


def _segments(board: Board, modules: Sequence[ModuleContext]) -> Iterator[Segment]:
    for module in modules:
        yield Segment(module.instance, module.control, "Reg", module.base, module.range)
    yield Segment(INTC, "S_AXI", "Reg", module_address(board, len(modules))[0], CONTROL_BYTES)
