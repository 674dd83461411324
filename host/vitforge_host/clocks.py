# SPDX-License-Identifier: Apache-2.0
"""PL clock frequencies that exist, and setting one without overclocking the design.

A PL clock is its source PLL divided by d0*d1, d0 and d1 in 1..63. pynq sets the divisor nearest to the request, which
may give a clock above it: 200 MHz becomes 214 MHz on a PLL of 1500 MHz. So the frequency is floored here first.
"""

from __future__ import annotations

import math

from vitforge_host.errors import InputError

TOLERANCE = 5e-4  # relative: presets state PLL frequencies rounded, and crystals differ by less than this
_PRODUCTS = sorted({first * second for first in range(1, 64) for second in range(1, 64)})


def divisor_at_most(source_mhz: float, limit_mhz: float) -> int:
    """Smallest divisor d0*d1 of the source PLL that keeps the clock within ``limit_mhz``."""
    if not (math.isfinite(limit_mhz) and limit_mhz > 0):
        raise InputError(f"the clock is {limit_mhz} MHz; it must be a positive number")
    for product in _PRODUCTS:
        if source_mhz / product <= limit_mhz * (1 + TOLERANCE):
            return product
    raise InputError(
        f"a clock of at most {limit_mhz:g} MHz cannot be had from a PLL of {source_mhz:g} MHz; "
        f"the lowest is {source_mhz / _PRODUCTS[-1]:.3f} MHz"
    )


def legal_mhz(source_mhz: float, limit_mhz: float) -> float:
    """The highest clock within ``limit_mhz`` that the source PLL can give [MHz]."""
    return source_mhz / divisor_at_most(source_mhz, limit_mhz)


def set_at_most(limit_mhz: float, index: int = 0) -> float:
    """Set PL clock ``index`` to the highest legal frequency within ``limit_mhz``.

    Returns the frequency read back [MHz]. Leaves the clock alone when it already has that frequency. Call it only while
    the accelerator is idle.
    """
    from pynq import Clocks

    backend = Clocks._instance  # pynq offers no public way to ask for the source PLL
    source = backend._get_src_clk_mhz(int(backend.PL_CLK_CTRLS[index].SRCSEL))
    wanted = legal_mhz(source, limit_mhz)
    if abs(backend.get_pl_clk(index) - wanted) > wanted * 1e-6:
        backend.set_pl_clk(index, clk_mhz=wanted)
    reached = float(backend.get_pl_clk(index))
    if reached > limit_mhz * (1 + TOLERANCE):
        raise InputError(f"PL clock {index} reads back {reached:g} MHz, above the limit of {limit_mhz:g} MHz")
    return reached
