# SPDX-License-Identifier: Apache-2.0
"""The closed form of `vitforge estimate` against the simulated cycles of `vitforge trace`, on all boards.

Each board and model is generated and traced in a process of its own, with an empty cache. All of them take a quarter of
an hour. Exit code 1 if images per second of a DeiT differ by more than 3 %, or an estimate is slow.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from losses import lost_cycles, skipped_share

from vitforge.boards import RESOURCES, list_boards, load_board
from vitforge.cli.common import print_table
from vitforge.config import ProjectConfig
from vitforge.csim.build import CACHE_VARIABLE
from vitforge.design.design import Design
from vitforge.design.loops import DDR_EFFICIENCY
from vitforge.design.resources import Resources
from vitforge.errors import CapacityError
from vitforge.generate import GenerateResult, generate
from vitforge.timing.estimate import estimate
from vitforge.timing.trace import Trace, trace

MODELS = ("deit_tiny", "deit_small", "deit_base")
SHIPPED = "mnist"  # the model that ships: told, but not held to the limit, for its weight stream limits it
RECORDED = Path(__file__).parent / "results" / "estimate_vs_trace.json"
MOST_DIFFERENCE, MOST_SECONDS = 0.03, 0.1
Row = dict[str, Any]


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def measure(pair: tuple[str, str]) -> Row:
    """Everything about a model on a board; its own process, so that its memory can be told."""
    board, model = pair
    row: Row = {"board": board, "title": load_board(board).title, "model": model}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="vitforge-bench-") as scratch, contextlib.redirect_stdout(sys.stderr):
        os.environ[CACHE_VARIABLE] = str(Path(scratch) / "cache")
        project = Path(scratch) / "project"
        config = ProjectConfig(model=None if model == SHIPPED else model)
        try:
            done = generate(board=load_board(board), output=project, config=config)
        except CapacityError as error:
            return row | {"fits": False, "why": str(error)}
        row |= {"fits": True, **compare(done, trace(project, smallest=False))}
    return row | {"seconds": round(time.perf_counter() - began, 1), "memory_mib": _memory_mib()}


def _memory_mib() -> int:
    """Of this process or a compiler that it ran, whichever was larger."""
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(user).ru_maxrss for user in users) // 1024


def compare(done: GenerateResult, result: Trace) -> Row:
    """Simulated and estimated figures, the bounds above them, and what keeps the arrays below."""
    design, simulated, fitted = result.machine.design, result.report, done.fitted
    if simulated.deadlock is not None or simulated.fps is None or simulated.latency_cycles is None:
        raise SystemExit(f"{design.board.name}: the generated depths deadlock: {simulated.deadlock}")
    return {
        "clock_mhz": design.clock_mhz,
        "fps": simulated.fps,
        "fps_estimated": fitted.estimate.fps,
        "ratio": round(fitted.estimate.fps / simulated.fps, 4),
        "cycles_per_image": simulated.cycles_per_image,
        "latency_cycles": simulated.latency_cycles,
        "latency_cycles_estimated": fitted.estimate.latency_cycles,
        "latency_ms": round(simulated.latency_cycles / design.clock_mhz / 1e3, 3),
        "nsa_busy": simulated.busy["nsa_array"],
        "nmp_busy": simulated.busy["nmp_array"],
        "balance": simulated.engine_balance,
        "busy": simulated.busy,
        "dsp": simulated.dsp,
        "resources": _resources(design, fitted.resources),
        **bounds(result),
        "folding": {name: getattr(design.folding, name) for name in ("tt_nsa", "tt_nmp", "tc", "tk", "embed_nsa")},
        "tokens": design.shape.seq_len,
        "array_cycles": lost_cycles(result),
        "array_waits": {f"{row.unit}: {row.cause}": row.fraction for row in simulated.stalls if "array" in row.unit},
        "estimate_seconds": round(_seconds(result), 4),
    }


def bounds(result: Trace) -> Row:
    """What DSPs and DDR alone would allow."""
    design, simulated = result.machine.design, result.report
    board, traffic = design.board, simulated.ddr_bytes_per_image
    ddr = None if board.ddr_gbps is None else round(board.ddr_gbps * 1e9 * DDR_EFFICIENCY / traffic, 1)
    return {
        "dsp_device": board.dsp,
        "dsp_roof_fps": round(2 * board.dsp * design.clock_mhz * 1e6 / simulated.macs_per_image, 1),
        "dsp_roof_fraction": simulated.dsp_roof_fraction,
        "macs_per_image": simulated.macs_per_image,
        "skipped_share": round(skipped_share(design), 4),
        "ddr_bytes_per_image": traffic,
        "ddr_gbps": simulated.ddr_gbps,
        "ddr_bound_fps": ddr,
    }


def _resources(design: Design, counts: Resources) -> dict[str, dict[str, int]]:
    board = design.board
    return {
        name: {"used": getattr(counts, name), "device": getattr(board, name), "limit": board.limit(name)}
        for name in RESOURCES
    }


def _seconds(result: Trace) -> float:
    """Median of five estimates of the design."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        estimate(result.machine.design)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def failures(rows: list[Row]) -> list[str]:
    """What is wrong with the estimates, in sentences."""
    found = []
    for row in rows:
        name = f"{row['model']} on {row['board']}"
        if row["fits"] and row["model"] != SHIPPED and abs(row["ratio"] - 1) > MOST_DIFFERENCE:
            found.append(f"{name}: estimated {row['fps_estimated']} images/s, simulated {row['fps']}")
        if row["fits"] and row["estimate_seconds"] >= MOST_SECONDS:
            found.append(f"{name}: an estimate takes {row['estimate_seconds']} s, {MOST_SECONDS} s are allowed")
    return found


