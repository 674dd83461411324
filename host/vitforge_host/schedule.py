# SPDX-License-Identifier: Apache-2.0
"""Which image each unit works on in each step, and the chunk lists that tell the accelerator.

Four units form a ring: layer norm 1, attention array, layer norm 2, MLP array. An image moves on by one unit a step,
so that four images are in flight, and enters when the one that held its place has left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNITS = ("ln1", "nsa", "ln2", "nmp")
IN_FLIGHT = len(UNITS)
IMAGE = "image"  # the part that is a slice of an image, not a section of the blob
_END = {"ln1": "end.ln", "nsa": "end.nsa", "ln2": "end.ln", "nmp": "end.nmp"}
Entry = tuple[int, int, int, int]


class ChunkKind(IntEnum):
    """What a fetcher does with the beats of a chunk."""

    END = 0  # of the list
    BLOB = 1
    IMAGES = 2
    KEEP = 3  # in its resident store
    RECALL = 4  # puts them between entries of the store


@dataclass(frozen=True)
class Part:
    """A piece of a unit's stream: a section of the blob, or (``IMAGE``) a slice of an image."""

    section: str
    image: int  # that it is for
    index: int = 0  # of the slice


@dataclass
class Step:
    """Parts of one step, by unit, in order."""

    ln1: list[Part] = field(default_factory=list)
    nsa: list[Part] = field(default_factory=list)
    ln2: list[Part] = field(default_factory=list)
    nmp: list[Part] = field(default_factory=list)


def start_step(image: int, image_steps: int, embed_unit: str = "nmp") -> int:
    """Step in which ``image`` enters layer norm 1 of block 0.

    It is embedded before, in the step in which the unit that embeds has the image's place in the ring.
    """
    lead = IN_FLIGHT - UNITS.index(embed_unit)
    return lead + image // IN_FLIGHT * image_steps + image % IN_FLIGHT


def schedule(
    images: int,
    depth: int,
    *,
    image_steps: int,
    has_head: bool,
    head_images: int = 1,
    head_slices: int = 1,
    slices: int = 1,
    embed_unit: str = "nmp",
) -> list[Step]:
    """All steps of a batch of ``images`` through ``depth`` encoder blocks.

    image_steps : steps after which the next image takes an image's place: 4 * depth if it may be embedded while the
        class token of the last one goes through its last block, which needs a class head
    head_images : images of a group, for which each job of the class head is done once
    head_slices : jobs of the class head
    slices : parts in which the patches of an image are loaded
    embed_unit : array that embeds the patches: nsa or nmp
    """
    if images < 1 or depth < 1:
        raise ValueError(f"a schedule needs at least one image and one block, not {images} and {depth}")
    starts = [start_step(image, image_steps, embed_unit) for image in range(images)]
    steps = [Step() for _ in range(starts[-1] + 4 * depth + 2)]
    if has_head:
        _class_heads(steps, starts, depth, head_images, head_slices)
    _enter(steps, starts, depth, embed_unit, has_head, slices)
    for image, start in enumerate(starts):
        for block in range(depth):
            for offset, unit in enumerate(UNITS):
                if not (has_head and unit == embed_unit and block == depth - 1):
                    getattr(steps[start + 4 * block + offset], unit).append(Part(f"{unit}.{block}", image))
    for image, start in enumerate(starts):  # after the first norm of another image, for which its array waits
        steps[start + 4 * depth].ln1 += [Part(f"ln1.final.{image % head_images}", image), Part("ln1.final", image)]
    return steps


