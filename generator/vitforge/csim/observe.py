# SPDX-License-Identifier: Apache-2.0
"""Golden tensors of a few images, kept by name: what each kernel should read and write."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitforge.golden.vit import forward
from vitforge.quantize.model import QuantModel


def golden_tensors(model: QuantModel, images: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Every intermediate of ``golden.vit.forward`` for ``images`` (n, H, W, C), by its name there."""
    tensors: dict[str, NDArray] = {}
    forward(model, images, observe=lambda name, value: tensors.__setitem__(name, np.array(value)), batch=len(images))
    return tensors
