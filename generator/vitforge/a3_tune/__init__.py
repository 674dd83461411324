# SPDX-License-Identifier: Apache-2.0
"""`vitforge a3 tune`: the cheapest M and T of an A3 overlay whose error, on a user's own data, stays inside a
tolerance."""

from __future__ import annotations

from vitforge.a3_tune.run import tune
from vitforge.a3_tune.settings import Point, Setting
from vitforge.a3_tune.tuned import TuneResult

__all__ = ["Point", "Setting", "TuneResult", "tune"]
