# SPDX-License-Identifier: Apache-2.0
"""Adds an axi_intc to a generated `.hwh`, wired as Vivado writes it: pins, concat, controller, processing system."""

from __future__ import annotations

import re
from pathlib import Path

from vitforge_host.stub import stub_bitfile

_MODULES = """\
    <MODULE FULLNAME="/{name}" INSTANCE="{name}" MODTYPE="{type}" VLNV="xilinx.com:ip:{type}:{version}">
      <PARAMETERS/>
      <PORTS>
{ports}
      </PORTS>
      <BUSINTERFACES>{buses}</BUSINTERFACES>
      <MEMORYMAP/>
    </MODULE>
"""
_PORT = """\
        <PORT DIR="{dir}" NAME="{name}" SIGIS="INTERRUPT" SIGNAME="{signal}">
          <CONNECTIONS><CONNECTION INSTANCE="{other}" PORT="{other_port}"/></CONNECTIONS>
        </PORT>"""


def add_interrupts(bitfile: str) -> None:
    """Wire the pin ``interrupt`` of the kernel of an overlay to an axi_intc, unless it has one."""
    path = Path(bitfile).with_suffix(".hwh")
    text = path.read_text()
    if "axi_intc" in text:
        return
    kernel = re.search(r'INSTANCE="(vitforge_\w+)" MODTYPE', text)
    ps = re.search(r'INSTANCE="(\w+)" MODTYPE="(zynq_ultra_ps_e|processing_system7)"', text)
    master = re.search(r'MASTERBUSINTERFACE="(M_AXI_\w+)" MEMTYPE="REGISTER"', text)
    assert kernel and ps and master
    irq = "pl_ps_irq0" if ps[2] == "zynq_ultra_ps_e" else "IRQ_F2P"
    pin = _port("O", "interrupt", "done", "concat_0", "In0")
    text = _insert_ports(text, kernel[1], pin)
    text = _insert_ports(text, ps[1], _port("I", irq, "irq", "axi_intc_0", "irq"))
    concat = [_port("I", "In0", "done", kernel[1], "interrupt"), _port("O", "dout", "all", "axi_intc_0", "intr")]
    intc = [_port("I", "intr", "all", "concat_0", "dout"), _port("O", "irq", "irq", ps[1], irq)]
    slave = '<BUSINTERFACE NAME="s_axi" TYPE="SLAVE" VLNV="xilinx.com:interface:aximm:1.0"/>'
    base = 0xA0020000 if ps[2] == "zynq_ultra_ps_e" else 0x43C20000
    memory = (
        f'        <MEMRANGE ADDRESSBLOCK="Reg" BASEVALUE="0x{base:08X}" HIGHVALUE="0x{base + 0xFFFF:08X}" '
        f'INSTANCE="axi_intc_0" MASTERBUSINTERFACE="{master[1]}" MEMTYPE="REGISTER" SLAVEBUSINTERFACE="s_axi"/>\n'
    )
    text = text.replace("      </MEMORYMAP>\n", memory + "      </MEMORYMAP>\n", 1)
    modules = _MODULES.format(name="concat_0", type="xlconcat", version="2.1", ports="\n".join(concat), buses="")
    modules += _MODULES.format(name="axi_intc_0", type="axi_intc", version="4.1", ports="\n".join(intc), buses=slave)
    text = text.replace("  </MODULES>", modules + "  </MODULES>")
    path.write_text(text)
    Path(bitfile).write_bytes(stub_bitfile(path.read_bytes()))


def _port(direction: str, name: str, signal: str, other: str, other_port: str) -> str:
    return _PORT.format(dir=direction, name=name, signal=signal, other=other, other_port=other_port)


def _insert_ports(text: str, instance: str, ports: str) -> str:
    module = text.index(f'INSTANCE="{instance}" MODTYPE')
    place = text.index("      <BUSINTERFACES>", module)
    return f"{text[:place]}      <PORTS>\n{ports}\n      </PORTS>\n{text[place:]}"
