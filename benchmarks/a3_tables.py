# SPDX-License-Identifier: Apache-2.0
"""Tables of docs/a3.md: recorded figures, and what the sources say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from document_tables import paragraph, percent, table

from vitforge.boards import load_board
from vitforge.design.a3_fit import fit_a3
from vitforge.design.a3_numbers import A3Numbers
from vitforge.design.loops import A3_LOOPS

RESULTS = Path(__file__).parent / "results"
DEFAULT, PAPER_FORMATS = "deferred", "divide_first"  # of the recorded designs
APPROXIMATE = ("conservative", "aggressive")
DESIGNS = {
    "deferred": "one unit",
    "divide_first": "one unit, divide first",
    "two_units": "two units",
    "exact_only": "seven units without selection",
    "d128": "one unit, d = 128",
}
RESOURCES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("zcu104", "default", {}),
    ("zcu104", "divide first", {"numbers": A3Numbers(policy="divide_first")}),
    ("zcu104", "without selection", {"approximate": False}),
    ("zcu104", "n_max = 1024", {"n_max": 1024}),
    ("zcu104", "d_max = 128", {"d_max": 128}),
    ("kv260", "default", {}),
    ("ultra96v2", "default: no room for selection", {}),
    ("pynq-z2", "default: no room for selection", {}),
)
MINILM = {
    "exact": "exact",
    "exact_i3f5": "exact, i = 3, f = 5",
    "exact_divide_first": "exact, divide first",
    "post_scoring_only": "T = 5 %",
    "selection_only": "M = n/2",
    "conservative": "conservative",
    "aggressive": "aggressive",
    "conservative_centred": "conservative, keys centred",
    "aggressive_centred": "aggressive, keys centred",
}
Row = dict[str, Any]


def _recorded(name: str) -> Row:
    return json.loads((RESULTS / name).read_text())


def _designs() -> dict[str, Row]:
    return {row["design"]: row for row in _recorded("a3_cycles.json")["designs"]}


def _points(design: Row) -> dict[tuple[int, str], Row]:
    return {(row["n"], row["setting"]): row for row in design["rows"]}


def a3_exact() -> str:
    """Of all rows, beside the paper."""
    columns = (
        *("n", "cycles a query", "paper: n + 9", "latency", "latency, divide first", "paper: 3n + 27"),
        "load",
    )
    designs = _designs()
    other = _points(designs[PAPER_FORMATS])
    rows = [
        (
            n,
            f"{row['cycles_per_query']:g}",
            row["paper_cycles_per_query"],
            row["latency"],
            other[n, setting]["latency"],
            row["paper_latency"],
            f"{row['load']:,}",
        )
        for (n, setting), row in _points(designs[DEFAULT]).items()
        if setting == "exact"
    ]
    return table(columns, rows, 0)


def a3_approximate() -> str:
    """Of candidates, beside the paper."""
    columns = (
        *("n", "setting", "M", "C, K, mean", "cycles a query", "paper: M + 4 … 5", "times the exact rate"),
        *("latency", "of C, K", "paper: M + C + 2K + α"),
    )
    points = _points(_designs()[DEFAULT])
    rows = []
    for (n, setting), row in points.items():
        if setting == "exact":
            continue
        rows.append(
            (
                n,
                setting,
                row["m"],
                f"{row['candidates']:.1f}, {row['kept']:.1f}",
                f"{row['cycles_per_query']:.1f}",
                f"{row['m'] + 4} … {row['m'] + 5}",
                f"{points[n, 'exact']['cycles_per_query'] / row['cycles_per_query']:.2f}",
                row["latency"],
                f"{row['latency_candidates']}, {row['latency_kept']}",
                f"{row['paper_latency']} + α",
            )
        )
    return table(columns, rows, 2)


def a3_designs() -> str:
    """Throughput of other designs at n = 320."""
    columns = ("ZCU104, n = 320", "DSPs", "LUTs", "exact", *APPROXIMATE, "latency, exact")
    rows = []
    for name, title in DESIGNS.items():
        design = _designs()[name]
        points = _points(design)
        speeds = [
            f"{points[320, setting]['cycles_per_query']:.1f}" if (320, setting) in points else "-"
            for setting in ("exact", *APPROXIMATE)
        ]
        sizes = (f"{design['dsp']:,}", f"{design['lut']:,}")
        rows.append((title, *sizes, *speeds, f"{points[320, 'exact']['latency']:,}"))
    return table(columns, rows)


def a3_latency() -> str:
    """Formulas that the recorded latencies follow, and the closed form."""
    designs = _designs()
    exact, selected = _fixed(designs[DEFAULT], 1)
    exact_first, selected_first = _fixed(designs[PAPER_FORMATS], 2)
    found = _recorded("a3_cycles.json")["differences"]
    points = sum(len(design["rows"]) for design in designs.values())
    return paragraph(
        "Latencies of one unit at d = 64 follow simple formulas, with rows in twos. "
        f"Exact: n + {exact} with the division deferred, 1.5n + {exact_first} with divide first. "
        f"Approximate: M + K/2 + {selected}, and M + K + {selected_first}. "
        f"The closed form that `vitforge estimate` prints was compared at all {points} recorded points. "
        f"It differs from the simulation by at most {found['interval_cycles']:g} cycles "
        f"({percent(found['interval_fraction'], 1)}) in the interval, and "
        f"by at most {found['latency_cycles']:g} ({percent(found['latency_fraction'], 1)}) in the latency."
    )


def a3_alone() -> str:
    """Cycles that the slowest query stays below M + C + 2K + 40, and how many do where not all."""
    found = _recorded("a3_alone.json")
    rows = found["policies"][DEFAULT]
    shares = sorted({row["t"] for row in rows})

    def cell(row: Row) -> str:
        spare = f"{row['spare_least']:+d}".replace("-", "−")
        return spare if row["within"] == found["queries"] else f"{spare} ({row['within']} of {found['queries']})"

    cells = {(row["m"], row["t"]): cell(row) for row in rows}
    columns = ("M", *(f"T = {t:g} %" for t in shares))
    lines = [(m, *(cells[m, t] for t in shares)) for m in dict.fromkeys(row["m"] for row in rows)]
    return table(columns, lines, 0)


def a3_alone_counts() -> str:
    """The same as the paper counts, and with divide first."""
    found = _recorded("a3_alone.json")
    deferred, first = found["policies"][DEFAULT], found["policies"][PAPER_FORMATS]

    def settings(rows: Sequence[Row], key: str) -> str:
        return f"{sum(row[key] == found['queries'] for row in rows)} of {len(rows)}"

    late = [row for row in deferred if row["within_registers"] < found["queries"]]
    but = "".join(f", but for M = {row['m']}, T = {row['t']:g} % ({row['within_registers']} do)" for row in late)
    return paragraph(
        f"So {settings(deferred, 'within')} settings keep it with each of {found['queries']} queries. Counted as the "
        f"paper does, from a register to a register, without the beats on the ports, all keep it{but}. With divide "
        f"first, {settings(first, 'within')} do, and counted as the paper does {settings(first, 'within_registers')}."
    )


def _fixed(design: Row, stages: int) -> tuple[str, str]:
    """Cycles of a latency beside those that selection (or all dot products), and ``stages`` behind them take."""
    exact, selected = [], []
    for (n, setting), row in _points(design).items():
        if setting == "exact":
            exact.append(row["latency"] - (1 + stages) * -(-n // 2))
        else:
            passes = row["m"] + stages * row["latency_kept"] / 2
            selected.append(row["latency"] - passes)
    return _span(exact), _span(selected)


def _span(values: Sequence[float]) -> str:
    """ "95", or "95 to 97"."""
    whole = [round(value) for value in values]
    low, high = min(whole), max(whole)
    return str(low) if low == high else f"{low} to {high}"


def a3_resources() -> str:
    """Of a few designs, modelled."""
    columns = ("board", "design", "width", "DSP", "BRAM36", "URAM", "LUT", "flip-flops", "units that fit")
    rows = []
    for board, title, settings in RESOURCES:
        fitted = fit_a3(load_board(board), **settings)
        used = fitted.resources
        counts = (fitted.design.width, used.dsp, used.bram36, used.uram, used.lut, used.ff, fitted.units_that_fit)
        rows.append((fitted.design.board.title, title, *(f"{count:,}" for count in counts)))
    return table(columns, rows, 2)


def a3_loops() -> str:
    """The machine model's intervals and depths, from the sources."""
    depths = ", ".join(f"`{name}` {loop.depth}" for name, loop in A3_LOOPS.items())
    slow = ", ".join(f"`{name}` {loop.interval}" for name, loop in A3_LOOPS.items() if loop.interval > 1)
    return paragraph(f"Intervals: {slow or 'of all loops 1'}. Depths: {depths}.")


