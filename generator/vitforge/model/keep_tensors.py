# SPDX-License-Identifier: Apache-2.0
"""Keep masks as tensors of a model file: ``blocks.{i}.keep.{name}``, uint8, 1 where a dimension is kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vitforge.model.keep import BlockKeep, mask_shapes
from vitforge.model.vit import ViTShape

_MASK = "blocks.{}.keep.{}"


def keep_out(keeps: tuple[BlockKeep, ...]) -> dict[str, NDArray[np.uint8]]:
    """Tensor name -> mask."""
    return {
        _MASK.format(block, name): mask.astype(np.uint8)
        for block, keep in enumerate(keeps)
        for name, mask in keep.masks().items()
    }


def keep_in(tensors: Mapping[str, NDArray], shape: ViTShape) -> tuple[BlockKeep, ...]:
    """The masks of all blocks; none where the file has none.

    Raises ValueError where a mask is missing, too many, of another size, or not of zeros and ones.
    """
    given = [name for name in tensors if ".keep." in name]
    if not given:
        return ()
    known = {_MASK.format(block, name) for block in range(shape.depth) for name in mask_shapes(shape)}
    extra = next((name for name in given if name not in known), None)
    if extra is not None:
        raise ValueError(f"{extra} is no keep mask of a model of {shape.depth} blocks")
    return tuple(
        BlockKeep(
            **{name: _mask(tensors, _MASK.format(block, name), size) for name, size in mask_shapes(shape).items()}
        )
        for block in range(shape.depth)
    )


def _mask(tensors: Mapping[str, NDArray], name: str, size: tuple[int, ...]) -> NDArray[np.bool_]:
    if name not in tensors:
        raise ValueError(f"the keep mask {name} is missing")
    value = tensors[name]
    if value.shape != size or value.dtype != np.uint8:
        raise ValueError(f"{name} is {value.shape} {value.dtype}, expected {size} uint8")
    if value.size and value.max() > 1:
        where = tuple(int(index) for index in np.argwhere(value > 1)[0])
        raise ValueError(f"{name} is {int(value[where])} at {where}, expected 0 or 1")
    return value.astype(bool)


def compact(value: NDArray, outputs: NDArray[np.bool_], inputs: NDArray[np.bool_]) -> NDArray:
    """What masks leave of an (out, in) weight, or of an (out,) vector."""
    return np.ascontiguousarray(value[np.ix_(outputs, inputs)] if value.ndim == 2 else value[outputs])


def expand(name: str, value: NDArray, outputs: NDArray[np.bool_], inputs: NDArray[np.bool_], fill: int = 0) -> NDArray:
    """The inverse of `compact`, with ``fill`` where something is gone. Raises ValueError where the sizes disagree."""
    kept = (int(outputs.sum()), int(inputs.sum()))[: value.ndim]
    if value.shape != kept:
        raise ValueError(f"{name} is {value.shape}, and its keep masks leave {kept}")
    whole = np.full((outputs.size, inputs.size)[: value.ndim], fill, value.dtype)
    whole[np.ix_(outputs, inputs) if value.ndim == 2 else outputs] = value
    return whole
