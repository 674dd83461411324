# SPDX-License-Identifier: Apache-2.0
"""Driver of vitforge accelerators: needs numpy, and the pynq package of the board once an accelerator is opened.

Off-board, ``VITFORGE_SIM=1`` set before the import makes pynq find a simulated board.
"""

from __future__ import annotations

from vitforge_host import sim
from vitforge_host.blob import BlobError
from vitforge_host.driver import VitAccelerator
from vitforge_host.errors import (
    AcceleratorTimeout,
    ClosedError,
    HostError,
    IdentityError,
    InputError,
    OverlayError,
    ResultError,
    SimulationError,
)

__all__ = [
    "AcceleratorTimeout",
    "BlobError",
    "ClosedError",
    "HostError",
    "IdentityError",
    "InputError",
    "OverlayError",
    "ResultError",
    "SimulationError",
    "VitAccelerator",
]

if sim.requested():
    sim.register()
