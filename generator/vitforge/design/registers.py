# SPDX-License-Identifier: Apache-2.0
"""Arguments of a top function and the AXI4-Lite register map that Vitis HLS derives from them.

One list a kernel, in the order of its C++ top: `ARGUMENTS` is that of the Vision Transformer. Offsets are computed
from it by the packing rule of UG1399 (a pointer is low, high, reserved; a scalar is data, reserved; an output scalar is
data, valid and two reserved words), so that the HLS pragmas, the `.hwh`, the simulation manifest and the documents
cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

TOP_NAME = "vitforge_vit"
SIM_SYMBOL = "vitforge_sim"
IP_VENDOR = "vitforge"
IP_LIBRARY = "hls"
IP_VERSION = "1.0"
CONTROL_INTERFACE = "s_axi_control"
FIRST_ARGUMENT = 0x10
ARGUMENT_BYTES = {"ptr": 12, "i32": 8, "out32": 16}


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One argument of the top function; ``kind`` is ptr, i32 (host writes) or out32 (accelerator writes)."""

    name: str
    kind: str
    description: str
    bundle: str = ""  # m_axi bundle of a pointer


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """An argument with its place: ``offset`` in bytes from the base, ``bits`` of its value."""

    name: str
    kind: str
    offset: int
    bits: int
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Bits of a 32-bit register word."""

    name: str
    bit: int
    bits: int
    access: str
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One 32-bit word as a `.hwh` names it (``list_ln1_1``, ``magic_ctrl`` …)."""

    name: str
    offset: int
    access: str
    description: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """An m_axi bundle and the index of the PS high-performance port it reaches DDR through."""

    name: str
    hp_port: int
    arguments: tuple[str, ...]


ARGUMENTS: tuple[Argument, ...] = (
    *(
        Argument(name=f"list_{unit}", kind="ptr", bundle=f"gmem_{unit}", description=f"chunk list of unit {unit}")
        for unit in ("ln1", "nsa", "ln2", "nmp")
    ),
    *(
        Argument(name=f"blob_{unit}", kind="ptr", bundle=f"gmem_{unit}", description=f"weight blob for unit {unit}")
        for unit in ("ln1", "nsa", "ln2", "nmp")
    ),
    Argument(name="images", kind="ptr", bundle="gmem_ln2", description="images, rows of patches"),
    Argument(name="logits", kind="ptr", bundle="gmem_out", description="results, int32"),
    Argument(name="n_steps", kind="i32", description="steps to run; 0 only fills the identity registers"),
    Argument(name="n_images", kind="i32", description="images of this launch"),
    Argument(name="magic", kind="out32", description="0x56495446, the letters VITF"),
    Argument(name="version", kind="out32", description="format version of blob and streams"),
    Argument(name="hash_lo", kind="out32", description="design hash, bytes 0 to 3"),
    Argument(name="hash_hi", kind="out32", description="design hash, bytes 4 to 7"),
)

# The two array streams carry the weights and get a port each; the results share a port with the lightest stream.
_HP_PORTS = {"gmem_nsa": 0, "gmem_nmp": 1, "gmem_ln1": 2, "gmem_ln2": 3, "gmem_out": 2}


def ip_vlnv(top: str) -> str:
    """vendor:library:name:version of the IP with the top function ``top``."""
    return f"{IP_VENDOR}:{IP_LIBRARY}:{top}:{IP_VERSION}"


def bundles() -> tuple[Bundle, ...]:
    """The m_axi bundles of the Vision Transformer in the order in which the arguments first name them."""
    names = dict.fromkeys(argument.bundle for argument in ARGUMENTS if argument.bundle)
    return tuple(
        Bundle(name=name, hp_port=_HP_PORTS[name], arguments=tuple(a.name for a in ARGUMENTS if a.bundle == name))
        for name in names
    )


def register_map(arguments: tuple[Argument, ...] = ARGUMENTS) -> tuple[Register, ...]:
    """Registers of ``arguments``, packed from 0x10 in their order."""
    registers = []
    offset = FIRST_ARGUMENT
    for argument in arguments:
        bits = 64 if argument.kind == "ptr" else 32
        registers.append(
            Register(name=argument.name, kind=argument.kind, offset=offset, bits=bits, description=argument.description)
        )
        offset += ARGUMENT_BYTES[argument.kind]
    return tuple(registers)


def address_bits(registers: tuple[Register, ...]) -> int:
    """Width of the AXI4-Lite address: the smallest that reaches the end of the last register."""
    last = registers[-1]
    return (last.offset + ARGUMENT_BYTES[last.kind] - 1).bit_length()


def register_words(registers: tuple[Register, ...]) -> tuple[Word, ...]:
    """All 32-bit words that a `.hwh` lists: the control block, then the arguments under Vitis' names."""
    words = list(_CONTROL_WORDS)
    for register in registers:
        words.extend(_argument_words(register))
    return tuple(words)


def _argument_words(register: Register) -> list[Word]:
    name, offset, text = register.name, register.offset, register.description
    if register.kind == "ptr":
        return [
            _value_word(f"{name}_1", offset, "write-only", f"{text} (address bits 31 to 0)"),
            _value_word(f"{name}_2", offset + 4, "write-only", f"{text} (address bits 63 to 32)"),
        ]
    if register.kind == "i32":
        return [_value_word(name, offset, "write-only", text)]
    valid = Field(name=f"{name}_ap_vld", bit=0, bits=1, access="read-only", description="value valid; clears on read")
    return [
        _value_word(name, offset, "read-only", text),
        Word(
            name=f"{name}_ctrl",
            offset=offset + 4,
            access="read-only",
            description=f"valid flag of {name}",
            fields=(valid,),
        ),
    ]


def _value_word(name: str, offset: int, access: str, description: str) -> Word:
    field = Field(name=name, bit=0, bits=32, access=access, description=description)
    return Word(name=name, offset=offset, access=access, description=description, fields=(field,))


def _flag(name: str, bit: int, access: str, description: str) -> Field:
    return Field(name=name, bit=bit, bits=1, access=access, description=description)


_CONTROL_WORDS = (
    Word(
        name="CTRL",
        offset=0x00,
        access="read-write",
        description="Control signals",
        fields=(
            _flag("AP_START", 0, "read-write", "start; reads 1 while the accelerator runs"),
            _flag("AP_DONE", 1, "read-only", "a run has ended; clears on read"),
            _flag("AP_IDLE", 2, "read-only", "nothing runs"),
            _flag("AP_READY", 3, "read-only", "ready for the next start; clears on read"),
            _flag("AUTO_RESTART", 7, "read-write", "start again after every run"),
        ),
    ),
    Word(
        name="GIER",
        offset=0x04,
        access="read-write",
        description="Global interrupt enable",
        fields=(_flag("Enable", 0, "read-write", "interrupt output enabled"),),
    ),
    Word(
        name="IP_IER",
        offset=0x08,
        access="read-write",
        description="Interrupt enable",
        fields=(
            _flag("CHAN0_INT_EN", 0, "read-write", "on ap_done"),
            _flag("CHAN1_INT_EN", 1, "read-write", "on ap_ready"),
        ),
    ),
    Word(
        name="IP_ISR",
        offset=0x0C,
        access="read-write",
        description="Interrupt status; a bit written as 1 toggles",
        fields=(
            _flag("CHAN0_INT_ST", 0, "read-write", "ap_done has happened"),
            _flag("CHAN1_INT_ST", 1, "read-write", "ap_ready has happened"),
        ),
    ),
)
