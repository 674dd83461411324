# SPDX-License-Identifier: Apache-2.0
"""Errors of the host package: one sentence that says what, where and what would be right."""

from __future__ import annotations


class HostError(Exception):
    """Base of every error that the host package raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows, as IPython asks for it: the sentence alone."""
        return [f"{type(self).__name__}: {self}"]


class InputError(HostError, ValueError):
    """Data or an argument are not what the accelerator takes."""


class DeviceMemoryError(HostError, MemoryError):
    """Device memory does not hold what the accelerator needs."""


class OverlayError(HostError):
    """The overlay cannot be loaded, or is not one of ours."""


class MissingError(OverlayError):
    """pynq is missing, or a device that it finds."""


class IdentityError(HostError):
    """The overlay and what it is used with belong to different designs."""


class ClosedError(HostError):
    """The accelerator was used after ``close()`` or after a failure that ends its use."""


class AcceleratorTimeout(HostError, TimeoutError):
    """The accelerator did not finish in time; the message carries the register state and what to check."""


class ResultError(HostError):
    """The accelerator finished, but wrote too few or too many results."""


class TransferError(HostError):
    """A DMA transfer failed or was cut short; what came of it was thrown away, and the accelerator is ready again."""


class SaturationWarning(UserWarning):
    """Values lay outside the range of the accelerator's numbers and were clipped to it."""


class SimulationError(HostError):
    """Base of what only the simulated board raises."""


class BusError(SimulationError):
    """An access that no register or allocation answers: a hang or memory corruption on silicon."""


class WatchdogError(SimulationError):
    """A status register was polled without end although nothing can change it."""


class KernelFault(SimulationError):
    """The simulated kernel reported a fault, for example a read from an empty stream."""


def exit_code(error: HostError) -> int:
    """Of a command that ends with ``error``: 2 for wrong use or bad input, 3 for something missing, else 1."""
    if isinstance(error, MissingError):
        return 3
    return 2 if isinstance(error, (IdentityError, InputError, OverlayError)) else 1
