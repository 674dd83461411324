# SPDX-License-Identifier: Apache-2.0
"""What a model says about images: classes, labels and probabilities from integer logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge_host.errors import InputError


def check_k(k: object, classes: int) -> None:
    """Raise InputError unless ``k`` is a number of best classes that there are."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= classes:
        raise InputError(f"k is {k!r}; it must be a whole number from 1 to the {classes} classes of the model")


@dataclass(frozen=True)
class Prediction:
    """One class for one image; ``probability`` is that of softmax over all classes."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Predictions:
    """Of n images.

    Attributes
    ----------
    logits : (n, classes) int32
        As the accelerator gives them.
    logit_scale : float
        Value of one step of a logit.
    labels : sequence of str
        Names of the classes.
    """

    logits: NDArray[np.int32]
    logit_scale: float
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def indices(self) -> NDArray[np.int64]:
        """Best class of each image, (n,) int64; the first of equal ones."""
        return self.logits.argmax(axis=1).astype(np.int64)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits, (n, classes) float64."""
        logits = self.logits.astype(np.float64)
        powers = np.exp((logits - logits.max(axis=1, keepdims=True)) * self.logit_scale)
        return powers / powers.sum(axis=1, keepdims=True)

    def top_k(self, k: int = 5) -> list[list[Prediction]]:
        """The ``k`` best classes of each image, best first. Raises InputError if there are not so many classes."""
        check_k(k, self.logits.shape[1])
        order = np.argsort(-self.logits.astype(np.int64), axis=1, kind="stable")[:, :k]
        return [
            [Prediction(int(index), self.labels[index], float(row[index])) for index in best]
            for best, row in zip(order, self.probabilities, strict=True)
        ]
