# SPDX-License-Identifier: Apache-2.0
"""Runs a project in csim with the recorder on; a recording is kept, for it does not depend on clock or depths."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitforge.csim.build import cache_directory
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.model_run import run_model
from vitforge.csim.project import Project
from vitforge.errors import CheckError, ConfigError, ModelError
from vitforge.golden.vit import forward
from vitforge.model.samples import sample_images
from vitforge.timing.recording import Recording, begin_recording, end_recording

PICTURES = 2  # different images of a run; more show the same
_DEFINES = ("VITFORGE_TRACE",)


def record(project: Project, images: int) -> Recording:
    """What the processes of ``project`` do for a launch of ``images``, from the cache where nothing has changed.

    Raises
    ------
    CheckError
        If the results differ from the golden model: times of wrong results mean nothing.
    ToolError
        If there is no compiler, or the sources do not compile.
    """
    library = project.compile(defines=_DEFINES)
    blob = project.blob()
    kept = cache_directory() / "recordings" / f"{_key(library, blob, images)}.npz"
    if kept.is_file():
        try:
            return Recording.load(kept)
        except (ConfigError, ModelError):
            kept.unlink(missing_ok=True)  # cut off, or of another version
    recording = _run(project, CsimLibrary(library), blob, images)
    _keep(recording, kept)
    return recording


def _run(project: Project, library: CsimLibrary, blob: bytes, images: int) -> Recording:
    pictures = sample_images(project.design.shape, min(images, PICTURES))
    which = np.arange(images) % len(pictures)
    begin_recording(library)
    results = run_model(library, project.design, blob, pictures[which], at_once=images)
    recording = end_recording(library)
    _check(forward(project.model(), pictures)[which], results, project.directory)
    return recording


def _check(expected: NDArray, results: NDArray, directory: Path) -> None:
    wrong = int(np.count_nonzero(expected != results))
    if wrong:
        raise CheckError(
            f"csim of {directory} differs from the golden model in {wrong:,} of {expected.size:,} results, so that its "
            f"times mean nothing; vitforge csim {directory} shows where"
        )


def _key(library: Path, blob: bytes, images: int) -> str:
    digest = hashlib.sha256(f"{library.parent.name} {images}".encode())
    digest.update(blob)
    return digest.hexdigest()[:32]


def _keep(recording: Recording, path: Path) -> None:
    """A cache that cannot be written costs time, nothing else."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recording.save(fresh)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
