# SPDX-License-Identifier: Apache-2.0
"""Do the files of an overlay belong together? Told from the files alone, before anything is written to hardware.

* A stub `.bit` holds the SHA-256 of its `.hwh`.
* ``<overlay>.sha256``, if there, lists both, and what else belongs to them, in the format of ``sha256sum``.
* The header of a real `.bit` names the part that it is for, as the `.hwh` does.
* The description, if there, holds the hash of the design.
"""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vitforge_host.description import read_description
from vitforge_host.errors import IdentityError, OverlayError
from vitforge_host.identity import Identity
from vitforge_host.stub import check_stub, is_stub

CHECKSUMS = ".sha256"
_HEADER_BYTES = 1024  # of a .bit, far more than its header has
_TOGETHER = "copy all files of one build again"


@dataclass(frozen=True)
class BitHeader:
    """What a Vivado `.bit` says of itself."""

    design: str
    part: str


def check_pair(bitfile: Path) -> None:
    """Raise OverlayError if `.bit` and `.hwh` do not belong together; what is missing is left to pynq to report."""
    handoff = bitfile.with_suffix(".hwh")
    if not (bitfile.is_file() and handoff.is_file()):
        return
    check_stub(bitfile, handoff)
    _check_sums(bitfile, handoff)
    header = None if is_stub(bitfile) else read_header(bitfile)
    part = _part_of(handoff)
    if header and part and not _letters(header.part).startswith(_letters(part)):
        raise OverlayError(f"{bitfile} is for part {header.part}, and {handoff.name} beside it for {part}; {_TOGETHER}")


def check_part(bitfile: Path, part: str) -> None:
    """Raise OverlayError if the header of ``bitfile`` names another part than ``part``, in full."""
    header = None if is_stub(bitfile) else read_header(bitfile)
    if header and not _letters(part).startswith(_letters(header.part)):
        raise OverlayError(f"{bitfile} is for part {header.part}, and the board has {part}; build it for this board")


def check_design(bitfile: Path, design_hash: str, kernel: Identity) -> None:
    """Raise IdentityError if the description beside ``bitfile`` is of another design than ``design_hash``.

    Without a description only the hardware can tell.
    """
    found = read_description(bitfile)
    if found is not None and found.design_hash != design_hash:
        raise IdentityError(
            f"the overlay {bitfile} was built for design {found.design_hash[:16]}…, {kernel.partner} for design "
            f"{design_hash[:16]}…; use both of the same generated project"
        )


def checksum_file(bitfile: Path) -> str:
    """Content of ``<overlay>.sha256`` for the pair of ``bitfile``."""
    return checksum_lines({path.name: path.read_bytes() for path in (bitfile, bitfile.with_suffix(".hwh"))})


def checksum_lines(files: Mapping[str, bytes]) -> str:
    """The content of ``files`` by name, for ``sha256sum --check``."""
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())


def read_header(bitfile: Path) -> BitHeader | None:
    """The header of a Vivado `.bit`, None if it has none (a `.bin`, say)."""
    with bitfile.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    found = re.search(rb"\x00\x01a..([^\x00]+)\x00b..([^\x00]+)\x00c", start, re.DOTALL)
    if found is None:
        return None
    design, part = (text.decode("latin-1") for text in found.groups())
    return BitHeader(design.partition(";")[0], part)


def _check_sums(bitfile: Path, handoff: Path) -> None:
    path = bitfile.with_suffix(CHECKSUMS)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise OverlayError(f"{path} cannot be read ({error}); {_TOGETHER}") from None
    stated = {name.lstrip("*"): digest for digest, _, name in (line.partition(" ") for line in lines)}
    stated = {name.strip(): digest for name, digest in stated.items()}
    for name in dict.fromkeys([bitfile.name, handoff.name, *filter(None, stated)]):
        file = bitfile.with_name(Path(name).name)
        if not file.is_file() or stated.get(name) != _digest(file):
            raise OverlayError(f"{file} is not the file that {path.name} beside it lists; {_TOGETHER}")


def _part_of(handoff: Path) -> str:
    """Device and package that a `.hwh` is for; empty if it does not say."""
    try:
        info = ElementTree.parse(handoff).find("SYSTEMINFO")
    except (ElementTree.ParseError, OSError):
        return ""  # pynq says what is wrong
    return "" if info is None else f"{info.get('DEVICE', '')}{info.get('PACKAGE', '')}"


def _letters(part: str) -> str:
    """A part's name without what tools write differently: xc7z020-clg400 is 7z020clg400."""
    return re.sub(r"[^a-z0-9]", "", part.lower()).removeprefix("xc")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
