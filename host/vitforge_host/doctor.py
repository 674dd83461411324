# SPDX-License-Identifier: Apache-2.0
"""``python -m vitforge_host doctor``: what a board, or a PC that simulates one, lacks to run the installed overlays."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

from vitforge_host import sim
from vitforge_host.blob import read_blob
from vitforge_host.board import board_name, check_board
from vitforge_host.errors import HostError
from vitforge_host.finding import Finding
from vitforge_host.identity import VIT
from vitforge_host.installed import HOW_TO_INSTALL, InstalledOverlay, installed_overlays
from vitforge_host.pair import check_design, check_pair

_PYNQ = "on a board, work in the environment of its PYNQ image; on a PC: pip install 'vitforge[sim]'"
_ROOT = "run as root, or in Jupyter: other users may not load bitstreams"
_XRT = "export XILINX_XRT=/usr, or log in anew: without it PYNQ finds no device"
_BOARD = "export BOARD as the image has it: without it an overlay of another board is not recognised"


def examine() -> list[Finding]:
    """Look for everything that a driver needs; writes nothing, and touches no hardware."""
    on_board = sim.on_board()
    return [
        _finding("Python", sys.version_info >= (3, 10), platform.python_version(), "everything", "use Python 3.10"),
        _package("numpy", "everything", "pip install numpy"),
        _package("pynq", "the board, and the simulated one", _PYNQ),
        _board(on_board),
        *(_environment() if on_board else []),
        *_overlays(),
    ]


def _finding(name: str, found: bool, detail: str, purpose: str, cure: str, required: bool = True) -> Finding:
    return Finding(name, found, detail if found else "", purpose, cure, required)


def _package(name: str, purpose: str, cure: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    return _finding(name, bool(version), version, purpose, cure)


def _board(on_board: bool) -> Finding:
    name = board_name()
    if on_board:
        return _finding("BOARD", bool(name), name, "refusing overlays of another board", _BOARD, required=False)
    detail = f"none here{f', although BOARD is {name}' if name else ''}; VITFORGE_SIM=1 simulates one"
    return _finding("board", True, detail, "bitstreams", "")


def _environment() -> list[Finding]:
    xrt = os.environ.get("XILINX_XRT", "")
    return [
        _finding("root", os.geteuid() == 0, "yes", "loading a bitstream, registers", _ROOT),
        _finding("XILINX_XRT", bool(xrt), xrt, "PYNQ's devices", _XRT),
    ]


def _overlays() -> list[Finding]:
    found = [_overlay(overlay) for overlay in installed_overlays()]
    return found or [_finding("overlays", False, "", "opening by name", HOW_TO_INSTALL, required=False)]


def _overlay(overlay: InstalledOverlay) -> Finding:
    """Whether all files of an overlay are there, belong together, and are for this board."""
    try:
        description = overlay.description
        check_pair(overlay.bitfile)
        check_board(overlay.bitfile)
        if overlay.blob is not None:
            blob = read_blob(overlay.blob.read_bytes())
            check_design(overlay.bitfile, str(blob.manifest["design_hash"]), VIT)
    except HostError as error:
        return _finding(f"overlay {overlay.name}", False, "", "the self-test", str(error))
    kind = "bitstream" if overlay.is_bitstream else "simulation"
    detail = f"{description.kernel.name}, {kind} of {description.board or 'an unnamed board'}"
    return _finding(f"overlay {overlay.name}", True, detail, "the self-test", "")
