# SPDX-License-Identifier: Apache-2.0
"""Tables of docs/sparsity.md: recorded figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from document_tables import paragraph, percent, table

RESULTS = Path(__file__).parent / "results"
NAMES = {"deit_tiny": "DeiT-Tiny", "deit_small": "DeiT-Small"}
Row = dict[str, Any]


def _rows(name: str) -> list[Row]:
    rows: list[Row] = json.loads((RESULTS / name).read_text())["rows"]
    return rows


def sparsity_curve() -> str:
    """Random masks, and 2:4 on an overlay that takes both."""
    columns = (
        "ZCU104",
        "rows, columns",
        "weights",
        "MACs",
        "cycles",
        "against MACs",
        "bytes",
        "bytes against weights",
        "images/s",
    )
    return table(columns, [_curve_row(row) for row in _rows("sparsity_curve.json")], left=3)


def _curve_row(row: Row) -> list[str]:
    capable = ", takes 2:4" if row.get("overlay") == "2:4" and row["sparsity"] == "dense" else ""
    names = ("mac_ratio", "cycle_ratio", "cycles_to_macs", "byte_ratio", "byte_to_weights")
    figures = [f"{row[name]:.3f}" for name in names]
    return [NAMES[row["model"]], percent(row["kept"]), row["sparsity"] + capable, *figures, f"{row['fps']:,.1f}"]


def column_bytes() -> str:
    """What the weight streams carry beside weights, and how much of it is read for each image."""
    rows = [row for row in _rows("sparsity_curve.json") if row["kept"] == 1.0 and "overlay" not in row]
    parts = []
    for row in rows:
        more = row["stream_bytes"] / row["weight_bytes"] - 1
        left = f"leave {percent(more, 1)} of the weights to be read with them" if more > 0.0005 else "hold all of it"
        kept = f"{row['ddr_bytes_per_launch']:,} bytes once a launch"
        parts.append(f"those of the dense {NAMES[row['model']]} take {kept}, and {left}")
    return paragraph(
        "Every eight columns come with 80 bytes for their biases, multipliers, shifts and places, however few rows are "
        "kept. They are the same for every image of a launch, and stay on chip after the first one, in resident stores "
        f"made of the URAM that a folding leaves: {'; '.join(parts)}. A pruned model needs less of a store."
    )


def fitted() -> str:
    """DeiT-Tiny, each version with its own folding."""
    columns = ["DeiT-Tiny, ZCU104, 300 MHz", "images/s, simulated", "cycles of the linear layers"]
    columns += ["DDR bytes of a further image", "once a launch"]
    rows: list[Row] = json.loads((RESULTS / "sparsity_curve.json").read_text())["fitted"]
    names = [row["version"] if row["version"] == "dense" else f"`{row['version']}`" for row in rows]
    counts = ("linear_cycles", "ddr_bytes_per_image", "ddr_bytes_per_launch")
    figures = [(f"{row['fps']:,.1f}", *(f"{row[name]:,.0f}" for name in counts)) for row in rows]
    return table(columns, [(name, *some) for name, some in zip(names, figures, strict=True)])


def on_dense_fit() -> str:
    """What an overlay that was fitted to the dense model makes of pruned ones."""
    rows: list[Row] = json.loads((RESULTS / "sparsity_curve.json").read_text())["on_dense_fit"]
    parts = [
        f"{row['cycles_to_macs']:.2f} times the proportional cycles at {percent(row['kept'])} "
        f"({row['fps']:,.0f} images/s)"
        for row in rows
    ]
    return paragraph(
        "These foldings let eight tokens leave an array in a cycle (`td`, `tr`). One that is fitted to a dense model "
        "lets fewer leave, as that needs no more, and then pruned matrices wait for what leaves. On the overlay fitted "
        f"to the dense DeiT-Tiny, linear layers take {', '.join(parts)}. So give `td` and `tr` in `[folding]` if "
        "an overlay is to run heavily pruned versions as well."
    )


def prune_curve() -> str:
    """The model that ships."""
    columns = (
        "weights kept",
        "",
        "pruned, float",
        "dense control",
        "pruned, INT8",
        "footprint, bytes",
        "epochs",
        "tolerance",
    )
    return table(columns, [_prune_row(row) for row in _rows("prune_curve.json")], left=2)


def _prune_row(row: Row) -> list[str]:
    if "float_top1" not in row:
        return [percent(row["kept_fraction"]), "as it ships", "", "", percent(row["int8_top1"], 1), "", "", ""]
    tolerance = str(row.get("tolerance", 0.5))
    tops = [percent(row[name], 1) for name in ("float_top1", "control_top1", "int8_top1")]
    return [
        percent(row["kept_fraction"]),
        row["sparsity"],
        *tops,
        f"{row['footprint_bytes']:,}",
        str(row["epochs"]),
        tolerance,
    ]


SPARSITY_TABLES: dict[str, Callable[[], str]] = {
    "sparsity_curve": sparsity_curve,
    "sparsity_bytes": column_bytes,
    "sparsity_fitted": fitted,
    "sparsity_on_dense_fit": on_dense_fit,
    "prune_curve": prune_curve,
}
