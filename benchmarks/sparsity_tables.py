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
    """What the weight streams carry beside weights, of the whole models and of a sixteenth of them."""
    rows = [row for row in _rows("sparsity_curve.json") if "overlay" not in row]
    parts = []
    for model, title in NAMES.items():
        dense, least = (row for row in rows if row["model"] == model and row["kept"] in (1.0, 0.25))
        before, after = (percent(1 - row["weight_bytes"] / row["stream_bytes"], 1) for row in (dense, least))
        parts.append(f"{before} of a dense {title}'s stream, and {after} of a sixteenth's")
    return paragraph(
        "Bytes are not proportional because every eight columns come with 80 for their biases, multipliers, shifts and "
        f"places, however few rows are kept. These are {'; '.join(parts)}."
    )


def fitted() -> str:
    """DeiT-Tiny, each version with its own folding."""
    columns = ("DeiT-Tiny, ZCU104, 300 MHz", "images/s, simulated", "cycles of the linear layers", "DDR bytes an image")
    rows: list[Row] = json.loads((RESULTS / "sparsity_curve.json").read_text())["fitted"]
    names = [row["version"] if row["version"] == "dense" else f"`{row['version']}`" for row in rows]
    figures = [
        (f"{row['fps']:,.1f}", f"{row['linear_cycles']:,.0f}", f"{row['ddr_bytes_per_image']:,}") for row in rows
    ]
    return table(columns, [(name, *some) for name, some in zip(names, figures, strict=True)])


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
    "prune_curve": prune_curve,
}
