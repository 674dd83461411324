# SPDX-License-Identifier: Apache-2.0
"""A csim shared library as a callable."""

from __future__ import annotations

import _ctypes
import ctypes
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from vitforge_host.errors import KernelFault, OverlayError, SimulationError
from vitforge_host.sim.manifest import IpSpec

_C_TYPES: dict[str, Any] = {"ptr": ctypes.c_void_p, "i32": ctypes.c_int, "out32": ctypes.POINTER(ctypes.c_uint)}
_STOP = ctypes.CFUNCTYPE(None, ctypes.c_int)  # of vitforge_runner_stop


class CsimFunction:
    """Function ``long long symbol(...)`` of the library of one IP, called here or in a thread beside Python.

    It needs ``int symbol_start(...)`` and ``const char *symbol_error(void)`` too, and the functions of
    ``vitforge_csim/runner_api.hpp``. The library is loaded from a private copy: each download of an overlay starts with
    fresh static data, and a rebuild of the file in place does not touch a running simulation.
    """

    def __init__(self, spec: IpSpec, argument_types: Sequence[Any]) -> None:
        self._name = spec.name
        library = _load_private(spec.lib)
        try:
            self._function = _declare(library, spec.symbol, ctypes.c_longlong, argument_types)
            self._start = _declare(library, f"{spec.symbol}_start", ctypes.c_int, argument_types)
            self._error = _declare(library, f"{spec.symbol}_error", ctypes.c_char_p)
            self._expect = _declare(library, "vitforge_runner_expect", None)
            self._result = _declare(library, "vitforge_runner_result", ctypes.c_longlong, [ctypes.c_void_p])
            self._stop = _declare(library, "vitforge_runner_stop", None, [ctypes.c_int])
            address = _declare(library, "vitforge_runner_ended", ctypes.c_void_p)()
        except AttributeError as error:
            _ctypes.dlclose(library._handle)
            lacks = str(error).rpartition(" ")[2]
            raise OverlayError(f"{spec.lib} lacks {lacks}; build it again with: vitforge csim DIR") from None
        self.ended = ctypes.c_int.from_address(address)  # whether the run that was started last has
        self._text = ctypes.c_char_p()
        self._text_place = ctypes.byref(self._text)
        stop = ctypes.cast(self._stop, ctypes.c_void_p).value
        assert stop is not None
        weakref.finalize(self, _unload, library._handle, stop, address).atexit = False  # a run may go on then

    def call(self, *arguments: object) -> int:
        """Modelled clock cycles of a run that ends before this returns; raises KernelFault in the kernel's words."""
        cycles = int(self._function(*arguments))
        return cycles if cycles >= 0 else self._fail(self._error())

    def start(self, *arguments: object) -> None:
        """Start a run beside Python; until it has ``ended`` there must be no other, and the arguments must be kept."""
        if self._start(*arguments):
            raise SimulationError(f"there is no memory for the thread of {self._name}; close other simulated boards")

    def expect(self) -> None:
        """A start is near: the thread comes up for it."""
        self._expect()

    def result(self) -> int:
        """Of that run, as `call`."""
        cycles = int(self._result(self._text_place))
        return cycles if cycles >= 0 else self._fail(self._text.value)

    def close(self) -> None:
        """End the thread; one with a run that goes on ends after it."""
        self._stop(self.ended.value)

    def _fail(self, text: bytes | None) -> NoReturn:
        words = (text or b"no reason given").decode("utf-8", "replace")
        raise KernelFault(f"the simulated kernel {self._name} stopped with a fault: {words}")


class KernelFunction(CsimFunction):
    """A kernel on memory: ``long long symbol(args...)``, pointers as host addresses."""

    def __init__(self, spec: IpSpec) -> None:
        super().__init__(spec, [_C_TYPES[argument.kind] for argument in spec.arguments])
        outputs = [(place, a.name) for place, a in enumerate(spec.arguments) if a.kind == "out32"]
        self._words = {name: ctypes.c_uint() for _, name in outputs}
        self._places = [(place, ctypes.byref(self._words[name])) for place, name in outputs]

    def arguments(self, values: Sequence[int]) -> list[object]:
        """Of a run with host addresses and integers in argument order (0 for outputs)."""
        arguments: list[object] = [*values]
        for place, word in self._places:
            arguments[place] = word
        return arguments

    def outputs(self) -> dict[str, int]:
        """Output registers by name, after a run."""
        return {name: word.value for name, word in self._words.items()}


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
        self._registers = [argument for argument in spec.arguments if argument.kind != "ptr"]

    def packet_run(self, packet: bytes, inputs: Mapping[str, int], memories: Sequence[int] = ()) -> PacketRun:
        """A run on ``packet`` and the input registers by name, with host addresses behind the pointers in order."""
        registers = (ctypes.c_uint * len(self._registers))(*(inputs.get(a.name, 0) for a in self._registers))
        result, size = np.empty(self._capacity, np.uint8), ctypes.c_longlong(0)
        arguments = [packet, len(packet), result.ctypes.data, self._capacity, ctypes.byref(size), registers]
        if self._has_memories:
            arguments.append((ctypes.c_void_p * len(memories))(*memories))

        def outputs() -> dict[str, int]:
            return {a.name: int(word) for a, word in zip(self._registers, registers, strict=True) if a.kind == "out32"}

        return PacketRun(arguments, outputs, lambda: result[: size.value].tobytes())


@dataclass(frozen=True)
class PacketRun:
    """Arguments of a run; after it there are its output registers by name, and its packet."""

    arguments: Sequence[object]
    outputs: Callable[[], dict[str, int]]
    packet: Callable[[], bytes]


def _declare(library: ctypes.CDLL, name: str, result: Any, arguments: Sequence[Any] = ()) -> Any:
    function = library[name]
    function.restype, function.argtypes = result, list(arguments)
    return function


def _load_private(path: Path) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="vitforge-sim-") as directory:
        copy = Path(directory) / path.name
        shutil.copyfile(path, copy)
        try:
            return ctypes.CDLL(str(copy))
        except OSError as error:
            raise OverlayError(f"{path} cannot be loaded ({error}); build it again with: vitforge csim DIR") from None


def _unload(handle: int, stop: int, ended: int) -> None:
    """Give the code and static data of a private copy back, which ctypes never does; not under a run that goes on.

    Takes addresses, since objects of ctypes would keep the library's own classes.
    """
    has_ended = ctypes.c_int.from_address(ended).value
    _STOP(stop)(has_ended)
    if has_ended:
        _ctypes.dlclose(handle)
