# SPDX-License-Identifier: Apache-2.0
"""The JSON description beside a bitstream, ``<overlay>.<kernel>.json``: of which design it is, and for which board."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vitforge_host.errors import OverlayError
from vitforge_host.identity import KERNELS, Identity


@dataclass(frozen=True)
class Description:
    """What an overlay says of itself; the names of the board are empty if it does not say them."""

    kernel: Identity
    design_hash: str
    board: str  # as `vitforge boards` names it
    pynq_board: str  # as the environment of its image has it in BOARD


def read_description(bitfile: Path) -> Description | None:
    """The description beside ``bitfile``, None if there is none. Raises OverlayError if it is not one of ours."""
    for kernel in KERNELS:
        path = bitfile.with_suffix(kernel.suffix)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            design_hash = str(content["design_hash"])
            names = [str(content.get(key) or "") for key in ("board", "pynq_board")]
            return Description(kernel, design_hash, *names)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OverlayError(
                f"{path} does not describe {kernel.title} ({type(error).__name__}: {error}); copy it from the project "
                "again"
            ) from None
    return None
