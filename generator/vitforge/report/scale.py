# SPDX-License-Identifier: Apache-2.0
"""What the axes of several pictures share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """A value on an axis, where it lies."""

    at: float
    text: str
