# SPDX-License-Identifier: Apache-2.0
"""Tables of the kernel pages: loops of a kernel, and what it takes of a board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from document_tables import table

from vitforge.boards import load_board
from vitforge.design.design import Design
from vitforge.design.fit import fit
from vitforge.design.loops import LOOPS
from vitforge.design.resources import Resources, fabric_rows
from vitforge.model.deit import deit_shape

BOARDS = ("zcu104", "kv260", "zcu102")
MODEL = "deit_tiny"


@dataclass(frozen=True)
class Kernel:
    """Loops, and the rows of `Resources` that belong to a kernel."""

    loops: tuple[str, ...]
    dsp: tuple[str, ...] = ()
    fabric: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()


ARRAYS = ("nsa", "nmp")
KERNELS = {
    "mac_array": Kernel(
        loops=("array_cycle", "first_tile_beat", "take_word", "header_beat"),
        dsp=("nsa_array", "nmp_array", "requantize"),
        fabric=("mac_array", "requantize"),
        memories=tuple(f"{array}_{memory}" for memory in ("left", "weight_tiles") for array in ARRAYS),
    ),
    "layer_norm": Kernel(
        loops=("table_beat", "sum_word", "reciprocal_token", "record_beat", "normalize_word"),
        dsp=("layer_norm", "squares"),
        fabric=("layer_norm",),
        memories=tuple(f"{array}_{memory}" for memory in ("norm_values", "norm_records") for array in ARRAYS),
    ),
    "softmax": Kernel(
        loops=("softmax_cycle",), fabric=("softmax",), memories=("scores", "attention", "reciprocals", "key", "value")
    ),
    "gelu": Kernel(loops=("gelu_beat",), memories=("nmp_gelu",)),
}


@cache
def _fitted(board: str) -> tuple[Design, Resources]:
    found = fit(deit_shape(MODEL), load_board(board))
    return found.design, found.resources


def loops_of(name: str) -> str:
    """Interval and depth of the loops of a kernel."""
    columns = "| loop | interval | depth | what |\n| --- | ---: | ---: | --- |\n"
    rows = [(f"`{loop}`", LOOPS[loop].interval, LOOPS[loop].depth, LOOPS[loop].what) for loop in KERNELS[name].loops]
    return columns + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def resources_of(name: str) -> str:
    """DSPs, LUTs, flip-flops and memories of a kernel in DeiT-Tiny designs, both engines together."""
    kernel = KERNELS[name]
    found = [_fitted(board) for board in BOARDS]
    fabrics = [[fabric_rows(design)[row] for row in kernel.fabric] for design, _ in found]
    rows: list[tuple[object, ...]] = [
        ("DSPs", *(f"{sum(used.dsp_rows.get(row, 0) for row in kernel.dsp):,}" for _, used in found))
    ]
    if kernel.fabric:
        rows.append(("LUTs, modelled", *(f"{sum(part.lut for part in parts):,}" for parts in fabrics)))
        rows.append(("flip-flops, modelled", *(f"{sum(part.ff for part in parts):,}" for parts in fabrics)))
    rows += [(f"`{memory}`", *(used.memory_rows[memory] for _, used in found)) for memory in kernel.memories]
    return table(("DeiT-Tiny on", *(design.board.title for design, _ in found)), rows)


KERNEL_TABLES: dict[str, Callable[[], str]] = {
    f"{name}_{what}": partial(make, name)
    for name in KERNELS
    for what, make in (("loops", loops_of), ("resources", resources_of))
}
