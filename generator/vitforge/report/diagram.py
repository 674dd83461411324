# SPDX-License-Identifier: Apache-2.0
"""The block diagram of an overlay, from its handoff: a row a port, the processing system left, streams and interrupts
right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from vitforge.deploy.interrupts import CONCAT

_PS_TYPES = ("zynq_ultra_ps_e", "processing_system7")
_TOP, _GAP, _TITLE, _ROW = 10, 18, 30, 18
_LEFT, _RIGHT = 300, 636  # sides of the IPs
_CHIP, _LETTER = 24, 6.4  # height of a process, and width of a letter in it
_LANE = 9  # between lines at the right


@dataclass(frozen=True)
class Row:
    """A port of an IP: joined to ``other`` of the processing system by an arrow that is drawn to the right or left."""

    y: float
    port: str
    other: str
    outward: bool  # from the processing system


@dataclass(frozen=True)
class Chip:
    """A process of a kernel."""

    x: float
    y: float
    width: float
    text: str


@dataclass(frozen=True)
class Box:
    name: str
    y: float
    height: float
    rows: tuple[Row, ...]
    pins: tuple[tuple[float, str], ...]  # y and name, at the right
    chips: tuple[Chip, ...]


@dataclass(frozen=True)
class Lane:
    """A line at the right between two IPs."""

    path: str
    kind: str  # stream, interrupt


@dataclass(frozen=True)
class Diagram:
    height: float
    left: int
    right: int
    boxes: tuple[Box, ...]
    lanes: tuple[Lane, ...]


def diagram(root: ElementTree.Element, processes: Mapping[str, Sequence[str]]) -> Diagram:
    """root : of a handoff; processes : module type -> processes of that kernel"""
    modules = list(root.iter("MODULE"))
    ps = next(module for module in modules if module.get("MODTYPE") in _PS_TYPES)
    joined = list(_streams(modules)) + list(_interrupts(modules))
    boxes: list[Box] = []
    for module in modules:
        if module is ps or module.get("INSTANCE") == CONCAT:
            continue
        y = boxes[-1].y + boxes[-1].height + _GAP if boxes else _TOP
        boxes.append(_box(module, ps, joined, processes.get(module.get("MODTYPE", ""), ()), y))
    places = {(box.name, pin): y for box in boxes for y, pin in box.pins}
    lanes = []
    for index, (source, sink, kind) in enumerate(joined):
        x = _RIGHT + 12 + _LANE * index
        lanes.append(Lane(f"M {_RIGHT} {places[source]} H {x} V {places[sink]} H {_RIGHT + 2}", kind))
    return Diagram(boxes[-1].y + boxes[-1].height + _TOP, _LEFT, _RIGHT, tuple(boxes), tuple(lanes))


Pin = tuple[str, str]
Joined = tuple[Pin, Pin, str]


def _box(
    module: ElementTree.Element, ps: ElementTree.Element, joined: Sequence[Joined], processes: Sequence[str], y: float
) -> Box:
    name = module.get("INSTANCE", "")
    rows = list(_rows(module, ps))
    pins = list(dict.fromkeys(pin for source, sink, _ in joined for owner, pin in (source, sink) if owner == name))
    first = y + _TITLE + _ROW / 2
    lines = max(len(rows), len(pins))
    chips, height = _chips(processes, y + _TITLE + lines * _ROW + 6)
    return Box(
        name=name,
        y=y,
        height=_TITLE + lines * _ROW + height + 8,
        rows=tuple(replace(row, y=first + index * _ROW) for index, row in enumerate(rows)),
        pins=tuple((first + index * _ROW, pin) for index, pin in enumerate(pins)),
        chips=chips,
    )


def _rows(module: ElementTree.Element, ps: ElementTree.Element) -> Iterator[Row]:
    """Registers, memory, and interrupts: what joins an IP to the processing system."""
    for window in ps.iter("MEMRANGE"):
        if window.get("INSTANCE") == module.get("INSTANCE"):
            yield Row(0, window.get("SLAVEBUSINTERFACE", ""), window.get("MASTERBUSINTERFACE", ""), True)
    memory = ((w.get("MASTERBUSINTERFACE", ""), w.get("SLAVEBUSINTERFACE", "")) for w in module.iter("MEMRANGE"))
    for port, other in dict.fromkeys(memory):
        yield Row(0, port, other, False)
    for pin in module.iter("PORT"):
        for end in pin.iter("CONNECTION"):
            if end.get("INSTANCE") == ps.get("INSTANCE"):
                yield Row(0, pin.get("NAME", ""), end.get("PORT", ""), False)


def _streams(modules: Sequence[ElementTree.Element]) -> Iterator[Joined]:
    ends: dict[str, dict[str, Pin]] = {}
    for module in modules:
        for bus in module.iter("BUSINTERFACE"):
            if bus.get("BUSNAME"):
                pin = (module.get("INSTANCE", ""), bus.get("NAME", ""))
                ends.setdefault(bus.get("BUSNAME", ""), {})[bus.get("TYPE", "")] = pin
    for end in ends.values():
        yield end["INITIATOR"], end["TARGET"], "stream"


def _interrupts(modules: Sequence[ElementTree.Element]) -> Iterator[Joined]:
    """From an IP to the controller, through the concat where there is one."""
    intr = {
        (module.get("INSTANCE", ""), "intr")
        for module in modules
        for pin in module.iter("PORT")
        if pin.get("NAME") == "intr"
    }
    for module in modules:
        for pin in module.iter("PORT"):
            ends = {end.get("INSTANCE") for end in pin.iter("CONNECTION")}
            if pin.get("DIR") == "O" and module.get("INSTANCE") != CONCAT and ends & {CONCAT, *(i for i, _ in intr)}:
                yield (module.get("INSTANCE", ""), pin.get("NAME", "")), next(iter(intr)), "interrupt"


def _chips(texts: Sequence[str], y: float) -> tuple[tuple[Chip, ...], float]:
    """Processes from left to right, in as many lines as they need, and the height of those."""
    chips: list[Chip] = []
    x, line = _LEFT + 12.0, 0
    for text in texts:
        width = round(_LETTER * len(text) + 16, 1)
        if x + width > _RIGHT - 8 and chips:
            x, line = _LEFT + 12.0, line + 1
        chips.append(Chip(x, y + line * (_CHIP + 6), width, text))
        x += width + 8
    return tuple(chips), (line + 1) * (_CHIP + 6) if texts else 0
