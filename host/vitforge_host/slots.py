# SPDX-License-Identifier: Apache-2.0
"""Device buffers of the driver: the blob, and per batch in flight its lists, images and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge_host.blob import PADDING_PIXEL, pack_into, unpack_results
from vitforge_host.errors import HostError, ResultError
from vitforge_host.overlay import pointer_words
from vitforge_host.schedule import UNITS, chunk_lists
from vitforge_host.stopwatch import Stopwatch

POISON = -(1 << 31)  # no logit reaches it; stands where the accelerator has written nothing

Allocate = Callable[[Any, Any], Any]  # (shape, dtype) -> pynq buffer


class BatchSlot:
    """Everything that one batch in flight needs in device memory.

    Parameters
    ----------
    allocate : callable
        ``(shape, dtype) -> PynqBuffer``.
    manifest : mapping
        Of the weight blob.
    batch : int
        Most images of one launch.
    transferring : Stopwatch
        Of the time that data takes to DDR and back.

    Attributes
    ----------
    arguments : mapping
        Registers of a launch, by name, with what they are to hold; the blob's pointers are not among them.
    count : int
        Images that it holds.
    """

    def __init__(self, allocate: Allocate, manifest: Mapping[str, Any], batch: int, transferring: Stopwatch) -> None:
        self._manifest = manifest
        self._transferring = transferring
        self.buffers: list[Any] = []
        lists, _ = chunk_lists(manifest, batch)
        self.lists = {unit: self._own(allocate(lists[unit].shape, np.uint32)) for unit in UNITS}
        image_bytes = int(manifest["image_beats"]) * int(manifest["beat_bytes"])
        self.images = self._own(allocate((batch, image_bytes), np.uint8))
        self.logits = self._own(allocate((batch, int(manifest["logits_words"])), np.int32))
        self._pixels, self._words = np.asarray(self.images), np.asarray(self.logits)  # what numpy is quick with
        self._pixels[:] = PADDING_PIXEL
        self._words[:] = POISON
        addresses = {f"list_{unit}": buffer.device_address for unit, buffer in self.lists.items()}
        addresses |= {"images": self.images.device_address, "logits": self.logits.device_address}
        self.arguments = pointer_words(addresses) | {"n_steps": 0, "n_images": 0}
        self.count = 0
        self._planned = 0

    def load(self, images: NDArray[np.uint8]) -> None:
        """Pack (n, H, W, C) uint8 images, plan their steps, poison the results, and flush it all to DDR."""
        count = len(images)
        if count != self._planned:
            self._plan(count)
        pack_into(self._pixels[:count], images, self._manifest)
        self._words[: self.count] = POISON  # where there are results of the last batch
        with self._transferring:
            self.images[:count].flush()
            self.logits.flush()
        self.count = self.arguments["n_images"] = count

    def collect(self) -> NDArray[np.int32]:
        """Results of the finished batch, (n, classes) or (n, tokens, channels) int32.

        Raises ResultError if any is missing or too many.
        """
        with self._transferring:
            self.logits.invalidate()
        words = self._words
        results = unpack_results(words[: self.count].copy(), self._manifest)
        whole = (results != POISON).reshape(self.count, -1).all(axis=1)
        if not whole.all():
            first = int(np.argmin(whole))
            raise ResultError(
                f"the accelerator finished but wrote results for {int(whole.sum())} of {self.count} images "
                f"(image {first} of the batch is the first without); check that overlay and blob belong together"
            )
        if (words[self.count :] != POISON).any():
            raise ResultError(
                f"the accelerator wrote results for more than the {self.count} images asked for; "
                "check that overlay and blob belong together"
            )
        return np.ascontiguousarray(results)

    def _plan(self, count: int) -> None:
        lists, self.arguments["n_steps"] = chunk_lists(self._manifest, count)
        for unit, buffer in self.lists.items():
            entries = lists[unit]
            if len(entries) > len(buffer):
                raise HostError(
                    f"the {unit} list of {count} images has {len(entries)} entries, more than {len(buffer)}"
                )
            buffer[: len(entries)] = entries
            buffer.flush()
        self._planned = count

    def _own(self, buffer: Any) -> Any:
        self.buffers.append(buffer)
        return buffer
