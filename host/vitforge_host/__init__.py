# SPDX-License-Identifier: Apache-2.0
"""Driver of vitforge accelerators: needs numpy, and the pynq package of the board once an accelerator is opened.

Off-board, ``VITFORGE_SIM=1`` set before the import makes pynq find a simulated board.
"""

from __future__ import annotations

from vitforge_host import sim
from vitforge_host.a3 import A3, LoadReport, Statistics
from vitforge_host.benchmark import Benchmark, BenchmarkRow
from vitforge_host.blob import BlobError
from vitforge_host.driver import VitAccelerator
from vitforge_host.errors import (
    AcceleratorTimeout,
    ClosedError,
    DeviceMemoryError,
    HostError,
    IdentityError,
    InputError,
    MissingError,
    OverlayError,
    ResultError,
    SaturationWarning,
    SimulationError,
    TransferError,
)
from vitforge_host.installed import InstalledOverlay, find_installed, installed_overlays
from vitforge_host.predictions import Prediction, Predictions
from vitforge_host.sparse_matmul import MatmulStatistics, SparseMatmul
from vitforge_host.sparse_matrix import PackedMatrix, pack_matrix, prune_two_of_four

__all__ = [
    "A3",
    "AcceleratorTimeout",
    "Benchmark",
    "BenchmarkRow",
    "BlobError",
    "ClosedError",
    "DeviceMemoryError",
    "HostError",
    "IdentityError",
    "InputError",
    "InstalledOverlay",
    "LoadReport",
    "MatmulStatistics",
    "MissingError",
    "OverlayError",
    "PackedMatrix",
    "Prediction",
    "Predictions",
    "ResultError",
    "SaturationWarning",
    "SimulationError",
    "SparseMatmul",
    "Statistics",
    "TransferError",
    "VitAccelerator",
    "find_installed",
    "installed_overlays",
    "pack_matrix",
    "prune_two_of_four",
]

if sim.requested():
    sim.register()
