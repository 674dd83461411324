# SPDX-License-Identifier: Apache-2.0
"""What a reader of a notebook sees when something is missing: one sentence, and no traceback."""

from __future__ import annotations

import re
from pathlib import Path

from notebooks.support import outputs, run
from vitforge.csim.project import load_project
from vitforge.deploy.overlay import overlay_files


def message(project: Path) -> str:
    """Of the error in the cell that opens the accelerator."""
    done = run(project, allow_errors=True)
    (error,) = (part for part in outputs(done, "open") if part.output_type == "error")
    (line,) = error.traceback
    assert "\n" not in line
    return line


def test_a_missing_overlay(copied: Path) -> None:
    (copied / "overlay" / "vitforge.bit").unlink()
    assert re.fullmatch(r"OverlayError: the overlay .*vitforge\.bit cannot be loaded: .*", message(copied))


def test_a_missing_blob(copied: Path) -> None:
    (copied / "weights" / "vitforge.blob").unlink()
    assert re.fullmatch(r"InputError: the weight blob .*vitforge\.blob cannot be read: .*", message(copied))


def test_a_library_that_nobody_compiled(copied: Path) -> None:
    manifest = copied / "overlay" / "vitforge.sim.json"
    manifest.write_bytes(overlay_files(load_project(copied).design)["vitforge.sim.json"])
    assert message(copied).endswith("build one with: vitforge csim DIR")
