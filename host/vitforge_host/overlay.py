# SPDX-License-Identifier: Apache-2.0
"""Loading an overlay and finding our IP in it: the only module that turns pynq's errors into ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from vitforge_host import sim
from vitforge_host.board import check_board
from vitforge_host.errors import MissingError, OverlayError
from vitforge_host.interrupts import in_loop
from vitforge_host.pair import check_pair
from vitforge_host.stub import is_stub

AXI_DMA = "xilinx.com:ip:axi_dma"  # vendor:library:name; the version follows


def load_overlay(bitfile: str | Path, device: Any = None) -> Any:
    """Load ``bitfile`` on ``device``, or on pynq's active device.

    Raises
    ------
    OverlayError
        If pynq, a device or a file is missing (MissingError for the first two), or if the bitstream is only a stub for
        simulation, belongs to another .hwh, or is for another board.
    """
    if sim.requested():
        sim.register()
    try:
        from pynq import Device, Overlay
    except ImportError as error:
        raise MissingError(
            f"pynq cannot be imported ({error}); it is part of the board image, on a PC: pip install 'vitforge[sim]'"
        ) from None
    if device is None:
        try:
            device = Device.active_device
        except RuntimeError:
            raise MissingError(
                "pynq finds no device; on a board work as root in the pynq environment, on a PC set VITFORGE_SIM=1"
            ) from None
    path = Path(bitfile)
    if path.is_file() and is_stub(path) and not getattr(device, "simulated", False):
        raise OverlayError(f"{path} is a stub for simulation; build the bitstream with the project's vitis/Makefile")
    check_pair(path)
    check_board(path, device)
    if path.is_file() and not is_stub(path) and _cannot_simulate(path, device):
        raise OverlayError(f"{path} is a bitstream, and this is no board; it runs on the board that it was built for")
    try:
        return Overlay(str(path), device=device)
    except (OSError, RuntimeError, SyntaxError) as error:  # missing, no permission, or a .hwh that is not XML
        raise OverlayError(f"the overlay {path} cannot be loaded: {error}") from error


def _cannot_simulate(bitfile: Path, device: Any) -> bool:
    return getattr(device, "simulated", False) and not bitfile.with_suffix(".sim.json").is_file()


class AcceleratorIp:
    """Our IP of type ``ip_type`` in a loaded overlay: its registers by name, at the offsets that the metadata gives.

    Attributes
    ----------
    name : str
        Instance name in the block design.
    clock_mhz : float or None
        Clock that the design was built for [MHz], from the metadata.
    """

    def __init__(self, overlay: Any, ip_type: str) -> None:
        self.name = find_ip(overlay, ip_type)
        entry = overlay.ip_dict[self.name]
        self._places = {str(name): int(word["address_offset"]) // 4 for name, word in entry["registers"].items()}
        self._words = _registers(overlay, entry)
        self._arguments: dict[str, int] = {}  # words as last written: the block keeps them
        hertz = entry["parameters"].get("FREQ_HZ")
        self.clock_mhz = float(hertz) / 1e6 if hertz else None

    def require(self, names: Iterable[str]) -> None:
        """Raise OverlayError unless all registers ``names`` exist."""
        missing = [name for name in names if name not in self._places]
        if missing:
            raise OverlayError(
                f"{self.name} has no register {', '.join(missing)}; the .hwh is of another version than the driver"
            )

    def read(self, name: str) -> int:
        return int(self._words[self._places[name]])

    def write(self, name: str, value: int) -> None:
        self._words[self._places[name]] = int(value) & 0xFFFFFFFF

    def write_arguments(self, words: Mapping[str, int]) -> None:
        """Input arguments of 32 bits, and halves of pointers as `pointer_words` gives them, if they are to change."""
        written = self._arguments
        for name, value in words.items():
            word = int(value) & 0xFFFFFFFF
            if written.get(name) != word:
                self._words[self._places[name]] = word
                written[name] = word

    def read_output(self, name: str) -> int | None:
        """An output argument, or None if no run has written it since it was last read."""
        value = self.read(name)
        return value if self.read(f"{name}_ctrl") & 1 else None


def pointer_words(addresses: Mapping[str, int]) -> dict[str, int]:
    """Both registers of each 64-bit pointer argument, with what they are to hold, by name."""
    words = {}
    for name, address in addresses.items():
        words[f"{name}_1"], words[f"{name}_2"] = int(address) & 0xFFFFFFFF, int(address) >> 32
    return words


def find_ip(overlay: Any, ip_type: str) -> str:
    """Name of the only IP of type ``ip_type`` (vendor:library:name). Raises OverlayError unless there is one."""
    ip_dict: Mapping[str, Mapping[str, Any]] = overlay.ip_dict
    found = [name for name, entry in ip_dict.items() if str(entry.get("type")).startswith(f"{ip_type}:")]
    if len(found) == 1:
        return found[0]
    others = ", ".join(sorted(str(entry.get("type")) for entry in ip_dict.values())) or "nothing"
    raise OverlayError(f"the overlay must hold one IP of type {ip_type}, but has {len(found)} (found: {others})")


def ip_driver(overlay: Any, name: str) -> Any:
    """The driver that pynq bound to the IP ``name``, which may lie in a hierarchy."""

    def bind() -> Any:
        return reduce(getattr, name.split("/"), overlay)

    return in_loop(bind) if getattr(overlay, "interrupt_pins", None) else bind()


def _registers(overlay: Any, entry: Mapping[str, Any]) -> Any:
    """Registers of an IP as words, without pynq's driver for it, which would create its interrupt in this thread.

    It is the array that MMIO reads and writes itself, after checks of offset and type that cost more than the access.
    """
    from pynq import MMIO

    return MMIO(entry["phys_addr"], entry["addr_range"], device=overlay.device).array
