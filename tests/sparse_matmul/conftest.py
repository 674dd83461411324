# SPDX-License-Identifier: Apache-2.0
"""Compiled sparse_matmul designs: built once, found again by content hash in every worker."""

from __future__ import annotations

import pytest

from sparse_matmul.designs import DESIGNS, compiled
from vitforge.csim.sparse_matmul_library import SparseMatmulLibrary


@pytest.fixture(scope="session", params=sorted(DESIGNS))
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SparseMatmulLibrary:
    """Each design with our headers."""
    return compiled(DESIGNS[request.param], tmp_path_factory.mktemp("sparse_matmul"))
