# SPDX-License-Identifier: Apache-2.0
"""Overlays that came with this package: a wheel of `vitforge package` puts each into ``overlays/<name>/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitforge_host import overlays
from vitforge_host.description import Description, read_description
from vitforge_host.errors import OverlayError
from vitforge_host.identity import Identity
from vitforge_host.stub import is_stub

HOW_TO_INSTALL = "make a wheel with vitforge package PROJECT and install it with pip"


@dataclass(frozen=True)
class InstalledOverlay:
    """One overlay; all its files have its name."""

    name: str
    bitfile: Path

    @property
    def description(self) -> Description:
        """Kernel, design and board. Raises OverlayError if that file is missing or damaged."""
        found = read_description(self.bitfile)
        if found is None:
            raise OverlayError(f"{self.bitfile} has no description beside it; install the wheel again")
        return found

    @property
    def blob(self) -> Path | None:
        """The weight blob, of a kernel that has one."""
        path = self.bitfile.with_suffix(".blob")
        return path if path.is_file() else None

    @property
    def samples(self) -> Path:
        """Inputs and expected results of the self-test."""
        return self.bitfile.with_suffix(".selftest.npz")

    @property
    def is_bitstream(self) -> bool:
        """Whether it is for a board, and not for the simulated one."""
        return not is_stub(self.bitfile)


def installed_overlays(root: Path | None = None) -> list[InstalledOverlay]:
    """All that are installed, by name. ``root`` stands for the folder ``overlays`` of the package."""
    folders = sorted(path for place in ([root] if root else map(Path, overlays.__path__)) for path in place.iterdir())
    found = [InstalledOverlay(folder.name, folder / f"{folder.name}.bit") for folder in folders]
    return [overlay for overlay in found if overlay.bitfile.is_file()]


def find_installed(name: str | None = None, kernel: Identity | None = None) -> InstalledOverlay:
    """The overlay ``name``, which must be of ``kernel`` if that is given; without a name the only one there is.

    Raises OverlayError if there is none, or if there are several and no name was given.
    """
    known = installed_overlays()
    if not known:
        raise OverlayError(f"no overlay is installed; {HOW_TO_INSTALL}")
    names = ", ".join(overlay.name for overlay in known)
    if name is None:
        return _only([one for one in known if kernel is None or one.description.kernel == kernel], kernel, names)
    named = next((overlay for overlay in known if overlay.name == name), None)
    if named is None:
        raise OverlayError(f"no overlay {name!r} is installed; there are {names}")
    found = named.description.kernel
    if kernel is not None and found != kernel:
        raise OverlayError(f"the overlay {name} is of the kernel {found.name}, and this opens those of {kernel.name}")
    return named


def _only(wanted: Sequence[InstalledOverlay], kernel: Identity | None, names: str) -> InstalledOverlay:
    what = f"of the kernel {kernel.name} " if kernel else ""
    if not wanted:
        raise OverlayError(f"no overlay {what}is installed; there are {names}")
    if len(wanted) > 1:
        raise OverlayError(f"several overlays {what}are installed ({', '.join(one.name for one in wanted)}); name one")
    return wanted[0]
