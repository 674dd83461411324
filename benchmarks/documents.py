# SPDX-License-Identifier: Apache-2.0
"""Writes recorded figures into README.md and documents under docs/, between marks that name a table.

python benchmarks/documents.py            after a benchmark with --record, and whenever loops or resources change
python benchmarks/documents.py --check    exit code 1 if a document is out of date
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from a3_tables import A3_TABLES
from document_tables import percent, table
from kernel_tables import KERNEL_TABLES, KERNELS
from sparse_matmul_tables import SPARSE_MATMUL_TABLES
from sparsity_tables import SPARSITY_TABLES

from vitforge.design.loops import LOOPS

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
_PAGES = ("performance.md", "a3.md", "sparsity.md", "sparse_matmul.md", *(f"kernels/{name}.md" for name in KERNELS))
DOCUMENTS = (ROOT / "README.md", *(ROOT / "docs" / name for name in _PAGES))
BOARD = "zcu104"
MODELS = {"deit_tiny": "DeiT-Tiny", "deit_small": "DeiT-Small", "deit_base": "DeiT-Base"}
SHIPPED = "mnist"
ARRAYS = {"nsa": "attention", "nmp": "MLP"}
BRAM36_MIB, URAM_MIB = 36 / 8192, 288 / 8192
_BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Row = dict[str, Any]


def _rows() -> list[Row]:
    return json.loads((RESULTS / "estimate_vs_trace.json").read_text())["rows"]


def _fitting(board: str | None = None) -> list[Row]:
    return [row for row in _rows() if row["fits"] and row["model"] in MODELS and board in (None, row["board"])]


def _recorded(name: str) -> Row:
    return json.loads((RESULTS / name).read_text())


def _bound(value: float | None) -> str:
    return "not known" if value is None else f"{value:,.0f}"


def results() -> str:
    """Every board and model."""
    columns = (
        "board",
        "model",
        "images/s",
        "latency, ms",
        "DSP",
        "of the DSP bound",
        "attention array",
        "MLP array",
        "balance",
        "estimate / trace",
    )
    rows = [
        (
            row["title"],
            MODELS[row["model"]],
            f"{row['fps']:,.1f}",
            f"{row['latency_ms']:.2f}",
            f"{row['dsp']:,} of {row['dsp_device']:,}",
            percent(row["dsp_roof_fraction"]),
            percent(row["nsa_busy"]),
            percent(row["nmp_busy"]),
            percent(row["balance"]),
            f"{row['ratio']:.3f}",
        )
        for row in _fitting()
    ]
    refused = [
        f"- {MODELS[row['model']]} on the {row['title']}: {row['why'].partition(': ')[2]}"
        for row in _rows()
        if not row["fits"]
    ]
    return table(columns, rows, 2) + ("\nDoes not fit:\n\n" + "\n".join(refused) + "\n" if refused else "")


def short() -> str:
    """For the README."""
    columns = ("ZCU104, 300 MHz", "images/s, simulated", "of the DSP bound", "DSPs", "latency of an image alone")
    rows = [
        (
            MODELS[row["model"]],
            f"{row['fps']:,.1f}",
            percent(row["dsp_roof_fraction"]),
            f"{row['dsp']:,} of {row['dsp_device']:,}",
            f"{row['latency_ms']:.1f} ms",
        )
        for row in _fitting(BOARD)
    ]
    return table(columns, rows)


def shipped() -> str:
    """The small model, which the closed form overrates."""
    columns = ("MNIST model", "images/s, simulated", "images/s, modelled", "ratio", "attention array", "MLP array")
    rows = [
        (
            row["title"],
            f"{row['fps']:,.0f}",
            f"{row['fps_estimated']:,.0f}",
            f"{row['ratio']:.3f}",
            percent(row["nsa_busy"]),
            percent(row["nmp_busy"]),
        )
        for row in _rows()
        if row["model"] == SHIPPED and row["fits"]
    ]
    return table(columns, rows)


def bounds() -> str:
    """What binds on the ZCU104."""
    columns = ("ZCU104", "all DSPs", "DDR", "simulated", "DDR traffic", "on-chip memory used")
    rows = [
        (
            MODELS[row["model"]],
            _bound(row["dsp_roof_fps"]),
            _bound(row["ddr_bound_fps"]),
            f"{row['fps']:,.1f}",
            f"{row['ddr_gbps']:.1f} GB/s, {row['ddr_bytes_per_image'] / 1e6:.1f} MB an image",
            _memory(row),
        )
        for row in _fitting(BOARD)
    ]
    return table(columns, rows)


def _memory(row: Row) -> str:
    bram, uram = row["resources"]["bram36"], row["resources"]["uram"]
    used, device = (BRAM36_MIB * bram[key] + URAM_MIB * uram[key] for key in ("used", "device"))
    return f"{used:.2f} of {device:.2f} MiB"


def cycles() -> str:
    """Where the cycles of the arrays go."""
    rows = _fitting(BOARD)
    columns = ["ZCU104, % of the cycles"]
    columns += [f"{MODELS[row['model']]}, {title}" for row in rows for title in ARRAYS.values()]
    names = list(rows[0]["array_cycles"]["nsa"])
    lines = [
        (name, *(f"{100 * row['array_cycles'][engine][name]:.2f}" for row in rows for engine in ARRAYS))
        for name in names
    ]
    return table(columns, lines)


def folding() -> str:
    """Tiles, and what they pad."""
    columns = ("ZCU104", "tokens", "attention array", "computes", "MLP array", "computes", "array DSPs", "skipped")
    rows = [
        (
            MODELS[row["model"]],
            row["tokens"],
            *(
                part
                for name in ("tt_nsa", "tt_nmp")
                for part in (
                    "{} x {} x {}".format(row["folding"][name], row["folding"]["tc"], row["folding"]["tk"]),
                    -(-row["tokens"] // row["folding"][name]) * row["folding"][name],
                )
            ),
            f"{_array_dsps(row['folding']):,} of {row['dsp']:,}",
            percent(row["skipped_share"], 1),
        )
        for row in _fitting(BOARD)
    ]
    return table(columns, rows)


def _array_dsps(found: Row) -> int:
    """Two products each."""
    return (found["tt_nsa"] + found["tt_nmp"]) * found["tc"] * found["tk"] // 2


def loops() -> str:
    """The machine model's table, from the sources."""
    rows = [(f"`{name}`", loop.interval, loop.depth, loop.what) for name, loop in LOOPS.items()]
    columns = "| loop | interval | depth | what |\n| --- | ---: | ---: | --- |\n"
    return columns + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def ours() -> str:
    """Rows beside those of published accelerators."""
    lines = []
    for board in ("zcu104", "zcu102"):
        rows = {row["model"]: row for row in _fitting(board)}
        if not rows:
            continue
        speeds = [f"{rows[model]['fps']:,.1f}" if model in rows else "does not fit" for model in MODELS]
        dsp = " / ".join(f"{rows[model]['dsp']:,}" if model in rows else "-" for model in MODELS)
        per_dsp = " / ".join(f"{_gops_per_dsp(rows[model]):.2f}" if model in rows else "-" for model in MODELS)
        lines.append((f"vitforge, {board.upper()}", "W8A8", "300, assumed", dsp, *speeds, per_dsp))
    columns = ("simulated", "bits", "MHz", "DSPs, T/S/B", *MODELS.values(), "GOPS/DSP, T/S/B")
    return table(columns, lines, 4)


