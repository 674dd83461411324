# SPDX-License-Identifier: Apache-2.0
"""Driver of vitforge accelerators: needs numpy, and the pynq package of the board once an accelerator is opened.

Off-board, ``VITFORGE_SIM=1`` set before the import makes pynq find a simulated board.
"""

from __future__ import annotations

from vitforge_host import sim
from vitforge_host.a3 import A3, LoadReport, Statistics
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
    SaturationWarning,
    SimulationError,
    TransferError,
)

__all__ = [
    "A3",
    "AcceleratorTimeout",
    "BlobError",
    "ClosedError",
    "HostError",
    "IdentityError",
    "InputError",
    "LoadReport",
    "OverlayError",
    "ResultError",
    "SaturationWarning",
    "SimulationError",
    "Statistics",
    "TransferError",
    "VitAccelerator",
]

if sim.requested():
    sim.register()
