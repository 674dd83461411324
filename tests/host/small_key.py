# SPDX-License-Identifier: Apache-2.0
"""A key of ten rows for tests of the A3 driver, and what the fake kernel makes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vitforge_host import A3

OpenA3 = Callable[..., A3]
KEYS = np.arange(-40, 40).reshape(10, 8)
QUERIES = np.arange(88).reshape(11, 8)
EXPECTED = (QUERIES @ KEYS.T @ KEYS + 46341 * 17).astype(np.int16)  # 46341 / 2**17 is the scale 1 / sqrt(8)


def load(a3: A3) -> A3:
    a3.load(KEYS / 16, KEYS / 16)
    return a3


def is_right(a3: A3) -> bool:
    return bool((a3.codes(QUERIES) == EXPECTED).all())
