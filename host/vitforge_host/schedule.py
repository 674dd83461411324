# SPDX-License-Identifier: Apache-2.0
"""Which image each unit works on in each step, and the chunk lists that tell the accelerator.

Four units form a ring: layer norm 1, attention array, layer norm 2, MLP array. An image moves on by one unit a step,
so that four images are in flight, and starts when the one that held its place four blocks long has left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNITS = ("ln1", "nsa", "ln2", "nmp")
IN_FLIGHT = len(UNITS)
IMAGE = "image"  # the part that is an image, not a section of the blob
_END = {"ln1": "end.ln", "nsa": "end.array", "ln2": "end.ln", "nmp": "end.array"}
_FROM_BLOB, _FROM_IMAGES = 0, 1

Part = tuple[str, "int | None"]  # (section or IMAGE, index of the image)


@dataclass
class Step:
    """Parts of one step, by unit, in order: (section of the blob, image it is for)."""

    ln1: list[Part] = field(default_factory=list)
    nsa: list[Part] = field(default_factory=list)
    ln2: list[Part] = field(default_factory=list)
    nmp: list[Part] = field(default_factory=list)


def start_step(image: int, depth: int) -> int:
    """Step in which ``image`` enters layer norm 1 of block 0; its patches are loaded two steps before."""
    return 2 + image // IN_FLIGHT * 4 * depth + image % IN_FLIGHT


def schedule(images: int, depth: int) -> list[Step]:
    """All steps of a batch of ``images`` through ``depth`` encoder blocks."""
    if images < 1 or depth < 1:
        raise ValueError(f"a schedule needs at least one image and one block, not {images} and {depth}")
    starts = [start_step(image, depth) for image in range(images)]
    steps = [Step() for _ in range(starts[-1] + 4 * depth + 2)]
    # An image that leaves goes before the one that takes its place in the same unit and step.
    for image, start in enumerate(starts):
        steps[start + 4 * depth].ln1.append(("ln1.final", image))
        steps[start + 4 * depth + 1].nsa.append(("nsa.head", image))
    for image, start in enumerate(starts):
        steps[start - 2].ln2 += [("ln2.load", image), (IMAGE, image)]
        steps[start - 1].nmp.append(("nmp.embed", image))
    for image, start in enumerate(starts):
        for block in range(depth):
            first = start + 4 * block
            for offset, unit in enumerate(UNITS):
                getattr(steps[first + offset], unit).append((f"{unit}.{block}", image))
    return steps


def chunk_lists(manifest: Mapping[str, Any], images: int) -> tuple[dict[str, NDArray[np.uint32]], int]:
    """(unit -> (entries, 4) uint32 chunk list, number of steps) for a batch of ``images``.

    An entry is offset [beats], length [beats], source (0 blob, 1 images), 0; the last one is empty.
    """
    steps = schedule(images, int(manifest["depth"]))
    sections = {
        name: (int(entry["offset_beats"]), int(entry["beats"]), _FROM_BLOB, 0)
        for name, entry in manifest["sections"].items()
    }
    beats = int(manifest["image_beats"])
    lists = {}
    for unit in UNITS:
        entries = []
        for step in steps:
            for name, image in getattr(step, unit):
                entries.append((image * beats, beats, _FROM_IMAGES, 0) if name == IMAGE else sections[name])
            entries.append(sections[_END[unit]])
        entries.append((0, 0, 0, 0))
        lists[unit] = np.array(entries, np.uint32)
    return lists, len(steps)
