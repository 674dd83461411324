# SPDX-License-Identifier: Apache-2.0
"""A csim shared library as a callable."""

from __future__ import annotations

import _ctypes
import ctypes
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitforge_host.errors import KernelFault, OverlayError
from vitforge_host.sim.manifest import IpSpec

_C_TYPES: dict[str, Any] = {"ptr": ctypes.c_void_p, "i32": ctypes.c_int, "out32": ctypes.POINTER(ctypes.c_uint)}


class CsimFunction:
    """``long long symbol(...)`` and ``const char *symbol_error(void)`` of the library of one IP.

    The library is loaded from a private copy: each download of an overlay starts with fresh static data, and a rebuild
    of the file in place does not touch a running simulation.
    """

    def __init__(self, spec: IpSpec, argument_types: Sequence[Any]) -> None:
        self._spec = spec
        self._library = _load_private(spec.lib)
        weakref.finalize(self, _unload, self._library._handle).atexit = False  # a run may still go on then
        try:
            self._function = self._library[spec.symbol]
            self._error = self._library[f"{spec.symbol}_error"]
        except AttributeError:
            raise OverlayError(
                f"{spec.lib} lacks {spec.symbol} or {spec.symbol}_error; build it again with: vitforge csim DIR"
            ) from None
        self._function.argtypes = list(argument_types)
        self._function.restype = ctypes.c_longlong
        self._error.argtypes = []
        self._error.restype = ctypes.c_char_p

    def _call(self, *arguments: object) -> int:
        """Modelled clock cycles; raises KernelFault with the kernel's own words. Other threads run meanwhile."""
        cycles = int(self._function(*arguments))
        if cycles < 0:
            text = (self._error() or b"no reason given").decode("utf-8", "replace")
            raise KernelFault(f"the simulated kernel {self._spec.name} stopped with a fault: {text}")
        return cycles


class KernelFunction(CsimFunction):
    """A kernel on memory: ``long long symbol(args...)``, pointers as host addresses."""

    def __init__(self, spec: IpSpec) -> None:
        super().__init__(spec, [_C_TYPES[argument.kind] for argument in spec.arguments])
        outputs = [(place, a.name) for place, a in enumerate(spec.arguments) if a.kind == "out32"]
        self._words = {name: ctypes.c_uint() for _, name in outputs}
        self._places = [(place, ctypes.byref(self._words[name])) for place, name in outputs]

    def bind(self, values: Sequence[int]) -> Callable[[], tuple[int, dict[str, int]]]:
        """A run with host addresses and integers in argument order (0 for outputs): (cycles, outputs by name).

        Only one may go on at a time: the outputs have their place once.
        """
        passed: list[object] = [*values]
        for place, word in self._places:
            passed[place] = word

        def run() -> tuple[int, dict[str, int]]:
            cycles = self._call(*passed)
            return cycles, {name: word.value for name, word in self._words.items()}

        return run


class StreamFunction(CsimFunction):
    """A kernel on packets: ``long long symbol(const void *in, long long in_bytes, void *out, long long capacity,
    long long *out_bytes, unsigned *regs)``, where ``regs`` are all arguments but pointers in their order.

    With pointers there is one more, ``const void *const *memories``: their host addresses in order.
    """

    def __init__(self, spec: IpSpec) -> None:
        pointer, size = ctypes.c_void_p, ctypes.c_longlong
        types = [pointer, size, pointer, size, ctypes.POINTER(size), ctypes.POINTER(ctypes.c_uint)]
        self._has_memories = any(argument.kind == "ptr" for argument in spec.arguments)
        super().__init__(spec, [*types, ctypes.POINTER(pointer)] if self._has_memories else types)
        assert spec.stream is not None
        self._capacity = spec.stream.max_out_bytes

    def __call__(
        self, packet: bytes, inputs: Mapping[str, int], memories: Sequence[int] = ()
    ) -> tuple[int, dict[str, int], bytes]:
        """Run on ``packet`` and the input registers by name: (cycles, output registers by name, packet).

        memories : host addresses behind the pointers, in their order
        """
        arguments = [argument for argument in self._spec.arguments if argument.kind != "ptr"]
        registers = (ctypes.c_uint * len(arguments))(*(inputs.get(argument.name, 0) for argument in arguments))
        result, size = np.empty(self._capacity, np.uint8), ctypes.c_longlong(0)
        passed = [packet, len(packet), result.ctypes.data, self._capacity, ctypes.byref(size), registers]
        cycles = (
            self._call(*passed, (ctypes.c_void_p * len(memories))(*memories))
            if self._has_memories
            else self._call(*passed)
        )
        words = {a.name: int(word) for a, word in zip(arguments, registers, strict=True) if a.kind == "out32"}
        return cycles, words, result[: size.value].tobytes()


def _load_private(path: Path) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="vitforge-sim-") as directory:
        copy = Path(directory) / path.name
        shutil.copyfile(path, copy)
        try:
            return ctypes.CDLL(str(copy))
        except OSError as error:
            raise OverlayError(f"{path} cannot be loaded ({error}); build it again with: vitforge csim DIR") from None


def _unload(handle: int) -> None:
    """Give the code and static data of a private copy back; ctypes itself never does."""
    _ctypes.dlclose(handle)
