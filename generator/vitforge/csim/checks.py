# SPDX-License-Identifier: Apache-2.0
"""Comparison of a csim result with the golden one, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first difference of a tensor."""

    kernel: str
    tensor: str
    index: tuple[int, ...]
    expected: int
    got: int

    def __str__(self) -> str:
        where = ", ".join(str(i) for i in self.index)
        return f"{self.kernel}: {self.tensor}[{where}] expected {self.expected}, got {self.got}"


@dataclass(kw_only=True)
class KernelCheck:
    """All comparisons of one kernel."""

    name: str
    elements: int = 0
    mismatches: int = 0
    first: Mismatch | None = None
    tensors: list[str] = field(default_factory=list)

    def compare(self, tensor: str, expected: NDArray, got: NDArray) -> None:
        """Counts the elements of ``got`` that differ from ``expected``; shapes must agree."""
        expected, got = np.asarray(expected), np.asarray(got)
        if expected.shape != got.shape:
            raise ValueError(f"{self.name}: {tensor} has shape {got.shape}, expected {expected.shape}")
        if tensor not in self.tensors:
            self.tensors.append(tensor)
        self.elements += expected.size
        different = expected.astype(np.int64) != got.astype(np.int64)
        count = int(np.count_nonzero(different))
        self.mismatches += count
        if count and self.first is None:
            index = tuple(int(i) for i in np.argwhere(different)[0])
            self.first = Mismatch(
                kernel=self.name, tensor=tensor, index=index, expected=int(expected[index]), got=int(got[index])
            )
