# SPDX-License-Identifier: Apache-2.0
"""How many ports of a memory an access of unrolled lanes needs, and how many its pragmas give."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vitforge.lint.clang import Cursor
from vitforge.lint.pragmas import Pragma

_ALL = 0  # dim=0: every dimension
_READ_WRITE_PORTS = {"ram_1p": (1, 1), "ram_2p": (2, 1), "ram_s2p": (1, 1), "ram_1wnr": (1 << 20, 1)}


@dataclass(frozen=True)
class Lane:
    """An unrolled loop: its rounds happen in the same cycle."""

    place: tuple[str, int, int]
    count: int | None  # rounds; None: not known


Lanes = frozenset[Lane]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """An array or struct with arrays in it, and the pragmas that say how it is built."""

    name: str
    place: tuple[str, int]
    type: str
    pragmas: tuple[Pragma, ...]
    is_struct_array: bool  # how the tool splits arrays inside its elements is not decided here

    @property
    def layout(self) -> tuple[Any, ...]:
        """What two memories that need the same have in common."""
        rest = tuple((p.name, tuple(sorted(p.options.items())), p.words) for p in self._unnamed())
        return (self.type, rest)

    def _unnamed(self) -> Iterable[Pragma]:
        return (
            Pragma(
                file=p.file,
                line=0,
                name=p.name,
                words=p.words,
                options={k: v for k, v in p.options.items() if k != "variable"},
            )
            for p in self.pragmas
        )

    def banks(self, path: str, dimension: int, length: int) -> tuple[int, bool]:
        """(memories along a dimension from 1 on, whether all of it is one word)."""
        banks, is_word = 1, False
        for pragma in self.pragmas:
            stated = pragma.options.get("dim", "1")
            if pragma.variable != self.name + path or stated not in (str(_ALL), str(dimension)) or pragma.off:
                continue
            kind = pragma.options.get("type") or next((w for w in pragma.words if w != "object"), "complete")
            factor = pragma.options.get("factor", "")
            parts = length if kind == "complete" else int(factor) if factor.isdigit() else length
            if pragma.name == "array_partition":
                banks = max(banks, parts)
            elif pragma.name == "array_reshape":
                is_word = is_word or kind == "complete" or parts >= length
        return min(banks, length), is_word

    def ports(self, path: str, writes: bool) -> int:
        """Ports of one bank that can read (or write) in a cycle: two where no storage is stated."""
        for pragma in self.pragmas:
            if pragma.name == "bind_storage" and pragma.variable == self.name + path:
                return _READ_WRITE_PORTS.get(pragma.options.get("type", ""), (2, 2))[writes]
        return 2


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A memory or a part of it: ``path`` names the member, ``dims`` its extents, ``indices`` those applied so far."""

    memory: Memory
    path: str
    dims: tuple[int, ...]
    indices: tuple[Lanes, ...] = ()


def demand(ref: Ref) -> int | None:
    """Accesses of one bank in one cycle; None where that cannot be told.

    Lanes whose index picks the bank are in different banks. Lanes that share a word of a reshaped array count once.
    """
    banks_of, words = 1, []
    lanes: Lanes = frozenset()
    for number, (length, index) in enumerate(zip(ref.dims, ref.indices, strict=False), 1):
        banks, is_word = ref.memory.banks(ref.path, number, length)
        rounds = _rounds(index)
        if index and rounds is None and banks < length and not is_word:
            return None
        if banks > 1 and index:
            banks_of *= min(banks, rounds or banks)
        if not is_word and banks < length and index:
            words.append(min(-(-length // banks), rounds or length))
        if not is_word:
            lanes |= index
    total = _rounds(lanes)
    if not words:
        return 1
    return min(math.prod(words), -(-total // banks_of)) if total is not None else None


def _rounds(lanes: Lanes) -> int | None:
    counts = [lane.count for lane in lanes]
    return None if None in counts else math.prod(count for count in counts if count is not None)


def extents(cursor_type: Any) -> tuple[int, ...]:
    """Lengths of an array type, outermost first; () of any other."""
    found = []
    spelled = cursor_type.get_canonical()
    while spelled.kind.name == "CONSTANTARRAY":
        found.append(spelled.get_array_size())
        spelled = spelled.get_array_element_type().get_canonical()
    return tuple(found)


def element(cursor_type: Any) -> Any:
    """Type of the elements of an array type, or the type itself."""
    spelled = cursor_type.get_canonical()
    while spelled.kind.name == "CONSTANTARRAY":
        spelled = spelled.get_array_element_type().get_canonical()
    return spelled


def lane_of(loop: Cursor, count: int | None) -> Lane:
    location = loop.location
    return Lane(place=(location.file.name, location.line, location.column), count=count)
