# SPDX-License-Identifier: Apache-2.0
"""The simulated board shows itself only when asked for, and never in front of a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vitforge_host import sim
from vitforge_host.sim.device import SimDevice


def python(code: str, *arguments: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "VITFORGE_SIM"}
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_with_the_variable_an_overlay_needs_no_device(make_overlay: Callable[..., str]) -> None:
    code = (
        "import sys, vitforge_host\n"
        "from pynq import Overlay, allocate\n"
        "overlay = Overlay(sys.argv[1])\n"
        "print(overlay.device.name, overlay.vitforge_vit_0.read(0), hex(allocate((2,)).device_address >> 32))"
    )
    assert python(code, make_overlay(), VITFORGE_SIM="1") == "sim 4 0x8"


def test_without_it_there_is_no_device_and_no_pynq() -> None:
    code = (
        "import sys, vitforge_host\n"
        "before = 'pynq' in sys.modules\n"
        "import vitforge_host.sim.device\n"
        "from pynq import Device\n"
        "print(before, Device.devices)"
    )
    assert python(code) == "False []"


def test_a_real_board_is_never_shadowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITFORGE_SIM", "1")
    monkeypatch.setattr(sim, "DEVICE_TREE", str(tmp_path))
    assert [device.name for device in SimDevice._probe_()] == ["sim"]
    (tmp_path / "compatible").write_bytes(b"raspberrypi,4-model-b\0brcm,bcm2711\0")
    assert [device.name for device in SimDevice._probe_()] == ["sim"]
    (tmp_path / "compatible").write_bytes(b"xlnx,zynqmp-sm-k26-rev1\0xlnx,zynqmp\0")
    assert SimDevice._probe_() == []
    (tmp_path / "compatible").unlink()
    (tmp_path / "chosen").mkdir()
    (tmp_path / "chosen" / "pynq_board").write_text("ZCU104")
    assert SimDevice._probe_() == []


def test_without_pynq_it_says_how_to_get_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['pynq'] = None\n"
        "try:\n"
        "    import vitforge_host\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)"
    )
    assert python(code, VITFORGE_SIM="1") == (
        "MissingError the simulated board needs pynq; install it with: pip install 'vitforge[sim]'"
    )
