# SPDX-License-Identifier: Apache-2.0
"""A csim shared library as a callable."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vitforge_host.errors import KernelFault, OverlayError
from vitforge_host.sim.manifest import IpSpec

_C_TYPES: dict[str, Any] = {"ptr": ctypes.c_void_p, "i32": ctypes.c_int, "out32": ctypes.POINTER(ctypes.c_uint)}


class KernelFunction:
    """``long long symbol(args...)`` and ``const char *symbol_error(void)`` of the library of one IP.

    The library is loaded from a private copy: each download of an overlay starts with fresh static data, and a rebuild
    of the file in place does not touch a running simulation.
    """

    def __init__(self, spec: IpSpec) -> None:
        self._spec = spec
        self._library = _load_private(spec.lib)
        try:
            self._function = self._library[spec.symbol]
            self._error = self._library[f"{spec.symbol}_error"]
        except AttributeError:
            raise OverlayError(
                f"{spec.lib} lacks {spec.symbol} or {spec.symbol}_error; build it again with: vitforge csim DIR"
            ) from None
        self._function.argtypes = [_C_TYPES[argument.kind] for argument in spec.arguments]
        self._function.restype = ctypes.c_longlong
        self._error.argtypes = []
        self._error.restype = ctypes.c_char_p

    def __call__(self, values: Sequence[int]) -> tuple[int, dict[str, int]]:
        """Run with host addresses and integers in argument order (0 for outputs).

        Returns modelled clock cycles and the outputs by name; raises KernelFault with the kernel's own words.
        Other threads run meanwhile.
        """
        outputs: dict[str, ctypes.c_uint] = {}
        passed: list[object] = []
        for argument, value in zip(self._spec.arguments, values, strict=True):
            if argument.kind == "out32":
                outputs[argument.name] = ctypes.c_uint(0)
                passed.append(ctypes.byref(outputs[argument.name]))
            else:
                passed.append(value)
        cycles = int(self._function(*passed))
        if cycles < 0:
            text = (self._error() or b"no reason given").decode("utf-8", "replace")
            raise KernelFault(f"the simulated kernel {self._spec.name} stopped with a fault: {text}")
        return cycles, {name: int(value.value) for name, value in outputs.items()}


def _load_private(path: Path) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="vitforge-sim-") as directory:
        copy = Path(directory) / path.name
        shutil.copyfile(path, copy)
        try:
            return ctypes.CDLL(str(copy))
        except OSError as error:
            raise OverlayError(f"{path} cannot be loaded ({error}); build it again with: vitforge csim DIR") from None
