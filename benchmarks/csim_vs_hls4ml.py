# SPDX-License-Identifier: Apache-2.0
"""How fast C simulation is: vitforge against hls4ml on the MLP of deit_tiny, in one process on one core.

Both simulate 197 tokens through 192 -> 768 -> 192 with 8-bit weights and activations, from the same integers, each with
the library that it compiles for itself. vitforge also requantises and applies GELU; hls4ml, spared both, wraps as
ap_fixed does by default, its fastest mode. Runs alternate, the first of each warms up, the median counts. Each result
is checked against numpy before it is timed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge.boards import load_board
from vitforge.config import ProjectConfig
from vitforge.csim import build
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.observe import golden_tensors
from vitforge.csim.project import load_project
from vitforge.csim.units import UnitBench
from vitforge.generate import generate
from vitforge.model.samples import sample_images
from vitforge.quantize.blob import build_sections
from vitforge.quantize.model import QuantLinear

HLS4ML = "1.3.0"
NEEDED = ("hls4ml", "h5py", "quantizers", "yaml")  # hls4ml cannot be imported without the others
MODEL, BOARD, BLOCK = "deit_tiny", "zcu104", 0
TARGET = 40.0
ACCUMULATOR_BITS = 27  # ours, and hls4ml gets no more


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A compiled layer, ready to run."""

    run: Callable[[], object]
    macs: int  # of one run, padding not counted
    compiler: str  # with the flags that decide speed


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The integers that both get."""

    x: NDArray[np.int8]  # (tokens, width)
    fc1: QuantLinear
    fc2: QuantLinear

    @property
    def macs(self) -> int:
        return len(self.x) * (self.fc1.weight.size + self.fc2.weight.size)

    def __str__(self) -> str:
        hidden, width = self.fc1.weight.shape
        return f"{len(self.x)} tokens, {width} -> {hidden} -> {width}, 8-bit weights and activations"


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def prepare_vitforge(directory: Path) -> tuple[Contender, Layer]:
    """The MLP engine of a generated project with the weights of a block, checked against the golden model."""
    generate(board=load_board(BOARD), output=directory, config=ProjectConfig(model=MODEL))
    project = load_project(directory)
    model = project.model()
    library = CsimLibrary(project.compile())
    bench = UnitBench(csim=library, design=project.design, sections=build_sections(project.design, model))
    golden = golden_tensors(model, sample_images(model.shape, 1))
    x, expected = (golden[f"blocks.{BLOCK}.{part}"][0] for part in ("norm2", "fc2"))
    if not np.array_equal(bench.mlp(BLOCK, x), expected):
        sys.exit("vitforge's csim differs from the golden model")
    layer = Layer(x=x, fc1=model.blocks[BLOCK].fc1, fc2=model.blocks[BLOCK].fc2)
    defaults = inspect.signature(build.build_shared).parameters
    flags = " ".join((defaults["opt"].default, *build.CODE, *build.LOOPS, f"-std={defaults['std'].default}"))
    compiler = f"{Path(build.find_compiler()).name} {flags}"
    return Contender(run=lambda: bench.mlp(BLOCK, x), macs=layer.macs, compiler=compiler), layer


def _dense(name: str, source: str, layer: QuantLinear) -> dict[str, Any]:
    """A linear layer as hls4ml's importers describe it; over tokens it becomes a pointwise convolution there."""
    rows, columns = layer.weight.shape
    return {
        "class_name": "Dense",
        "name": name,
        "inputs": [source],
        "outputs": [name],
        "n_in": columns,
        "n_out": rows,
        "weight_data": np.ascontiguousarray(layer.weight.T, np.float32),
        "bias_data": layer.bias.astype(np.float32),
    }


def _precision(result: int) -> dict[str, dict[str, str]]:
    bits = {"weight": 8, "bias": ACCUMULATOR_BITS, "accum": ACCUMULATOR_BITS, "result": result}
    return {"Precision": {name: f"ap_fixed<{count},{count}>" for name, count in bits.items()}}


