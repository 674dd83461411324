# SPDX-License-Identifier: Apache-2.0
"""What pruning left of a block, as the array works on it: compact matrices, and the place of each head on chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.design.design import Design
from vitforge.design.geometry import ceil_div
from vitforge.model.keep import BlockKeep, everything
from vitforge.quantize.model import QuantLinear, QuantModel
from vitforge.quantize.records import ZERO_MULT, ZERO_SHIFT

Index = NDArray[np.int64]
NOTHING = -1  # an index that stands for a channel of zeros


@dataclass(frozen=True)
class HeadPlace:
    """One head that is left: its channels, padded with NOTHING to whole k tiles, and where they lie.

    qk, v : channels of q and k, and of v, within the head
    query, key, value : first k tile of its queries (left memory), keys and values
    context : first k tile of its context, which takes the place of queries that are done with
    """

    head: int
    qk: Index
    v: Index
    query: int
    key: int
    value: int
    context: int


def keep_of(model: QuantModel, block: int) -> BlockKeep:
    """Masks of a block; of a model that is not pruned, everything."""
    return model.keep[block] if model.keep else everything(model.shape)


def padded(kept: Index, multiple: int, least: int = 0) -> Index:
    """``kept`` with NOTHING behind it, to a multiple, and to ``least`` at least."""
    size = max(ceil_div(len(kept), multiple) * multiple, least)
    return np.concatenate([kept, np.full(size - len(kept), NOTHING)]).astype(np.int64)


def place_heads(design: Design, keep: BlockKeep) -> list[HeadPlace]:
    """Heads that have values left, one behind the other. None if the projection leaves nothing."""
    tk = design.folding.tk
    found: list[HeadPlace] = []
    query = key = value = 0
    for head in range(design.shape.num_heads) if keep.proj.any() else ():
        if not keep.v[head].any():
            continue
        # Without queries all scores are 0, and the weights equal: a k tile of zeros gives that.
        qk = padded(np.flatnonzero(keep.qk[head]), tk, tk)
        v = padded(np.flatnonzero(keep.v[head]), tk)
        # The context of a head is written while the queries of the next one are read.
        query = max(query, value)
        found.append(HeadPlace(head, qk, v, query, key, value, value))
        query, key, value = query + len(qk) // tk, key + len(qk) // tk, value + len(v) // tk
    return found


def select(layer: QuantLinear, rows: Index, columns: Index) -> QuantLinear:
    """Output channels ``rows`` and inputs ``columns`` of a layer; NOTHING gives zeros."""
    weight = np.zeros((len(rows), len(columns)), np.int8)
    there, read = rows != NOTHING, columns != NOTHING
    weight[np.ix_(there, read)] = layer.weight[np.ix_(rows[there], columns[read])]
    parts = {"bias": 0, "mult": ZERO_MULT, "shift": ZERO_SHIFT}
    filled = {name: np.full(len(rows), value, np.int32) for name, value in parts.items()}
    for name, values in filled.items():
        values[there] = getattr(layer, name)[rows[there]]
    return QuantLinear(weight=weight, **filled)


def stack(layers: Sequence[QuantLinear]) -> QuantLinear:
    """Output channels of ``layers``, one behind the other."""
    names = ("weight", "bias", "mult", "shift")
    return QuantLinear(**{name: np.concatenate([getattr(layer, name) for layer in layers]) for name in names})
