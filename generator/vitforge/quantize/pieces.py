# SPDX-License-Identifier: Apache-2.0
"""A weight stream in pieces, and the part of it that a resident store keeps (docs/architecture.md, Streams)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

_COUNT_BYTES = 2  # of an entry: weight beats that follow it


@dataclass(frozen=True)
class Piece:
    """Whole beats: what may stay on chip (descriptors, targets, parameters), then weight words, read for each image."""

    head: bytes
    words: bytes = b""


Pieces = tuple[Piece, ...]


def stream(pieces: Iterable[Piece]) -> bytes:
    """The stream as its unit sees it."""
    return b"".join(piece.head + piece.words for piece in pieces)


def entry_count(pieces: Iterable[Piece], beat: int) -> int:
    """Entries of a resident store: a beat each."""
    return sum(len(piece.head) // beat for piece in pieces)


def kept_bytes(pieces: Iterable[Piece], beat: int) -> bytes:
    """What is read once a launch: by turns a beat with the counts of as many entries as it holds, and their beats.

    The count of an entry (u16) is the number of weight beats behind it.
    """
    beats, counts = [], []
    for piece in pieces:
        beats += [piece.head[first : first + beat] for first in range(0, len(piece.head), beat)]
        counts += [0] * (len(piece.head) // beat - 1) + [len(piece.words) // beat]
    group = beat // _COUNT_BYTES
    parts = []
    for first in range(0, len(beats), group):
        parts.append(np.array(counts[first : first + group], "<u2").tobytes().ljust(beat, b"\0"))
        parts += beats[first : first + group]
    return b"".join(parts)


def resident_places(sections: Mapping[str, Pieces], entries: Mapping[str, int], beat: int) -> dict[str, int]:
    """Section -> its first entry in the store of its unit: of as many as there is room for, in their order.

    entries : unit -> entries of its store
    """
    used, places = dict.fromkeys(entries, 0), {}
    for name, pieces in sections.items():
        unit, count = name.removeprefix("end.").split(".")[0], entry_count(pieces, beat)
        if used[unit] + count <= entries[unit]:
            places[name] = used[unit]
            used[unit] += count
    return places
