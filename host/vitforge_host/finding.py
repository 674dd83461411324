# SPDX-License-Identifier: Apache-2.0
"""What a doctor looked for: `vitforge doctor` on the workstation, ``python -m vitforge_host doctor`` on the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked for."""

    name: str
    found: bool
    detail: str  # version or place if found
    purpose: str
    cure: str  # what to do if it is not found
    required: bool

    @property
    def sign(self) -> str:
        """For a table."""
        return "ok" if self.found else "MISSING" if self.required else "-"

    @property
    def text(self) -> str:
        """What was found, or what to do."""
        return self.detail if self.found else self.cure

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def missing(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are required and were not found."""
    return [finding for finding in findings if finding.required and not finding.found]


def summary(findings: Sequence[Finding]) -> dict[str, object]:
    """What ``--json`` prints."""
    return {"good": not missing(findings), "checks": [finding.to_json() for finding in findings]}
