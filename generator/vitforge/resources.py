# SPDX-License-Identifier: Apache-2.0
"""Where templates, boards, vendor scripts and models lie: in a checkout, or inside the installed wheel."""

from __future__ import annotations

from pathlib import Path

DATA_NAMES = ("templates", "boards", "vitis", "models")

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


def data_dir(name: str) -> Path:
    """Directory of the data tree ``name``, one of `DATA_NAMES`.

    A wheel carries the trees as ``vitforge/_data/<name>``; a checkout has them at its root (setup.py copies them).
    """
    if name not in DATA_NAMES:
        raise ValueError(f"no data tree '{name}'; there are {', '.join(DATA_NAMES)}")
    return _find(name)


def licence_text() -> str:
    """The licence of vitforge, and so of what it puts into a wheel."""
    return _find("LICENSE").read_text(encoding="utf-8")


def _find(name: str) -> Path:
    installed = _PACKAGE / "_data" / name
    return installed if installed.exists() else _CHECKOUT / name