def _enter(steps: list[Step], starts: list[int], depth: int, unit: str, has_head: bool, slices: int) -> None:
    """Loading and embedding of each image; with a class head after the last block of the one whose place it takes.

    The layer norm before the array loads. Where no image enters, a mark alone tells the array so.
    """
    offset = UNITS.index(unit)
    loader, lead = UNITS[offset - 1], IN_FLIGHT - offset
    leaving = [start + 4 * (depth - 1) + offset for start in starts] if has_head else []
    for image, step in enumerate(leaving):
        getattr(steps[step], unit).append(Part(f"{unit}.{depth - 1}", image))
    for image, start in enumerate(starts):
        loads = getattr(steps[start - lead], loader)
        for index in range(slices):
            loads += [Part(f"{loader}.load.{index}", image), Part(IMAGE, image, index)]
        getattr(steps[start - lead], unit).append(Part(f"{unit}.embed", image))
    for image, step in enumerate(leaving):
        loads = getattr(steps[step], loader)
        if not loads:
            loads.append(Part(f"{loader}.mark", image))


def _class_heads(steps: list[Step], starts: list[int], depth: int, head_images: int, slices: int) -> None:
    """The class head of each group of images.

    A single job goes beside the last block of a later image, of which only the class token is used: the array has
    least to do there. Several go one to a step, from the next step on. But none goes after the step in which the first
    class token of the next group arrives, which takes the place of this group's. Where that is too soon, or no image
    follows, all are done at once.
    """
    light = [start + 4 * (depth - 1) + 1 for start in starts]
    for first in range(0, len(starts), head_images):
        group = starts[first : first + head_images]
        ready = group[-1] + 4 * depth + 1
        following = starts[first + head_images : first + head_images + 1]
        latest = following[0] + 4 * depth if following else ready
        times = [ready] * slices
        if slices == 1:
            times = [next((step for step in light if ready <= step <= latest), ready)]
        elif ready + slices - 1 <= latest:
            times = list(range(ready, ready + slices))
        for part, step in enumerate(times):
            jobs = [Part(f"nsa.head.{part}.{len(group)}", first), Part(f"nsa.head.{part}", first)]
            steps[step].nsa += jobs


def chunk_lists(manifest: Mapping[str, Any], images: int) -> tuple[dict[str, NDArray[np.uint32]], int]:
    """(unit -> (entries, 4) uint32 chunk list, number of steps) for a batch of ``images``.

    An entry is offset [beats], length [beats], `ChunkKind`, entries of a resident store (first, number << 16); the last
    one is 0. What stays in a store is read before its first use in the list, so that nothing of an earlier launch is
    ever used.
    """
    slices = [(int(first), int(beats)) for first, beats in manifest["image_slices"]]
    steps = schedule(
        images,
        int(manifest["depth"]),
        image_steps=int(manifest["image_steps"]),
        has_head=int(manifest["num_classes"]) > 0,
        head_images=int(manifest["head_images"]),
        head_slices=int(manifest["head_slices"]),
        slices=len(slices),
        embed_unit=str(manifest["embed_unit"]),
    )
    beats = int(manifest["image_beats"])
    lists = {}
    for unit in UNITS:
        entries: list[Entry] = []
        kept: set[str] = set()
        for step in steps:
            for part in [*getattr(step, unit), Part(_END[unit], 0)]:
                if part.section == IMAGE:
                    first, length = slices[part.index]
                    entries.append((part.image * beats + first, length, ChunkKind.IMAGES, 0))
                else:
                    entries += _section_chunks(manifest["sections"][part.section], part.section in kept)
                    kept.add(part.section)
        entries.append((0, 0, ChunkKind.END, 0))
        lists[unit] = np.array(entries, np.uint32)
    return lists, len(steps)


def _section_chunks(section: Mapping[str, Any], is_kept: bool) -> list[Entry]:
    """is_kept : what stays on chip of ``section`` is there"""
    offset, beats = int(section["offset_beats"]), int(section["beats"])
    kept = section.get("kept")
    if kept is None:
        return [(offset, beats, ChunkKind.BLOB, 0)]
    place = int(kept["first"]) | int(kept["entries"]) << 16
    recall = (offset, beats, ChunkKind.RECALL, place)
    if is_kept:
        return [recall]
    return [(int(kept["offset_beats"]), int(kept["beats"]), ChunkKind.KEEP, place), recall]
