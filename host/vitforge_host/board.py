# SPDX-License-Identifier: Apache-2.0
"""Which board is this, and is an overlay for it? Told before anything is written to hardware.

A PYNQ image names its board in the environment variable BOARD, and in the device tree where the image has it there. A
remote device has the name of its board. A PC says nothing, and simulates overlays of every board.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from vitforge_host import sim
from vitforge_host.description import read_description
from vitforge_host.errors import OverlayError

_UNKNOWN = "Unknown"  # what pynq calls a remote board that does not say


def board_name(device: Any = None) -> str:
    """What the board of ``device``, or else this machine, calls itself; empty if it does not say."""
    if getattr(device, "capabilities", {}).get("REMOTE"):
        name = str(device.name)
        return "" if name == _UNKNOWN else name
    return os.environ.get("BOARD", "").strip() or _in_device_tree()


def check_board(bitfile: Path, device: Any = None) -> None:
    """Raise OverlayError if the description beside ``bitfile`` is of another board than that of ``device``."""
    description, here = read_description(bitfile), board_name(device)
    if description is None or not description.pynq_board or not here:
        return
    if _letters(description.pynq_board) != _letters(here):
        raise OverlayError(
            f"the overlay {bitfile} is for the board {description.board}, whose BOARD is {description.pynq_board}, and "
            f"here BOARD is {here}; generate and build the project for this board"
        )


def _letters(name: str) -> str:
    """Without what images write differently: PYNQ-Z2 is Pynq-Z2."""
    return name.casefold().replace("-", "").replace("_", "")


def _in_device_tree() -> str:
    try:
        return (Path(sim.DEVICE_TREE) / "chosen" / "pynq_board").read_text(encoding="utf-8").strip("\0 \n")
    except (OSError, UnicodeDecodeError):
        return ""