def prepare_hls4ml(directory: Path, layer: Layer, io: str) -> Contender:
    """The same two linear layers as hls4ml generates and compiles them, checked against numpy."""
    from hls4ml.model.graph import ModelGraph

    shape = list(layer.x.shape)
    config = {
        "OutputDir": str(directory),
        "ProjectName": "mlp",
        "Backend": "Vitis",
        "Part": load_board(BOARD).part,
        "ClockPeriod": 5,
        "IOType": io,
        "HLSConfig": {
            "Model": {"Precision": {"default": "ap_fixed<16,16>"}, "ReuseFactor": 1, "Strategy": "Latency"},
            "LayerName": {
                "x": {"Precision": {"result": "ap_fixed<8,8>"}},
                "fc1": _precision(8),
                "fc2": _precision(ACCUMULATOR_BITS),
            },
        },
    }
    first = {"class_name": "InputLayer", "name": "x", "input_shape": shape, "inputs": []}
    layers = [first, _dense("fc1", "x", layer.fc1), _dense("fc2", "fc1", layer.fc2)]
    graph = ModelGraph.from_layer_list(config, layers, inputs=["x"], outputs=["fc2"])
    graph.compile()
    x = layer.x[None].astype(np.float32)  # predict takes floats; 38 thousand conversions beside 58 million products
    got = np.asarray(graph.predict(x)).reshape(shape)
    if not np.array_equal(got, _wrapping_mlp(layer)):
        sys.exit("hls4ml's csim differs from numpy: the comparison would not be of equal layers")
    return Contender(run=lambda: graph.predict(x), macs=layer.macs, compiler=_hls4ml_compiler(directory))


def _wrapping_mlp(layer: Layer) -> NDArray[np.int64]:
    hidden = layer.x.astype(np.int64) @ layer.fc1.weight.T.astype(np.int64) + layer.fc1.bias
    return hidden.astype(np.int8).astype(np.int64) @ layer.fc2.weight.T.astype(np.int64) + layer.fc2.bias


def _hls4ml_compiler(directory: Path) -> str:
    """Compiler and flags of the script that hls4ml wrote and ran, which chooses some by trying the compiler."""
    choice = (directory / "build_lib.sh").read_text().partition("\nINCFLAGS=")[0]
    script = choice + '\necho "${CC} ${CFLAGS}"\n'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def race(contenders: Mapping[str, Contender], runs: int) -> dict[str, float]:
    """Median MACs per second of each, on one core; they take turns, so that a slow moment meets all."""
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    try:
        for turn in range(runs + 1):
            for name, contender in contenders.items():
                start = time.perf_counter()
                contender.run()
                if turn > 0:  # the first warms up
                    seconds[name].append(time.perf_counter() - start)
    finally:
        os.sched_setaffinity(0, before)
    return {name: contenders[name].macs / statistics.median(times) for name, times in seconds.items()}


def compare(io: str, runs: int) -> dict[str, object]:
    """Compiles both, lets them race and returns what ``--json`` prints."""
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch:
        say(f"generate {MODEL} for {BOARD} and compile it")
        ours, layer = prepare_vitforge(Path(scratch) / "vitforge")
        say(f"convert the MLP with hls4ml, {io}, and compile it")
        theirs = prepare_hls4ml(Path(scratch) / "hls4ml", layer, io)
        say(f"{runs} runs of each")
        speed = race({"vitforge": ours, "hls4ml": theirs}, runs)
    return {
        "ratio": speed["vitforge"] / speed["hls4ml"],
        "target": TARGET,
        "vitforge_macs_per_second": speed["vitforge"],
        "hls4ml_macs_per_second": speed["hls4ml"],
        "layer": str(layer),
        "macs": layer.macs,
        "vitforge_compiler": ours.compiler,
        "hls4ml_compiler": theirs.compiler,
        "hls4ml": f"{HLS4ML}, Vitis backend, {io}, Latency strategy, reuse factor 1",
        "runs": runs,
        "machine": f"{_processor()}, one core",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def check_hls4ml() -> None:
    """Ends the program where hls4ml cannot be imported, or is another version, and says what to install."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; this needs pip install 'hls4ml=={HLS4ML}' with dependencies")
    from importlib.metadata import version

    if version("hls4ml") != HLS4ML:
        sys.exit(f"hls4ml is {version('hls4ml')}; this compares with {HLS4ML}: pip install 'hls4ml=={HLS4ML}'")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each [default: 7]")
    parser.add_argument(
        "--io",
        choices=("io_stream", "io_parallel"),
        default="io_stream",
        help="how hls4ml passes tensors; io_parallel compiles for minutes [default: io_stream]",
    )
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    check_hls4ml()
    with contextlib.redirect_stdout(sys.stderr):  # hls4ml talks
        facts = compare(options.io, options.runs)
    if options.json:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        print(f"{name:26} {value:,.4g}" if isinstance(value, float) else f"{name:26} {value}")


if __name__ == "__main__":
    main()
