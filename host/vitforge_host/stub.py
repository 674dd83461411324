# SPDX-License-Identifier: Apache-2.0
"""The stand-in for a bitstream in an overlay that is for simulation only.

It holds the SHA-256 of the `.hwh` beside it: pynq's metadata cache goes by the `.bit` alone, so a changed `.hwh` must
change the `.bit`, and a pair that does not belong together is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from vitforge_host.errors import OverlayError

_FIRST_LINE = b"vitforge simulation stub, not a bitstream\n"


def stub_bitfile(handoff: bytes) -> bytes:
    """Content of the stub `.bit` that belongs to the `.hwh` with content ``handoff``."""
    return _FIRST_LINE + f"hwh sha256 {hashlib.sha256(handoff).hexdigest()}\n".encode()


def is_stub(bitfile: Path) -> bool:
    """Whether ``bitfile`` is such a stub."""
    with bitfile.open("rb") as file:
        return file.read(len(_FIRST_LINE)) == _FIRST_LINE


def check_stub(bitfile: Path, handoff: Path) -> None:
    """Raise OverlayError if ``bitfile`` is a stub for another `.hwh` than ``handoff``; real bitstreams pass."""
    if is_stub(bitfile) and bitfile.read_bytes() != stub_bitfile(handoff.read_bytes()):
        raise OverlayError(f"{bitfile} was made for another {handoff.name} than the one beside it; generate both again")
