# SPDX-License-Identifier: Apache-2.0
"""Vivado's commands for block designs under a Tcl interpreter: they record what is built, refuse what is wrong.

The interpreter is Tcl itself where Python has it, and else our own of what the scripts use.

Pins of AMD's IPs are as their product guides name them; those of the HLS IP come from the pragmas of its top function.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from vendor import small_tcl
from vitforge.deploy.handoff import PROCESSING_SYSTEMS

try:
    import tkinter
except ImportError:  # Debian: apt install python3-tk
    tkinter = None  # type: ignore[assignment]
TCL_ERRORS = (small_tcl.TclError, *([tkinter.TclError] if tkinter else []))

PRAGMA = re.compile(r"#pragma HLS interface mode=(\w+) port=(\w+)(?: bundle=(\w+))?")
CATALOGUE = {
    "xilinx.com:ip:axi_dma": "7.1",
    "xilinx.com:ip:axi_intc": "4.1",
    "xilinx.com:ip:axis_subset_converter": "1.1",
    "xilinx.com:ip:proc_sys_reset": "5.0",
    "xilinx.com:ip:processing_system7": "5.5",
    "xilinx.com:ip:smartconnect": "1.0",
    "xilinx.com:ip:xlconcat": "2.1",
    "xilinx.com:ip:zynq_ultra_ps_e": "3.5",
}
RECORDED = (
    *("create_project", "update_ip_catalog", "create_bd_design", "save_bd_design", "make_wrapper", "add_files"),
    *("update_compile_order", "launch_runs", "wait_on_runs", "open_run", "report_utilization"),
    *("report_timing_summary", "write_hw_platform", "current_project", "current_fileset"),
)
AUTOMATIC = ("DDR", "FIXED_IO")


class Cell:
    """An instance: VLNV and properties, and from those its interfaces (name -> master?) and pins (name -> driver?)."""

    def __init__(self, vlnv: str, top: str) -> None:
        self.vlnv, self.properties, self._top = vlnv, {}, top
        self.kind = vlnv.split(":")[2]

    def on(self, name: str) -> bool:
        return self.properties.get(name) == "1"

    @property
    def interfaces(self) -> dict[str, bool]:
        if self.vlnv.startswith("vitforge:hls:"):
            return hls_interfaces(self._top)
        number = int(self.properties.get("NUM_SI", 1)), int(self.properties.get("NUM_MI", 1))
        hp_zynqmp = [i for i in range(4) if self.on(f"PSU__USE__S_AXI_GP{i + 2}")]
        hp_zynq = [i for i in range(4) if self.on(f"PCW_USE_S_AXI_HP{i}")]
        slaves = {
            "axi_dma": ["S_AXI_LITE", "S_AXIS_S2MM"],
            "axi_intc": ["s_axi"],
            "axis_subset_converter": ["S_AXIS"],
            "smartconnect": [f"S{i:02d}_AXI" for i in range(number[0])],
            "zynq_ultra_ps_e": [f"S_AXI_HP{i}_FPD" for i in hp_zynqmp],
            "processing_system7": [f"S_AXI_HP{i}" for i in hp_zynq],
        }
        masters = {
            "axi_dma": ["M_AXI_MM2S", "M_AXI_S2MM", "M_AXIS_MM2S"],
            "axis_subset_converter": ["M_AXIS"],
            "smartconnect": [f"M{i:02d}_AXI" for i in range(number[1])],
            "zynq_ultra_ps_e": [f"M_AXI_HPM{i}_FPD" for i in range(2) if self.on(f"PSU__USE__M_AXI_GP{i}")],
            "processing_system7": ["M_AXI_GP0"] * self.on("PCW_USE_M_AXI_GP0"),
        }
        return dict.fromkeys(slaves.get(self.kind, []), False) | dict.fromkeys(masters.get(self.kind, []), True)

    @property
    def pins(self) -> dict[str, bool]:
        if self.vlnv.startswith("vitforge:hls:"):
            return {"ap_clk": False, "ap_rst_n": False, "interrupt": True}
        inputs: dict[str, list[str]] = {
            "axi_dma": ["s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk", "axi_resetn"],
            "axi_intc": ["s_axi_aclk", "s_axi_aresetn", "intr"],
            "axis_subset_converter": ["aclk", "aresetn"],
            "proc_sys_reset": ["slowest_sync_clk", "ext_reset_in"],
            "smartconnect": ["aclk", "aresetn"],
            "xlconcat": [f"In{i}" for i in range(int(self.properties.get("NUM_PORTS", 2)))],
        }
        outputs = {
            "axi_dma": ["mm2s_introut", "s2mm_introut"],
            "axi_intc": ["irq"],
            "proc_sys_reset": ["peripheral_aresetn"],
            "xlconcat": ["dout"],
            "zynq_ultra_ps_e": ["pl_clk0", "pl_resetn0"],
            "processing_system7": ["FCLK_CLK0", "FCLK_RESET0_N"],
        }
        if self.kind == "zynq_ultra_ps_e":
            inputs[self.kind] = [f"{n.lower().replace('_', '').replace('fpd', '')}_fpd_aclk" for n in self.interfaces]
            inputs[self.kind] += ["pl_ps_irq0"] * self.on("PSU__USE__IRQ0")
        if self.kind == "processing_system7":
            inputs[self.kind] = [f"{name}_ACLK" for name in self.interfaces]
            inputs[self.kind] += ["IRQ_F2P"] * (self.on("PCW_USE_FABRIC_INTERRUPT") and self.on("PCW_IRQ_F2P_INTR"))
        return dict.fromkeys(inputs.get(self.kind, []), False) | dict.fromkeys(outputs.get(self.kind, []), True)


def hls_interfaces(top: str) -> dict[str, bool]:
    """Interfaces of the IP that Vitis HLS makes of a top function: a stream is a master if the function writes it."""
    found = {}
    for mode, port, bundle in PRAGMA.findall(top):
        if mode == "m_axi":
            found[f"m_axi_{bundle}"] = True
        elif mode == "axis":
            found[port] = port == "results"
        elif mode == "s_axilite":
            found[f"s_axi_{bundle}"] = False
    return found


class Vivado:
    """One session: ``cells``, ``links`` between interfaces, ``nets``, ``segments`` and files that were asked for."""

    def __init__(
        self, top: str, *, boards: tuple[str, ...] = (), mhz: float = 0.0, slack: float = 0.5, tcl: Any = None
    ) -> None:
        self.cells: dict[str, Cell] = {}
        self.links: set[tuple[str, str]] = set()
        self.nets: dict[str, str] = {}
        self.segments: dict[str, tuple[int, int]] = {}
        self.said: list[str] = []
        self.calls: list[tuple[str, ...]] = []
        self.is_valid = False
        self.exit_code: int | None = None
        self._top, self._boards, self._mhz, self._slack = top, boards, mhz, slack
        kernels = re.findall(r'extern "C" void (\w+)\(', top)
        self._catalogue = CATALOGUE | {f"vitforge:hls:{name}": "1.0" for name in kernels}
        self._automated = False
        self._tcl = tcl or (tkinter.Tcl() if tkinter else small_tcl.Tcl())
        for name in dir(self):
            if name.startswith("do_"):
                self._tcl.createcommand(name[3:], getattr(self, name))
        for name in RECORDED:
            self._record(name)
        for name in ("get_files", "get_runs", "get_bd_addr_spaces", "get_bd_cells"):
            self._tcl.createcommand(name, lambda *arguments: arguments[-1])

    def _record(self, name: str) -> None:
        self._tcl.createcommand(name, lambda *arguments: self.calls.append((name, *arguments)) or name)

    def source(self, script: Path) -> None:
        """Run a script. Raises TclError where Vivado would stop, SystemExit where the script does."""
        here = os.getcwd()
        try:
            self._tcl.eval(f"proc vitforge_fail {{sentence}} {{ puts $sentence; exit 1 }}\nsource {{{script}}}")
        except TCL_ERRORS:
            if self.exit_code is None:
                raise
            raise SystemExit(self.exit_code) from None
        finally:
            os.chdir(here)  # the script changes it

    # --- commands ------------------------------------------------------------------------------------
    def do_puts(self, text: str) -> None:
        self.said.append(text)

    def do_exit(self, code: str = "0") -> None:
        self.exit_code = int(code)
        raise RuntimeError("exit")

    def do_get_ipdefs(self, *arguments: str) -> str:
        vln = re.fullmatch(r"VLNV =~ (.*):\*", arguments[-1])[1]
        return f"{vln}:{self._catalogue[vln]}" if vln in self._catalogue else ""

    def do_get_board_parts(self, *arguments: str) -> tuple[str, ...]:
        stem = arguments[-1].removesuffix("*")
        return tuple(board for board in self._boards if board.startswith(stem))

    def do_create_bd_cell(self, *arguments: str) -> str:
        _, _, _, vlnv, name = arguments
        if name in self.cells:
            raise ValueError(f"there is a cell {name} already")
        self.cells[name] = Cell(vlnv, self._top)
        return name

    def do_apply_bd_automation(self, *arguments: str) -> None:
        if 'apply_board_preset "1"' not in arguments[3]:
            raise ValueError("no preset")
        if self.cells[arguments[-1]].kind == "processing_system7" and "FIXED_IO, DDR" not in arguments[3]:
            raise ValueError("no external ports")

    def do_set_property(self, *arguments: str) -> None:
        if arguments[0] != "-dict":
            self.calls.append(("set_property", *arguments))
            return
        words = self._tcl.splitlist(arguments[1])
        values = {key.removeprefix("CONFIG."): value for key, value in zip(words[::2], words[1::2], strict=True)}
        self.cells[arguments[2]].properties |= values

    def do_get_property(self, name: str, what: str) -> str:
        if "FREQMHZ" in name:
            return str(self._mhz)
        return {"PROGRESS": "100%", "STATS.WNS": str(self._slack), "STATUS": "write_bitstream Complete!"}[name]

    def do_get_bd_intf_pins(self, pin: str) -> str:
        cell, name = pin.split("/")
        if name not in self.cells[cell].interfaces:
            raise ValueError(f"no interface {pin}")
        return pin

    def do_get_bd_pins(self, pin: str) -> str:
        cell, name = pin.split("/")
        if name not in self.cells[cell].pins:
            raise ValueError(f"no pin {pin}")
        return pin

    def do_connect_bd_intf_net(self, master: str, slave: str) -> None:
        if not self._is(master, "interfaces") or self._is(slave, "interfaces"):
            raise ValueError(f"{master} must be a master and {slave} a slave")
        if any(master in link or slave in link for link in self.links):
            raise ValueError(f"{master} or {slave} is connected already")
        self.links.add((master, slave))

    def do_connect_bd_net(self, driver: str, load: str) -> None:
        if not self._is(driver, "pins") or self._is(load, "pins"):
            raise ValueError(f"{driver} must drive and {load} be driven")
        if load in self.nets:
            raise ValueError(f"{load} is driven already")
        self.nets[load] = driver

    def _is(self, pin: str, what: str) -> bool:
        cell, name = pin.split("/")
        return getattr(self.cells[cell], what)[name]

    def do_get_bd_addr_segs(self, segment: str) -> str:
        cell, interface, _ = segment.split("/")
        if interface.lower() not in [name.lower() for name in self.cells[cell].interfaces]:
            raise ValueError(f"no segment {segment}")
        return segment

    def do_assign_bd_address(self, *arguments: str) -> None:
        if not arguments:
            self._automated = True
            return
        values = dict(zip(arguments[:-1:2], arguments[1:-1:2], strict=True))
        ps = values["-target_address_space"].removesuffix("/Data")
        if ps not in [system.instance for system in PROCESSING_SYSTEMS.values()]:
            raise ValueError(f"{ps} has no address space")
        self.segments[arguments[-1].split("/")[0]] = int(values["-offset"], 0), int(values["-range"])

    def do_validate_bd_design(self) -> None:
        """All that must be connected is, and all memory ports have addresses."""
        linked, driven = {end for link in self.links for end in link}, set(self.nets)
        for name, cell in self.cells.items():
            for interface in cell.interfaces:
                if f"{name}/{interface}" not in linked and interface not in AUTOMATIC:
                    raise ValueError(f"{name}/{interface} is open")
            for pin, drives in cell.pins.items():
                if not drives and f"{name}/{pin}" not in driven:
                    raise ValueError(f"{name}/{pin} is open")
        if not self._automated:
            raise ValueError("memory has no addresses")
        self.is_valid = True
