# SPDX-License-Identifier: Apache-2.0
"""A csim shared library, called with numpy arrays."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from vitforge.errors import CheckError

_FAULT = -1
_ERROR_SYMBOL = "vitforge_sim_error"


class CsimLibrary:
    """The flat C interface that a generated project exports (`hls/tb/csim_api.cpp`)."""

    def __init__(self, path: Path) -> None:
        """Raises CheckError if ``path`` is no shared library of ours."""
        self.path = path
        try:
            self._library = ctypes.CDLL(str(path))
            self._error = getattr(self._library, _ERROR_SYMBOL)
        except (OSError, AttributeError) as error:
            raise CheckError(f"{path} is no csim library of ours ({error}); run vitforge csim again") from None
        self._error.restype = ctypes.c_char_p

    def call(self, name: str, *arguments: Any) -> int:
        """Calls the function ``name``; arrays (C-contiguous, of integers) go as pointers, integers as 32-bit scalars,
        a ``ctypes.c_longlong`` as it is.

        Raises CheckError with the simulation's own words if it faults, or if the library has no such function;
        ValueError for an array that is not contiguous, or not of native integers.
        """
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise CheckError(f"{self.path} has no function {name}; generate the project again") from None
        function.restype = ctypes.c_longlong
        result = int(function(*[_convert(argument) for argument in arguments]))
        if result == _FAULT:
            raise CheckError(f"csim of {name} stopped: {self._error().decode(errors='replace')}")
        return result


def _convert(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError("csim takes C-contiguous arrays")
        if argument.dtype.kind not in "iub" or not argument.dtype.isnative:
            raise ValueError(f"csim takes arrays of native integers, not {argument.dtype}")
        return argument.ctypes.data_as(ctypes.c_void_p)
    if isinstance(argument, ctypes.c_longlong):
        return argument
    value = int(argument)
    if not -(1 << 31) <= value < 1 << 32:
        raise ValueError(f"{value} does not fit a 32-bit argument")
    return ctypes.c_int(value) if value < 1 << 31 else ctypes.c_uint(value)
