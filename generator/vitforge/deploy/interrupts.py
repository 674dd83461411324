# SPDX-License-Identifier: Apache-2.0
"""How interrupts reach the processing system: behind an axi_intc (PG099), which is where pynq looks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

INTC, INTC_VLNV, INTC_CONTROL = "axi_intc_0", "xilinx.com:ip:axi_intc:4.1", "s_axi"
CONCAT, CONCAT_VLNV = "interrupts_0", "xilinx.com:ip:xlconcat:2.1"
Pin = tuple[str, str]  # instance, pin


def interrupt_wires(sources: Sequence[Pin], processor: Pin) -> Iterator[tuple[Pin, Pin]]:
    """Driver and load of each wire from the pins ``sources``, in the order of their bits, to the pin ``processor``.

    Several go through a concat; one goes straight to the controller.
    """
    if len(sources) > 1:
        for index, source in enumerate(sources):
            yield source, (CONCAT, f"In{index}")
    yield sources[0] if len(sources) == 1 else (CONCAT, "dout"), (INTC, "intr")
    yield (INTC, "irq"), processor
