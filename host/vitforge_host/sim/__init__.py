# SPDX-License-Identifier: Apache-2.0
"""Simulated board under the real pynq package; ``vitforge_host.sim.device`` needs pynq, the rest does not."""

from __future__ import annotations

import os
from typing import Any

DEVICE_TREE = "/proc/device-tree"


def requested() -> bool:
    """Whether the environment asks for the simulated board (``VITFORGE_SIM=1``)."""
    return os.environ.get("VITFORGE_SIM") == "1"


def on_board() -> bool:
    """Whether this machine is an AMD SoC: one that runs a PYNQ image, or says so in its device tree."""
    if os.path.isfile(os.path.join(DEVICE_TREE, "chosen", "pynq_board")):
        return True
    try:
        with open(os.path.join(DEVICE_TREE, "compatible"), "rb") as file:
            return b"xlnx," in file.read()
    except OSError:
        return False


def register() -> None:
    """Make pynq know the simulated device; must happen before pynq first looks for devices.

    Raises
    ------
    MissingError
        If pynq is not installed.
    """
    from vitforge_host.errors import MissingError

    try:
        import vitforge_host.sim.device  # noqa: F401  (importing registers the class)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise MissingError(
            f"the simulated board needs {package}; install it with: pip install 'vitforge[sim]'"
        ) from None


def __getattr__(name: str) -> Any:
    """``SimDevice`` on first use, so that the package itself does not import pynq."""
    if name == "SimDevice":
        register()
        from vitforge_host.sim.device import SimDevice

        return SimDevice
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
