# SPDX-License-Identifier: Apache-2.0
"""The whole accelerator in csim, launched as the driver launches it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.compiled import CsimLibrary
from vitforge.design.design import Design
from vitforge.timing.ddr import ddr_bytes
from vitforge_host.blob import pack_images, read_blob, unpack_results
from vitforge_host.schedule import chunk_lists

LAUNCH_IMAGES = 64
LAUNCH_BYTES = 256 << 20  # of the streams of a launch, which csim fills before they are read


@dataclass(frozen=True, kw_only=True)
class ModelRun:
    """Logits of the simulated accelerator, and how long it took for them."""

    logits: NDArray[np.int32]  # (n, classes); features (n, tokens, channels) of a model without a head
    seconds: float  # in the accelerator; what the driver does before and after is not counted


def run_model(
    library: CsimLibrary, design: Design, blob: bytes, images: NDArray[np.uint8], at_once: int | None = None
) -> NDArray[np.int32]:
    """Logits (n, classes) int32 of images (n, H, W, C) uint8, in launches of at most ``at_once``, by default as many as
    memory should hold."""
    return timed_model(library, design, blob, images, at_once).logits


def timed_model(
    library: CsimLibrary, design: Design, blob: bytes, images: NDArray[np.uint8], at_once: int | None = None
) -> ModelRun:
    """The same with the time. A library's first launch pays for its pages: run an image before one that counts."""
    at_once = at_once or max(1, min(LAUNCH_IMAGES, LAUNCH_BYTES // ddr_bytes(design)))
    manifest = read_blob(blob).manifest
    packed = pack_images(images, manifest)
    memory = np.frombuffer(blob, np.uint8)
    runs = [
        _launch(library, design, manifest, memory, packed[first : first + at_once])
        for first in range(0, len(packed), at_once)
    ]
    logits = np.concatenate([run.logits for run in runs])
    return ModelRun(logits=logits, seconds=sum(run.seconds for run in runs))


def _launch(
    library: CsimLibrary,
    design: Design,
    manifest: Mapping[str, Any],
    memory: NDArray[np.uint8],
    packed: NDArray[np.uint8],
) -> ModelRun:
    lists, n_steps = chunk_lists(manifest, len(packed))
    entries = [np.ascontiguousarray(lists[unit]) for unit in ("ln1", "nsa", "ln2", "nmp")]
    logits = np.full((len(packed), design.result_words), -1, np.int32)
    identity = [np.zeros(1, np.uint32) for _ in range(4)]
    images = np.ascontiguousarray(packed)
    start = time.perf_counter()
    library.call("vitforge_sim", *entries, *[memory] * 4, images, logits, n_steps, len(packed), *identity)
    seconds = time.perf_counter() - start
    return ModelRun(logits=unpack_results(logits, manifest), seconds=seconds)