def record(rows: list[Row]) -> None:
    """Into the file that figures and documents are made from, in place of earlier rows of the same pairs."""
    earlier = json.loads(RECORDED.read_text())["rows"] if RECORDED.is_file() else []
    by_pair = {(row["board"], row["model"]): row for row in [*earlier, *rows]}
    order = [(board, model) for board in list_boards() for model in (*MODELS, SHIPPED)]
    kept = [by_pair[pair] for pair in order if pair in by_pair]
    RECORDED.parent.mkdir(exist_ok=True)
    content = {"machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}", "rows": kept}
    RECORDED.write_text(json.dumps(content, indent=1) + "\n")


def show(rows: list[Row]) -> None:
    """A table on stdout."""
    columns = ("board", "model", "images/s", "estimated", "ratio", "attention", "MLP", "balance", "DSP", "latency ms")
    keys = ("fps", "fps_estimated", "ratio", "nsa_busy", "nmp_busy", "balance", "dsp", "latency_ms")
    fitting = [row for row in rows if row["fits"]]
    table = [(row["board"], row["model"], *(row[key] for key in keys)) for row in fitting]
    print_table("simulated, and estimated; fractions of the cycles in which the arrays multiply", columns, table)
    for row in rows:
        if not row["fits"]:
            print(f"{row['model']} does not fit {row['board']}: {row['why']}")
    if fitting:
        slowest = max(row["estimate_seconds"] for row in fitting)
        print(f"an estimate takes at most {slowest} s; largest process {max(r['memory_mib'] for r in fitting)} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--boards", nargs="+", choices=list_boards(), default=list_boards(), metavar="BOARD")
    parser.add_argument("--models", nargs="+", choices=(*MODELS, SHIPPED), default=[*MODELS, SHIPPED], metavar="MODEL")
    parser.add_argument("--record", action="store_true", help=f"also put the results into results/{RECORDED.name}")
    options = parser.parse_args()
    pairs = [(board, model) for board in options.boards for model in options.models]
    rows = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for row in pool.imap(measure, pairs):
            rows.append(row)
            outcome = f"{row['fps']} images/s, {row['seconds']} s" if row["fits"] else "does not fit"
            say(f"{len(rows)}/{len(pairs)} {row['model']} on {row['board']}: {outcome}")
            if options.record:
                record(rows)
    wrong = failures(rows)
    if options.json:
        print(json.dumps({"rows": rows, "failures": wrong}, indent=2))
    else:
        show(rows)
    for sentence in wrong:
        say(sentence)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
