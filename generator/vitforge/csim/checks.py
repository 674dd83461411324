# SPDX-License-Identifier: Apache-2.0
"""Comparison of a csim result with the golden one, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

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


Library = TypeVar("Library")


def run_checks(
    library: Library,
    checks: Mapping[str, Callable[[Library, KernelCheck], None]],
    progress: Callable[[int, int], None] | None = None,
) -> list[KernelCheck]:
    """All ``checks`` of a compiled library, by name; ``progress`` gets (done, total)."""
    results = []
    for done, (name, check) in enumerate(checks.items()):
        if progress is not None:
            progress(done, len(checks))
        results.append(KernelCheck(name=name))
        check(library, results[-1])
    return results


@dataclass(frozen=True, kw_only=True)
class CheckSummary:
    """Comparisons of all kernels, for each header set that they were compiled with."""

    checks: dict[str, list[KernelCheck]]

    @property
    def mismatches(self) -> int:
        return sum(check.mismatches for checks in self.checks.values() for check in checks)

    def mismatches_of(self, headers: str) -> int:
        """Mismatches with one header set."""
        return sum(check.mismatches for check in self.checks[headers])

    def first_mismatch(self) -> str | None:
        """The first difference in words, or None."""
        found = [check.first for checks in self.checks.values() for check in checks if check.first is not None]
        return str(found[0]) if found else None

    def kernels(self) -> list[dict[str, object]]:
        """One entry a kernel, summed over the header sets."""
        rows: dict[str, dict[str, object]] = {}
        for checks in self.checks.values():
            for check in checks:
                row = rows.setdefault(check.name, {"name": check.name, "mismatches": 0, "elements": 0})
                row["mismatches"] = int(row["mismatches"]) + check.mismatches  # type: ignore[call-overload]
                row["elements"] = int(row["elements"]) + check.elements  # type: ignore[call-overload]
        return list(rows.values())

    def summary(self) -> dict[str, object]:
        """What ``--json`` prints of any csim."""
        return {
            "kernels": self.kernels(),
            "mismatches": self.mismatches,
            "first_mismatch": self.first_mismatch(),
            "headers": list(self.checks),
        }


@dataclass(frozen=True, kw_only=True)
class OverlayCsimResult(CheckSummary):
    """Outcome of a csim run of an overlay without a model, for all header sets."""

    seconds: float

    def to_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {**self.summary(), "seconds": round(self.seconds, 3)}
