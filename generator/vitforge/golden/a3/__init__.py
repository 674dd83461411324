# SPDX-License-Identifier: Apache-2.0
"""Golden model of the A3 kernel (Ham et al., "A3: Accelerating Attention Mechanisms in Neural Networks with
Approximation", HPCA 2020): integers in, the kernel's integers out."""

from __future__ import annotations

from vitforge.golden.a3.attention import Attention, attend, attend_float
from vitforge.golden.a3.select import Selection, candidate_select, select_batch

__all__ = ["Attention", "Selection", "attend", "attend_float", "candidate_select", "select_batch"]
