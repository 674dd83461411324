# SPDX-License-Identifier: Apache-2.0
"""Keep masks: what structured pruning left of each block (Zhang et al., TECS 2021).

A pruned model has the tensors of a dense one, with zeros where something is gone, and these masks. Dimensions that
depend on each other share a mask: columns of Q and K of a head, columns of V and rows of the projection, columns of FC1
and rows of FC2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ModelError
from vitforge_host.weight_words import GROUP, GROUP_KEPT

if TYPE_CHECKING:
    from vitforge.model.vit import ViTShape

LAYERS = ("qkv", "proj", "fc1", "fc2")
DENSE, TWO_OF_FOUR = "dense", "2:4"  # of the weights that are kept

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockKeep:
    """True where a block keeps a dimension."""

    norm1: Mask  # (D,) channels that q, k and v read
    qk: Mask  # (H, head_dim) columns of q and k of each head
    v: Mask  # (H, head_dim) columns of v of each head, and rows of the projection
    proj: Mask  # (D,) channels of the residual that the projection adds to
    norm2: Mask  # (D,) channels that FC1 reads
    hidden: Mask  # (hidden,) columns of FC1, and rows of FC2
    fc2: Mask  # (D,) channels of the residual that FC2 adds to

    def masks(self) -> dict[str, Mask]:
        """By name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def mask_shapes(shape: ViTShape) -> dict[str, tuple[int, ...]]:
    """Of the masks of a block, by name."""
    wide, heads = (shape.embed_dim,), (shape.num_heads, shape.head_dim)
    return {"norm1": wide, "qk": heads, "v": heads, "proj": wide, "norm2": wide, "hidden": (shape.hidden_dim,)} | {
        "fc2": wide
    }


def everything(shape: ViTShape) -> BlockKeep:
    """Nothing is pruned."""
    return BlockKeep(**{name: np.ones(size, bool) for name, size in mask_shapes(shape).items()})


def kept_entries(keep: BlockKeep, layer: str) -> Mask:
    """Entries of the (out, in) weight of "qkv", "proj", "fc1" or "fc2" that are kept."""
    rows, columns = kept_sides(keep, layer)
    return rows[:, None] & columns[None, :]


def kept_sides(keep: BlockKeep, layer: str) -> tuple[Mask, Mask]:
    """(out,), (in,) of the same: output channels and inputs that are kept. A head without values has no queries."""
    used = keep.qk & keep.v.any(axis=1, keepdims=True)
    sides = {
        "qkv": (np.concatenate([used.ravel(), used.ravel(), keep.v.ravel()]), keep.norm1),
        "proj": (keep.proj, keep.v.ravel()),
        "fc1": (keep.hidden, keep.norm2),
        "fc2": (keep.fc2, keep.hidden),
    }
    return sides[layer]


