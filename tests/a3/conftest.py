# SPDX-License-Identifier: Apache-2.0
"""Compiled A3 designs: built once, found again by content hash in every worker."""

from __future__ import annotations

import pytest

from a3.designs import DESIGNS, compiled
from vitforge.csim.a3_library import A3Library


@pytest.fixture(scope="session", params=sorted(DESIGNS))
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> A3Library:
    """Each design with our headers."""
    return compiled(DESIGNS[request.param], tmp_path_factory.mktemp("a3"))


@pytest.fixture(scope="session", params=["paper", "long", "plain"])
def approximate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> A3Library:
    """Designs with candidate selection."""
    return compiled(DESIGNS[request.param], tmp_path_factory.mktemp("a3"))
