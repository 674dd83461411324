# SPDX-License-Identifier: Apache-2.0
"""Loading overlays on the simulated board with real pynq: metadata, registers, several devices, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pynq import MMIO, Clocks, Overlay, allocate

from vitforge.deploy.overlay import link_library, write_overlay
from vitforge.design.design import Design
from vitforge_host.errors import BusError, OverlayError, WatchdogError
from vitforge_host.sim.device import SimDevice

MakeOverlay = Callable[..., str]


def test_metadata_is_what_pynq_expects(make_overlay: MakeOverlay, sync_device: SimDevice) -> None:
    overlay = Overlay(make_overlay(), device=sync_device)
    entry = overlay.ip_dict["vitforge_vit_0"]
    offsets = {name: word["address_offset"] for name, word in entry["registers"].items()}
    assert entry["type"] == "vitforge:hls:vitforge_vit:1.0"
    assert (entry["phys_addr"], entry["addr_range"]) == (0xA000_0000, 0x10000)
    assert offsets["CTRL"] == 0 and offsets["list_ln1_1"] == 0x10 and offsets["list_nsa_1"] == 0x1C
    assert (offsets["n_steps"], offsets["n_images"]) == (0x88, 0x90)
    assert (offsets["magic"], offsets["magic_ctrl"], offsets["version"]) == (0x98, 0x9C, 0xA8)
    assert overlay.PSDDR.base_address == 0x8_0000_0000
    assert overlay.is_loaded()


def test_polling_a_block_that_was_never_started_ends(make_overlay: MakeOverlay) -> None:
    device = SimDevice(ddr_bytes=1 << 24, idle_polls=1000)
    ip = Overlay(make_overlay(), device=device).vitforge_vit_0
    with pytest.raises(WatchdogError, match="read 1001 times while the block is idle .0 runs so far.*AP_START"):
        while not ip.read(0) & 2:
            pass
    for _ in range(3000):  # reading between other work is no endless poll
        ip.write(0x88, 0)
        ip.read(0)


def test_two_devices_keep_apart(make_overlay: MakeOverlay, sync_device: SimDevice) -> None:
    other = SimDevice("other", run_mode="sync", ddr_bytes=1 << 24)
    first = Overlay(make_overlay("a"), device=sync_device).vitforge_vit_0
    second = Overlay(make_overlay("b"), device=other).vitforge_vit_0
    first.write(0x88, 5)
    assert (first.read(0x88), second.read(0x88)) == (5, 0)
    Clocks.fclk0_mhz = 100
    assert (sync_device.pl_clock_mhz(), other.pl_clock_mhz()) == pytest.approx((1499.985 / 6, 99.999))


def test_register_access_has_the_rules_of_pynq(make_overlay: MakeOverlay, sync_device: SimDevice) -> None:
    Overlay(make_overlay(), device=sync_device)
    registers = MMIO(0xA000_0000, 0x100, device=sync_device)
    with pytest.raises(ValueError, match="int or bytes"):
        registers.write(0x88, np.int64(1))
    with pytest.raises(MemoryError):
        registers.write(0x89, 1)
    registers.write(0x10, (0x1122334455667788).to_bytes(8, "little"))
    assert registers.read(0x10, 8) == 0x1122334455667788
    assert registers.array[4:6].view("u8")[0] == 0x1122334455667788
    registers.array[4:6] = 3
    assert np.asarray(registers.array)[3:7].tolist() == [0, 3, 3, 0]
    with pytest.raises(IndexError):
        registers.read(0x100)
    with pytest.raises(BusError, match="no register answers at address 0xa0020000"):
        MMIO(0xA002_0000, 4, device=sync_device).read(0)


def test_a_zynq_7000_overlay_loads_too(
    tmp_path: Path, compile_fake: Callable[..., Path], zynq_7000_design: Design
) -> None:
    write_overlay(tmp_path, zynq_7000_design, library=compile_fake())
    device = SimDevice(ddr_bytes=1 << 24)
    overlay = Overlay(str(tmp_path / "vitforge.bit"), device=device)
    assert device.arch == "armv7l"
    assert overlay.ip_dict["vitforge_vit_0"]["phys_addr"] == 0x43C0_0000
    assert Clocks.fclk0_mhz == pytest.approx(1000 / 9)  # not above 120
    assert allocate((1,), np.uint8, target=device).device_address < 1 << 32


def test_the_overlay_is_found_in_a_folder_named_after_the_bitfile(
    tmp_path: Path, make_overlay: MakeOverlay, sync_device: SimDevice
) -> None:
    folder = Path(make_overlay("vitforge.bit.d"))
    for suffix in (".bit", ".hwh", ".sim.json"):
        folder.with_suffix(suffix).rename(folder.with_name(f"vitforge.sim{suffix}"))
    overlay = Overlay(str(tmp_path / "vitforge.bit"), device=sync_device)
    assert overlay.vitforge_vit_0.read(0) == 4


def test_what_is_wrong_with_an_overlay_is_said(
    tmp_path: Path, make_overlay: MakeOverlay, design: Design, sync_device: SimDevice, compile_fake: Callable[..., Path]
) -> None:
    bitfile = Path(make_overlay())
    manifest, handoff = bitfile.with_suffix(".sim.json"), bitfile.with_suffix(".hwh")
    write_overlay(bitfile.parent, design, library=None)
    with pytest.raises(OverlayError, match="names no simulation library for vitforge_vit_0; build one with"):
        Overlay(str(bitfile), device=sync_device)
    link_library(bitfile.parent, tmp_path / "absent.so")
    with pytest.raises(OverlayError, match="absent.so does not exist"):
        Overlay(str(bitfile), device=sync_device)
    (tmp_path / "text.so").write_text("text")
    link_library(bitfile.parent, tmp_path / "text.so")
    with pytest.raises(OverlayError, match="text.so cannot be loaded"):
        Overlay(str(bitfile), device=sync_device)
    link_library(bitfile.parent, compile_fake())
    assert Overlay(str(bitfile), device=sync_device).is_loaded()
    manifest.write_text(manifest.read_text().replace("vitforge_sim", "another_function"))
    with pytest.raises(OverlayError, match="lacks another_function"):
        Overlay(str(bitfile), device=sync_device)
    manifest.write_text("{")
    with pytest.raises(OverlayError, match="cannot be read as JSON"):
        Overlay(str(bitfile), device=sync_device)
    manifest.unlink()
    with pytest.raises(OverlayError, match="sim.json is missing"):
        Overlay(str(bitfile), device=sync_device)
    handoff.write_text(handoff.read_text().replace("0xA000", "0xB000"))
    with pytest.raises(OverlayError, match="was made for another vitforge.hwh than the one beside it"):
        Overlay(str(bitfile), device=sync_device)
    handoff.unlink()
    with pytest.raises(OverlayError, match="vitforge.hwh is missing"):
        Overlay(str(bitfile), device=sync_device)