def reduction_groups(keep: BlockKeep, layer: str) -> NDArray[np.int64]:
    """(groups, 4) kept inputs of a layer, four at a time in their order; -1 fills the last of a run.

    The inputs of the projection are those of each head, whose groups begin anew.
    """
    runs = keep.v if layer == "proj" else kept_sides(keep, layer)[1][None, :]
    found, first = [], 0
    for run in runs:
        kept = first + np.flatnonzero(run)
        padded = np.full(-(-len(kept) // GROUP) * GROUP, -1)
        padded[: len(kept)] = kept
        found.append(padded.reshape(-1, GROUP))
        first += len(run)
    return np.concatenate(found)


def two_of_four(weight: NDArray, groups: NDArray[np.int64]) -> Mask:
    """The entries of an (out, in) weight that 2:4 sparsity keeps: the two largest magnitudes of each group, the first
    ones of several."""
    magnitude = np.abs(weight.astype(np.float64))
    padded = np.concatenate([magnitude, np.full((len(weight), 1), -1.0)], axis=1)[:, groups]  # (out, groups, 4)
    best = np.argsort(-padded, axis=-1, kind="stable")[..., :GROUP_KEPT]
    mask = np.zeros((len(weight), weight.shape[1] + 1), bool)
    rows = np.arange(len(weight))[:, None, None]
    mask[rows, np.take_along_axis(np.broadcast_to(groups, padded.shape), best, axis=-1)] = True
    return mask[:, :-1]


def check_two_of_four(name: str, weight: NDArray, groups: NDArray[np.int64]) -> None:
    """Raises ModelError where more than two weights of a group are other than 0, naming the first."""
    padded = np.concatenate([weight, np.zeros((len(weight), 1), weight.dtype)], axis=1)[:, groups]
    wrong = np.argwhere((padded != 0).sum(axis=-1) > GROUP_KEPT)
    if len(wrong):
        row, group = wrong[0].tolist()
        inputs = ", ".join(str(index) for index in groups[group].tolist() if index >= 0)
        raise ModelError(f"{name} is no 2:4 matrix: row {row} has more than two weights at inputs {inputs}")


def kept_weights(keeps: tuple[BlockKeep, ...]) -> int:
    """Weights that the linear layers of all blocks keep."""
    return sum(int(out.sum()) * int(into.sum()) for _, _, out, into in all_sides(keeps))


def kept_fraction(keeps: Sequence[BlockKeep], shape: ViTShape) -> float:
    """Of the linear weights of all blocks; without masks, all."""
    dense = kept_weights((everything(shape),) * shape.depth)
    return kept_weights(tuple(keeps)) / dense if keeps else 1.0


def all_sides(keeps: tuple[BlockKeep, ...]) -> Iterator[tuple[int, str, Mask, Mask]]:
    """(block, layer, outputs, inputs) of every linear layer."""
    for block, keep in enumerate(keeps):
        for layer in LAYERS:
            yield block, layer, *kept_sides(keep, layer)


def check_masks(keeps: tuple[BlockKeep, ...], shape: ViTShape) -> None:
    """Raises ModelError where a mask has not the size that ``shape`` gives it, naming it."""
    if len(keeps) != shape.depth:
        raise ModelError(f"there are keep masks of {len(keeps)} blocks, and the model has {shape.depth}")
    for block, keep in enumerate(keeps):
        for name, size in mask_shapes(shape).items():
            mask = getattr(keep, name)
            if mask.shape != size or mask.dtype != np.bool_:
                raise ModelError(f"blocks.{block}.keep.{name} is {mask.shape} {mask.dtype}, expected {size} bool")


def check_zeros(keeps: tuple[BlockKeep, ...], tensors: Mapping[str, NDArray]) -> None:
    """Raises ModelError where a tensor has a value that its masks prune, naming the first.

    tensors : ``blocks.{i}.{layer}.weight`` and ``.bias`` are looked at
    """
    for block, layer, outputs, inputs in all_sides(keeps):
        name = f"blocks.{block}.{layer}"
        wrong = np.argwhere((tensors[f"{name}.weight"] != 0) & ~(outputs[:, None] & inputs[None, :]))
        if len(wrong):
            row, column = wrong[0].tolist()
            raise ModelError(f"{name}.weight has a value at ({row}, {column}), which its keep masks prune")
        extra = np.flatnonzero((tensors[f"{name}.bias"] != 0) & ~outputs)
        if len(extra):
            raise ModelError(f"{name}.bias has a value at {int(extra[0])}, which its keep masks prune")


def prune_tensors(keeps: tuple[BlockKeep, ...], tensors: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """``tensors`` with zeros where the masks prune."""
    pruned = dict(tensors)
    for block, layer, outputs, inputs in all_sides(keeps):
        name = f"blocks.{block}.{layer}"
        pruned[f"{name}.weight"] = tensors[f"{name}.weight"] * (outputs[:, None] & inputs[None, :])
        pruned[f"{name}.bias"] = tensors[f"{name}.bias"] * outputs
    return {name: np.ascontiguousarray(value, tensors[name].dtype) for name, value in pruned.items()}