def a3_minilm() -> str:
    """Real attention heads."""
    columns = (
        *("setting", "output error", "embedding cosine", "worst", "candidates", "kept", "weight on kept rows"),
        *("times the exact rate, modelled", "simulated"),
    )
    found = _recorded("a3_minilm.json")
    simulated = found["simulated"]["speedup"]
    rows = []
    for name, title in MINILM.items():
        row = found["settings"][name]
        rows.append(
            (
                title,
                f"{row['output_error']:.3f}",
                f"{row['embedding_cosine']:.4f}",
                f"{row['embedding_cosine_min']:.4f}",
                *(percent(row[key]) for key in ("candidates_fraction", "kept_fraction", "weight_kept")),
                f"{row['speedup_modelled']:.2f}",
                f"{simulated[name]:.2f}" if name in simulated else "",
            )
        )
    return table(columns, rows)


def a3_stories() -> str:
    """The memory network, the same trained without its penalty, and the paper's."""
    columns = (
        *("setting", "one fact", "two facts", "candidates", "kept", "without penalty: one", "two"),
        *("paper: accuracy", "candidates", "kept"),
    )
    found = _recorded("a3_stories.json")
    rows = []
    for row, other in zip(found["settings"], found["without_penalty"], strict=True):
        paper = [row[key] for key in ("paper_candidates_fraction", "paper_kept_fraction")]
        rows.append(
            (
                row["setting"],
                *(percent(row[key], 1) for key in ("accuracy_one", "accuracy_two")),
                *(percent(row[key]) for key in ("candidates_fraction", "kept_fraction")),
                *(percent(other[key], 1) for key in ("accuracy_one", "accuracy_two")),
                percent(row["paper_accuracy"], 1),
                *("" if value is None else percent(value) for value in paper),
            )
        )
    return table(columns, rows)


A3_TABLES: dict[str, Callable[[], str]] = {
    **{function.__name__: function for function in (a3_exact, a3_approximate, a3_designs, a3_latency, a3_alone)},
    **{function.__name__: function for function in (a3_alone_counts, a3_resources, a3_loops, a3_minilm, a3_stories)},
}
