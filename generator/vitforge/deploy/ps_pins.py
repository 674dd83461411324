# SPDX-License-Identifier: Apache-2.0
"""Pins and properties of the two processing systems, as their Vivado IPs name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vitforge.boards import Board

_ZYNQMP_FIRST_HP = 2  # S_AXI_HP0_FPD is slave port 2 of the Zynq UltraScale+ IP
_ZYNQMP_MASTERS = 3


@dataclass(frozen=True, kw_only=True)
class PsPins:
    """What the block design needs of a processing system beside its AXI ports."""

    rule: str  # of the block automation that applies the board's preset
    automation: str  # its settings
    properties: tuple[tuple[str, str], ...]
    clock: str
    clock_property: str
    reset: str
    port_clocks: tuple[str, ...]  # of the AXI ports that are used


def ps_pins(board: Board, clock_mhz: float, slaves: Sequence[str]) -> PsPins:
    """Of the board's processing system with a PL clock [MHz], one master for registers, and the ports ``slaves``."""
    ports = [int("".join(filter(str.isdigit, slave))) for slave in slaves]
    return (_zynq7000 if board.ps == "zynq7000" else _zynqmp)(board, f"{clock_mhz:g}", ports)


def _zynqmp(board: Board, mhz: str, ports: Sequence[int]) -> PsPins:
    clock = "PSU__CRL_APB__PL0_REF_CTRL__"
    masters = {f"PSU__USE__M_AXI_GP{index}": "1" if index == 0 else "0" for index in range(_ZYNQMP_MASTERS)}
    slaves: dict[str, str] = {}
    for port in ports:
        slaves[f"PSU__USE__S_AXI_GP{port + _ZYNQMP_FIRST_HP}"] = "1"
        slaves[f"PSU__SAXIGP{port + _ZYNQMP_FIRST_HP}__DATA_WIDTH"] = str(board.axi_bits)
    clocks = {"PSU__FPGA_PL0_ENABLE": "1", f"{clock}SRCSEL": "IOPLL", f"{clock}FREQMHZ": mhz}
    return PsPins(
        rule="xilinx.com:bd_rule:zynq_ultra_ps_e",
        automation='apply_board_preset "1"',
        properties=tuple({**masters, **slaves, **clocks, "PSU__USE__IRQ0": "1"}.items()),
        clock="pl_clk0",
        clock_property=f"{clock}ACT_FREQMHZ",
        reset="pl_resetn0",
        port_clocks=("maxihpm0_fpd_aclk", *(f"saxihp{port}_fpd_aclk" for port in ports)),
    )


def _zynq7000(board: Board, mhz: str, ports: Sequence[int]) -> PsPins:
    slaves: dict[str, str] = {}
    for port in ports:
        slaves[f"PCW_USE_S_AXI_HP{port}"] = "1"
        slaves[f"PCW_S_AXI_HP{port}_DATA_WIDTH"] = str(board.axi_bits)
    clocks = {"PCW_EN_CLK0_PORT": "1", "PCW_FCLK0_PERIPHERAL_CLKSRC": "IO PLL", "PCW_FPGA0_PERIPHERAL_FREQMHZ": mhz}
    interrupt = {"PCW_USE_FABRIC_INTERRUPT": "1", "PCW_IRQ_F2P_INTR": "1"}
    return PsPins(
        rule="xilinx.com:bd_rule:processing_system7",
        automation='make_external "FIXED_IO, DDR" apply_board_preset "1"',
        properties=tuple({"PCW_USE_M_AXI_GP0": "1", **slaves, **clocks, **interrupt}.items()),
        clock="FCLK_CLK0",
        clock_property="PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ",
        reset="FCLK_RESET0_N",
        port_clocks=("M_AXI_GP0_ACLK", *(f"S_AXI_HP{port}_ACLK" for port in ports)),
    )
