# SPDX-License-Identifier: Apache-2.0
"""What the host costs a launch on the simulated board: DeiT-Tiny on the ZCU104, 32 images a launch.

A kernel that returns at once stands for the accelerator, so that what is timed is the driver. `launch_us` is registers,
start, and seeing the end, of a launch right after another. `idle_us` is the same after the images were packed, which
leaves the caches of the processor cold: for that long the accelerator idles between two launches. Packing and unpacking
themselves happen while the other launch in flight runs (`hidden_us`). In these the accelerator runs inside the write
that starts it. By default the simulated board gives it a thread, and `threaded_us` and `threaded_idle_us` are the same
two with one. A board has no such thread. What this machine takes to change threads is in them: `turn_us` and
`turn_idle_us` are two bare Python threads, of which one wakes the other and waits for its answer. The time of the
accelerator is that of the cycle model. Medians, on the machine that ran this, through the array of pynq's MMIO.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from vitforge.boards import load_board
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
    hidden_us: float
    threaded_us: float
    threaded_idle_us: float
    turn_us: float
    turn_idle_us: float
    modelled_us: float
    share: float
    machine: str

    @property
    def good(self) -> bool:
        """Whether it keeps within both limits, and what is to be hidden can be."""
        return self.launch_us < LIMIT_US and self.share < LIMIT_SHARE and self.hidden_us < self.modelled_us


def measure(launches: int = LAUNCHES) -> Result:
    """In both run modes of the simulated board."""
    fitted = fit(deit_shape(MODEL), load_board(BOARD))
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        bitfile, blob = _overlay(Path(folder), fitted.design, rng)
        plain = _parts(bitfile, blob, SimDevice(run_mode="sync"), launches)
        threaded = _parts(bitfile, blob, SimDevice(run_mode="thread"), launches)
    return Result(
        model=MODEL,
        board=BOARD,
        batch=BATCH,
        launches=launches,
        launch_us=round(plain["launch"], 1),
        idle_us=round(plain["idle"], 1),
        hidden_us=round(plain["load"] + plain["collect"], 1),
        threaded_us=round(threaded["launch"], 1),
        threaded_idle_us=round(threaded["idle"], 1),
        turn_us=round(threaded["turn"], 1),
        turn_idle_us=round(threaded["turn_idle"], 1),
        modelled_us=round(plain["modelled"], 1),
        share=round(max(plain["idle"], threaded["idle"]) / plain["modelled"], 5),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
    )


def _parts(bitfile: Path, blob: Path, device: SimDevice, launches: int) -> dict[str, float]:
    """Launches one after the other, each part timed by itself: medians [us]."""
    rng = np.random.default_rng(2)
    before = device.busy_s
    times: dict[str, list[float]] = {part: [] for part in ("load", "idle", "launch", "collect", "turn_idle", "turn")}
    with VitAccelerator(bitfile, blob, device, batch=BATCH) as accelerator:
        images = rng.integers(0, 256, (BATCH, *accelerator.image_shape), np.uint8)
        for index in range(launches):
            slot = accelerator._slots[index % 2]
            _timed(lambda slot=slot: slot.load(images), times["load"])
            _timed(lambda slot=slot: (accelerator._launch(slot), accelerator._wait(slot)), times["idle"])
            _timed(lambda slot=slot: (accelerator._launch(slot), accelerator._wait(slot)), times["launch"])
            slot.logits[:] = 0  # which the kernel leaves to us
            slot.logits.flush()
            _timed(slot.collect, times["collect"])
        turn = _echo()
        for index in range(launches):
            accelerator._slots[index % 2].load(images)
            _timed(turn, times["turn_idle"])
            _timed(turn, times["turn"])
    medians = {part: 1e6 * statistics.median(values) for part, values in times.items()}
    return medians | {"modelled": 1e6 * (device.busy_s - before) / (2 * launches)}


def _echo() -> Callable[[], object]:
    """What wakes another Python thread and waits for its answer."""
    calls: SimpleQueue[int] = SimpleQueue()
    answers: SimpleQueue[int] = SimpleQueue()

    def serve() -> None:
        while True:
            answers.put(calls.get())

    def turn() -> int:
        calls.put(0)
        return answers.get()

    threading.Thread(target=serve, daemon=True).start()
    return turn


def _timed(call: Callable[[], object], into: list[float]) -> None:
    started = time.perf_counter()
    call()
    into.append(time.perf_counter() - started)


def _overlay(folder: Path, design: Design, rng: np.random.Generator) -> tuple[Path, Path]:
    """Bitfile and blob of a project whose kernel does nothing."""
    source, library = folder / "kernel.cpp", folder / "kernel.so"
    source.write_text(_kernel(design, register_map()))
    subprocess.run(["g++", "-O1", "-shared", "-fPIC", "-w", str(source), "-o", str(library)], check=True)
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
    return f"""extern "C" const char *vitforge_sim_error() {{ return ""; }}
extern "C" long long vitforge_sim({arguments}) {{
    {words}
    return 0;
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
        print(f"the host takes {result.launch_us:g} us for a launch, and {result.idle_us:g} us after")
        print(f"packing; {hidden:.1f} ms of packing and unpacking are hidden behind the launch before")
        print(
            f"with a thread for the simulated accelerator: {result.threaded_us:g} and {result.threaded_idle_us:g} us,"
        )
        print(f"and to change threads and back takes {result.turn_us:g} and {result.turn_idle_us:g} us")
    if not result.good:
        sys.exit(1)


if __name__ == "__main__":
    main()
