# SPDX-License-Identifier: Apache-2.0
"""Geometry of the picture of signal-to-noise ratios: a column a tensor, in the order of computation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vitforge.report.scale import Tick

_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 710.0, 12.0, 220.0
_STEP_DB = 10
_BLOCK = re.compile(r"(?:blocks|x)\.(\d+)\.")


@dataclass(frozen=True)
class Column:
    x: float
    y: float
    width: float
    height: float
    kind: int  # alternates with the blocks of the model
    title: str


@dataclass(frozen=True)
class SqnrPicture:
    """Ratios [dB]; ``blocks`` are the numbers of the encoder blocks, ``worst`` says which tensor has the least."""

    columns: tuple[Column, ...]
    y_ticks: tuple[Tick, ...]
    blocks: tuple[Tick, ...]
    worst: str


def sqnr_picture(ratios: Mapping[str, float | None]) -> SqnrPicture | None:
    """ratios : tensor -> dB; None, which is not drawn, where it is not finite. No picture without any."""
    finite = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if not finite:
        return None
    top = max(_STEP_DB, math.ceil(max(finite.values()) / _STEP_DB) * _STEP_DB)
    pitch = (_RIGHT - _LEFT) / len(ratios)
    places: dict[int, list[float]] = {}  # encoder block -> centres of its columns
    columns = []
    for index, (name, ratio) in enumerate(ratios.items()):
        found = _BLOCK.match(name)
        block = int(found[1]) if found else None
        if block is not None:
            places.setdefault(block, []).append(_LEFT + (index + 0.5) * pitch)
        if ratio is not None:
            height = round(max(0.0, ratio) / top * (_BOTTOM - _TOP), 1)
            kind = 2 if block is None else block % 2
            x = round(_LEFT + (index + 0.1) * pitch, 1)
            columns.append(Column(x, _BOTTOM - height, round(0.8 * pitch, 2), height, kind, f"{name}: {ratio:.1f} dB"))
    least = min(finite, key=lambda name: finite[name])
    return SqnrPicture(
        columns=tuple(columns),
        y_ticks=tuple(
            Tick(round(_BOTTOM - db / top * (_BOTTOM - _TOP), 1), str(db)) for db in range(0, top + 1, _STEP_DB)
        ),
        blocks=tuple(Tick(round(sum(at) / len(at), 1), str(block)) for block, at in sorted(places.items())),
        worst=f"{least}, {finite[least]:.1f} dB",
    )
