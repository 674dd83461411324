# SPDX-License-Identifier: Apache-2.0
"""AMD's AXI DMA 7.1 as a `.hwh` describes it: direct register mode, both channels, no realignment (PG021)."""

from __future__ import annotations

from vitforge.boards import Board
from vitforge.deploy.handoff import (
    CONTROL_BYTES,
    PROCESSING_SYSTEMS,
    ModuleContext,
    StreamContext,
    memory_port,
    module_address,
)
from vitforge.design.registers import Field, Word
from vitforge_host.overlay import AXI_DMA

DMA_INSTANCE = "axi_dma_0"
LENGTH_BITS = 26  # of the length register: packets of up to 64 MiB
_VERSION = "7.1"
_CHANNELS = (("mm2s", 0x00, "SA", "Source"), ("s2mm", 0x30, "DA", "Destination"))


def dma_module(board: Board, index: int, *, to_kernel: str, from_kernel: str) -> ModuleContext:
    """The DMA, as IP ``index`` of the overlay, on the streams (bus names) ``to_kernel`` and ``from_kernel``."""
    base, high = module_address(board, index)
    return ModuleContext(
        instance=DMA_INSTANCE,
        modtype="axi_dma",
        vlnv=f"{AXI_DMA}:{_VERSION}",
        control="S_AXI_LITE",
        range=CONTROL_BYTES,
        base=base,
        high=high,
        words=_words(),
        parameters=_parameters(board),
        ports=tuple(memory_port(board, f"M_AXI_{name.upper()}", hp) for hp, (name, *_) in enumerate(_CHANNELS)),
        streams=(
            StreamContext(name="M_AXIS_MM2S", kind="INITIATOR", bus=to_kernel, data_bits=board.axi_bits),
            StreamContext(name="S_AXIS_S2MM", kind="TARGET", bus=from_kernel, data_bits=board.axi_bits),
        ),
        interrupts=tuple(f"{name}_introut" for name, *_ in _CHANNELS),
    )


def _parameters(board: Board) -> tuple[tuple[str, str], ...]:
    """What pynq reads is in lower case, as in Vivado's files."""
    values: dict[str, int] = {
        "c_include_sg": 0,
        "c_micro_dma": 0,
        "c_sg_length_width": LENGTH_BITS,
        "c_addr_width": PROCESSING_SYSTEMS[board.ps].address_bits,
    }
    for name, *_ in _CHANNELS:
        stream = f"c_m_axis_{name}_tdata_width" if name == "mm2s" else f"c_s_axis_{name}_tdata_width"
        values |= {f"c_include_{name}": 1, f"c_include_{name}_dre": 0}
        values |= {f"c_m_axi_{name}_data_width": board.axi_bits, stream: board.axi_bits}
    return tuple((name, str(value)) for name, value in values.items())


def _words() -> tuple[Word, ...]:
    words: list[Word] = []
    for name, offset, letter, place in _CHANNELS:
        channel = name.upper()
        words += [
            _word(f"{channel}_DMACR", offset, f"{channel} DMA Control Register", _CONTROL),
            _word(f"{channel}_DMASR", offset + 0x04, f"{channel} DMA Status Register", _STATUS),
        ]
        for suffix, at in (("", 0x18), ("_MSB", 0x1C)):
            field = _field(f"{place}_Address", 0, 32)
            words.append(_word(f"{channel}_{letter}{suffix}", offset + at, f"{channel} {place} Address", (field,)))
        length = _field("Length", 0, LENGTH_BITS)
        words.append(_word(f"{channel}_LENGTH", offset + 0x28, f"{channel} DMA Transfer Length Register", (length,)))
    return tuple(words)


def _word(name: str, offset: int, description: str, fields: tuple[Field, ...]) -> Word:
    return Word(name=name, offset=offset, access="read-write", description=description, fields=fields)


def _field(name: str, bit: int, bits: int = 1, access: str = "read-write") -> Field:
    return Field(name=name, bit=bit, bits=bits, access=access, description=name.replace("_", " "))


_CONTROL = (
    _field("RS", 0),
    _field("Reset", 2),
    _field("Keyhole", 3),
    _field("Cyclic_BD_Enable", 4),
    _field("IOC_IrqEn", 12),
    _field("Dly_IrqEn", 13),
    _field("Err_IrqEn", 14),
    _field("IRQThreshold", 16, 8),
    _field("IRQDelay", 24, 8),
)
_STATUS = (
    *(_field(name, bit, 1, "read-only") for name, bit in (("Halted", 0), ("Idle", 1), ("SGIncld", 3))),
    *(_field(f"DMA{name}Err", bit, 1, "read-only") for name, bit in (("Int", 4), ("Slv", 5), ("Dec", 6))),
    *(_field(f"SG{name}Err", bit, 1, "read-only") for name, bit in (("Int", 8), ("Slv", 9), ("Dec", 10))),
    *(_field(f"{name}_Irq", bit) for name, bit in (("IOC", 12), ("Dly", 13), ("Err", 14))),
    _field("IRQThresholdSts", 16, 8, "read-only"),
    _field("IRQDelaySts", 24, 8, "read-only"),
)
