# SPDX-License-Identifier: Apache-2.0
"""``<overlay>.sim.json``: which csim library stands for which IP of an overlay, and how its arguments lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitforge_host.errors import OverlayError

FORMAT = 1
ARGUMENT_KINDS = ("ptr", "i32", "out32")


@dataclass(frozen=True)
class ArgumentSpec:
    """One argument of the C function, in call order.

    ``offset`` is that of its first register. A pointer needs ``min_bytes`` of device memory from its address, times the
    value of the i32 argument ``times`` if that is named.
    """

    name: str
    kind: str
    offset: int
    min_bytes: int = 1
    times: str = ""


@dataclass(frozen=True)
class StreamSpec:
    """That an IP takes a packet in each run and gives at most one, of at most ``max_out_bytes``.

    ``packet_unless`` is the argument, and its value, with which a run takes no packet.
    """

    max_out_bytes: int
    packet_unless: tuple[str, int] | None = None


@dataclass(frozen=True)
class CycleModel:
    """Clock cycles of a run whose library does not count them: of the argument ``times``, the first takes ``first``."""

    times: str
    first: int
    each: int  # of the others

    def cycles(self, scalars: Mapping[str, int]) -> int:
        """Of a run with the i32 arguments ``scalars`` by name."""
        count = scalars.get(self.times, 0)
        return self.first + (count - 1) * self.each if count > 0 else 0


@dataclass(frozen=True)
class IpSpec:
    """The model of one IP: a function of a shared library, on memory or (``stream``) on packets."""

    name: str
    lib: Path
    symbol: str
    control: str
    arguments: tuple[ArgumentSpec, ...]
    stream: StreamSpec | None = None
    cycles: CycleModel | None = None


@dataclass(frozen=True)
class SimManifest:
    """IP models by instance name, and the AXI4-Stream connections as (source IP, sink IP)."""

    ip: dict[str, IpSpec]
    streams: tuple[tuple[str, str], ...]


def read_manifest(path: Path) -> SimManifest:
    """The models of an overlay; raises OverlayError when the file is missing or malformed."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OverlayError(f"{path} is missing, so the overlay cannot be simulated; generate it again") from None
    except (OSError, ValueError) as error:
        raise OverlayError(f"{path} cannot be read as JSON ({error}); generate it again") from None
    try:
        if document["format"] != FORMAT:
            raise OverlayError(f"{path} has format {document['format']}, this package reads format {FORMAT}")
        models = {name: _ip(name, entry, path) for name, entry in document["ip"].items()}
        return SimManifest(models, tuple((str(source), str(sink)) for source, sink in document["streams"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OverlayError(f"{path} lacks or misuses the entry {error}; generate it again") from None


def _ip(name: str, entry: dict[str, Any], path: Path) -> IpSpec:
    if entry["lib"] is None:
        raise OverlayError(f"{path} names no simulation library for {name}; build one with: vitforge csim DIR")
    library = (path.parent / entry["lib"]).resolve()
    if not library.is_file():
        raise OverlayError(f"the simulation library {library} does not exist; build it with: vitforge csim DIR")
    arguments = tuple(ArgumentSpec(**argument) for argument in entry["args"])
    names = {argument.name for argument in arguments if argument.kind == "i32"}
    for argument in arguments:
        if argument.kind not in ARGUMENT_KINDS or (argument.times and argument.times not in names):
            raise OverlayError(f"{path} has a bad argument {argument} for {name}; generate it again")
    cycles = CycleModel(**entry["cycles"]) if "cycles" in entry else None
    return IpSpec(name, library, entry["symbol"], entry["ctrl"], arguments, _stream(entry, path, names), cycles)


def _stream(entry: dict[str, Any], path: Path, names: set[str]) -> StreamSpec | None:
    if "stream" not in entry:
        return None
    unless = entry["stream"].get("packet_unless")
    if unless is not None and unless["argument"] not in names:
        raise OverlayError(
            f"{path} has a condition on {unless['argument']}, which is no i32 argument; generate it again"
        )
    condition = None if unless is None else (str(unless["argument"]), int(unless["value"]))
    return StreamSpec(int(entry["stream"]["max_out_bytes"]), condition)
