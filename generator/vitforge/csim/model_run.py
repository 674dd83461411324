# SPDX-License-Identifier: Apache-2.0
"""The whole accelerator in csim, launched as the driver launches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.compiled import CsimLibrary
from vitforge.design.design import Design
from vitforge_host.blob import pack_images, read_blob
from vitforge_host.schedule import chunk_lists

LAUNCH_IMAGES = 64  # bounds the memory of streams, which csim fills before they are read


def run_model(library: CsimLibrary, design: Design, blob: bytes, images: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Logits (n, classes) int32 of images (n, H, W, C) uint8, in launches of at most ``LAUNCH_IMAGES``."""
    manifest = read_blob(blob).manifest
    packed = pack_images(images, manifest)
    memory = np.frombuffer(blob, np.uint8)
    results = [
        _launch(library, design, manifest, memory, packed[first : first + LAUNCH_IMAGES])
        for first in range(0, len(packed), LAUNCH_IMAGES)
    ]
    return np.concatenate(results)[:, : design.shape.num_classes]


def _launch(
    library: CsimLibrary,
    design: Design,
    manifest: Mapping[str, Any],
    memory: NDArray[np.uint8],
    packed: NDArray[np.uint8],
) -> NDArray[np.int32]:
    lists, n_steps = chunk_lists(manifest, len(packed))
    entries = [np.ascontiguousarray(lists[unit]) for unit in ("ln1", "nsa", "ln2", "nmp")]
    logits = np.full((len(packed), design.logits_words), -1, np.int32)
    identity = [np.zeros(1, np.uint32) for _ in range(4)]
    images = np.ascontiguousarray(packed)
    library.call("vitforge_sim", *entries, *[memory] * 4, images, logits, n_steps, len(packed), *identity)
    return logits
