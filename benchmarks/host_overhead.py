# SPDX-License-Identifier: Apache-2.0
"""What the host costs a launch on the simulated board: DeiT-Tiny on the ZCU104, 32 images a launch.

A kernel that returns at once stands for the accelerator, so that what is timed is the driver, with the registers of the
board, which are Python, and the thread in which the accelerator runs by default. `launch_us` is registers, start, and
seeing the end, of a launch right after another. `idle_us` is the same after the images were packed, which leaves the
caches of the processor cold. `flight_us` is what `logits` does from batch to batch, with two launches in flight: seeing
the end of the last one, registers and start, between packing and unpacking. For that long the accelerator idles between
two launches. Packing and unpacking themselves happen while it runs (`hidden_us`). `inside_us` and `inside_idle_us` are
the first two with a board whose accelerator runs inside the write that starts it. The accelerator's time is that of the
cycle model. Medians, on the machine that ran this, through the array of pynq's MMIO.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vitforge.boards import load_board
from vitforge.csim.headers import capi_include
from vitforge.deploy.overlay import OVERLAY_NAME, write_overlay
from vitforge.design.design import Design
from vitforge.design.fit import fit
from vitforge.design.identity import FORMAT_VERSION, MAGIC, design_hash
from vitforge.design.registers import Register, register_map
from vitforge.golden.random_model import random_quant_model
from vitforge.model.deit import deit_shape
from vitforge.quantize.blob import build_blob
from vitforge_host import VitAccelerator
from vitforge_host.sim import SimDevice
from vitforge_host.slots import BatchSlot

MODEL, BOARD, BATCH, LAUNCHES = "deit_tiny", "zcu104", 32, 200
LIMIT_US, LIMIT_SHARE = 150.0, 0.02
_C_TYPES = {"ptr": "void *", "i32": "int ", "out32": "unsigned *"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """Of one launch [us]; ``share`` is the part of the accelerator's modelled time for which it idles, at worst."""

    model: str
    board: str
    batch: int
    launches: int
    launch_us: float
    idle_us: float
    flight_us: float
    inside_us: float
    inside_idle_us: float
    hidden_us: float
    modelled_us: float
    share: float
    machine: str

    @property
    def good(self) -> bool:
        """Whether a launch keeps within both limits, and what is to be hidden can be."""
        is_quick = max(self.launch_us, self.flight_us) < LIMIT_US and self.share < LIMIT_SHARE
        return is_quick and self.hidden_us < self.modelled_us


def measure(launches: int = LAUNCHES) -> Result:
    """In both run modes of the simulated board."""
    fitted = fit(deit_shape(MODEL), load_board(BOARD))
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        bitfile, blob = _overlay(Path(folder), fitted.design, rng)
        usual = _parts(bitfile, blob, SimDevice(), launches)
        inside = _parts(bitfile, blob, SimDevice(run_mode="sync"), launches)
    return Result(
        model=MODEL,
        board=BOARD,
        batch=BATCH,
        launches=launches,
        launch_us=round(usual["launch"], 1),
        idle_us=round(usual["idle"], 1),
        flight_us=round(usual["flight"], 1),
        inside_us=round(inside["launch"], 1),
        inside_idle_us=round(inside["idle"], 1),
        hidden_us=round(usual["load"] + usual["collect"], 1),
        modelled_us=round(usual["modelled"], 1),
        share=round(max(usual[part] for part in ("launch", "idle", "flight")) / usual["modelled"], 5),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
    )


def _parts(bitfile: Path, blob: Path, device: SimDevice, launches: int) -> dict[str, float]:
    """Each part timed by itself: medians [us]."""
    rng = np.random.default_rng(2)
    before = device.busy_s
    times: dict[str, list[float]] = {part: [] for part in ("load", "idle", "launch", "flight", "collect")}
    with VitAccelerator(bitfile, blob, device, batch=BATCH) as accelerator:
        images = rng.integers(0, 256, (BATCH, *accelerator.image_shape), np.uint8)
        for index in range(launches):
            slot = accelerator._slots[index % 2]
            _timed(lambda slot=slot: slot.load(images), times["load"])
            for part in ("idle", "launch"):
                _timed(lambda slot=slot: (accelerator._launch(slot), accelerator._wait(slot)), times[part])
            _collect(slot, times["collect"])
        running = accelerator._slots[1]
        accelerator._launch(running)
        for index in range(launches):  # as `VitAccelerator._run` does
            slot = accelerator._slots[index % 2]
            slot.load(images)
            _timed(lambda old=running, new=slot: (accelerator._wait(old), accelerator._launch(new)), times["flight"])
            _collect(running, times["collect"])
            running = slot
        accelerator._wait(running)
    medians = {part: 1e6 * statistics.median(values) for part, values in times.items()}
    return medians | {"modelled": 1e6 * (device.busy_s - before) / (3 * launches + 1)}


def _collect(slot: BatchSlot, into: list[float]) -> None:
    slot.logits[:] = 0  # which the kernel leaves to us
    slot.logits.flush()
    _timed(slot.collect, into)


def _timed(call: Callable[[], object], into: list[float]) -> None:
    started = time.perf_counter()
    call()
    into.append(time.perf_counter() - started)


def _overlay(folder: Path, design: Design, rng: np.random.Generator) -> tuple[Path, Path]:
    """Bitfile and blob of a project whose kernel does nothing."""
    source, library = folder / "kernel.cpp", folder / "kernel.so"
    source.write_text(_kernel(design, register_map()))
    flags = ["-O1", "-shared", "-fPIC", "-pthread", "-w", f"-I{capi_include()}"]
    subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
    write_overlay(folder, design, library=library)
    blob = folder / "vitforge.blob"
    blob.write_bytes(build_blob(design, random_quant_model(rng, design.shape)))
    return folder / f"{OVERLAY_NAME}.bit", blob


def _kernel(design: Design, registers: tuple[Register, ...]) -> str:
    """C++ of a kernel that says who it is, and no more."""
    arguments = ", ".join(f"{_C_TYPES[register.kind]}{register.name}" for register in registers)
    low, high = (int.from_bytes(design_hash(design)[first : first + 4], "little") for first in (0, 4))
    identity = {"magic": MAGIC, "version": FORMAT_VERSION, "hash_lo": low, "hash_hi": high}
    words = " ".join(f"*{name} = {value}u;" for name, value in identity.items())
    names = ", ".join(register.name for register in registers)
    return f"""#include "vitforge_csim/runner_api.hpp"
extern "C" const char *vitforge_sim_error() {{ return ""; }}
extern "C" long long vitforge_sim({arguments}) {{
    {words}
    return 0;
}}
extern "C" int vitforge_sim_start({arguments}) {{
    return vitforge_csim::beside([=] {{ return vitforge_sim({names}); }}, vitforge_sim_error);
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object, for benchmarks/results/host_overhead.json")
    result = measure()
    if parser.parse_args().json:
        print(json.dumps(asdict(result), indent=2))
    else:
        modelled, hidden = result.modelled_us / 1e3, result.hidden_us / 1e3
        print(f"{result.model} on {result.board}, {result.batch} images a launch, {modelled:,.1f} ms of it modelled:")
        print(f"the host takes {result.launch_us:g} us for a launch, and {result.idle_us:g} us after packing;")
        print(f"{result.flight_us:g} us with two in flight, and {hidden:.1f} ms of packing and unpacking are hidden")
        print(f"without a thread for the accelerator: {result.inside_us:g} and {result.inside_idle_us:g} us")
    if not result.good:
        sys.exit(1)


if __name__ == "__main__":
    main()
