# SPDX-License-Identifier: Apache-2.0
"""Registers of the processing system that pynq touches: clocks and AXI port widths.

Reset values are those of the usual board presets: IOPLL 1499.985 MHz on Zynq UltraScale+, IO PLL 1000 MHz on Zynq-7000.
Addresses and fields: UG1087 and UG585, as pynq's own ``pynq.ps`` uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vitforge_host.sim.address import AddressMap, RegisterFile

ZU_REFERENCE_MHZ = 33.333
Z7_REFERENCE_MHZ = 50.0

_ZU_PLL_1500 = (90 << 8) | (1 << 16)  # FBDIV 90, DIV2
_ZU_PL_100 = (15 << 8) | (1 << 16) | (1 << 24)  # divisors 15 and 1, active, source IOPLL
_Z7_PL_100 = (10 << 8) | (1 << 20)
_ZU_WINDOWS = (0xFD615000, 0xFF419000, *range(0xFD360000, 0xFD3C0000, 0x10000), 0xFF9B0000)


class ClockRegisters(RegisterFile):
    """Those that set PL clock 0; ``mhz`` is what they set, worked out anew when one is written."""

    def __init__(self, reset: dict[int, int], mhz_of: Callable[[RegisterFile], float]) -> None:
        super().__init__(reset)
        self._mhz_of = mhz_of
        self.mhz = mhz_of(self)

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        self.mhz = self._mhz_of(self)


@dataclass(frozen=True)
class ProcessingSystem:
    """One PS family: its architecture name, memory base and clock registers."""

    arch: str
    ddr_base: int
    ddr_limit: int  # bytes of DDR from there
    clocks: ClockRegisters


def map_ps(family: str, bus: AddressMap) -> ProcessingSystem:
    """Map the PS registers of ``family`` (the ``family_ps`` of pynq's parser) onto ``bus``."""
    if family == "processing_system7":
        return _map_zynq7000(bus)
    return _map_zynqmp(bus)


def _map_zynqmp(bus: AddressMap) -> ProcessingSystem:
    clocks = dict.fromkeys((0xC0, 0xC4, 0xC8, 0xCC), _ZU_PL_100)
    low = ClockRegisters({0x20: _ZU_PLL_1500, 0x30: _ZU_PLL_1500, **clocks}, _zynqmp_mhz)
    full = RegisterFile({0x20: _ZU_PLL_1500, 0x2C: _ZU_PLL_1500, 0x38: _ZU_PLL_1500, 0x60: 1 << 8})
    bus.add("CRL_APB", 0xFF5E0000, 0x1000, low)
    bus.add("CRF_APB", 0xFD1A0000, 0x1000, full)
    for base in _ZU_WINDOWS:
        bus.add("PS configuration", base, 0x1000, RegisterFile())
    return ProcessingSystem("aarch64", 0x8_0000_0000, 1 << 35, low)


def _map_zynq7000(bus: AddressMap) -> ProcessingSystem:
    slcr = ClockRegisters(
        {0x100: 26 << 12, 0x104: 21 << 12, 0x108: 20 << 12, 0x120: 2 << 8}
        | dict.fromkeys((0x170, 0x180, 0x190, 0x1A0), _Z7_PL_100),
        _zynq7000_mhz,
    )
    bus.add("SLCR", 0xF8000000, 0x1000, slcr)
    return ProcessingSystem("armv7l", 0x1000_0000, 1 << 28, slcr)


def _zynqmp_mhz(clocks: RegisterFile) -> float:
    control, pll = clocks.read(0xC0), clocks.read(0x20)
    source = ZU_REFERENCE_MHZ * ((pll >> 8) & 0x7F) / (2 if pll >> 16 & 1 else 1)
    return source / _product((control >> 8) & 0x3F, (control >> 16) & 0x3F)


def _zynq7000_mhz(clocks: RegisterFile) -> float:
    control, pll = clocks.read(0x170), clocks.read(0x108)
    return Z7_REFERENCE_MHZ * ((pll >> 12) & 0x7F) / _product((control >> 8) & 0x3F, (control >> 20) & 0x3F)


def _product(divisor0: int, divisor1: int) -> int:
    return max(divisor0, 1) * max(divisor1, 1)