def _gops_per_dsp(row: Row) -> float:
    return 2e-9 * row["macs_per_image"] * row["fps"] / row["dsp"]


def csim() -> str:
    """Speed of C simulation, as recorded."""
    race = _recorded("csim_vs_hls4ml.json")
    columns = ("C simulation, one core", "s an image", "10^9 multiplications/s", "mismatches")
    rows = []
    for name, title in (("csim_mnist.json", "the MNIST model that ships"), ("csim_deit_tiny.json", "DeiT-Tiny")):
        found = _recorded(name)
        speed = f"{found['macs_per_second'] / 1e9:.2f}"
        rows.append((title, f"{found['seconds_per_image']:.3g}", speed, found["mismatches"]))
    sentence = (
        f"\nOn {race['layer']}:\n"
        f"vitforge {race['vitforge_macs_per_second'] / 1e9:.2f}, hls4ml {race['hls4ml_macs_per_second'] / 1e9:.3f} "
        f"billion multiplications a second, a ratio of {race['ratio']:.0f}\n"
        f"({race['hls4ml']}; {race['machine']}).\n"
    )
    return table(columns, rows) + sentence


def host() -> str:
    """What the driver costs a launch, as recorded."""
    found = _recorded("host_overhead.json")
    parts = (
        ("registers, start and end, one launch right after another", found["launch_us"]),
        ("the same after packing, when caches are cold", found["idle_us"]),
        ("from batch to batch with two in flight: the accelerator idles", found["flight_us"]),
        ("the first, where the accelerator runs inside the write that starts it", found["inside_us"]),
        ("the second in that way", found["inside_idle_us"]),
        ("packing and unpacking, hidden behind the launch before", found["hidden_us"]),
        ("the accelerator, modelled", found["modelled_us"]),
    )
    rows = [(what, f"{value:,.0f}", percent(value / found["modelled_us"], 2)) for what, value in parts]
    return table((f"{MODELS[found['model']]}, {found['batch']} images a launch", "us", "of the accelerator"), rows)


TABLES: dict[str, Callable[[], str]] = {
    **{function.__name__: function for function in (results, short, shipped, bounds, cycles, folding)},
    **{function.__name__: function for function in (loops, ours, csim, host)},
    **A3_TABLES,
    **SPARSITY_TABLES,
    **KERNEL_TABLES,
    **SPARSE_MATMUL_TABLES,
}


def filled(text: str) -> str:
    """``text`` with every table made again."""
    return _BLOCK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    stale = [path for path in DOCUMENTS if filled(path.read_text()) != path.read_text()]
    for path in stale:
        if options.check:
            print(f"{path.relative_to(ROOT)} is out of date; run python benchmarks/documents.py", file=sys.stderr)
        else:
            path.write_text(filled(path.read_text()))
    sys.exit(1 if options.check and stale else 0)


if __name__ == "__main__":
    main()
