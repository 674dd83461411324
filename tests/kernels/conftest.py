# SPDX-License-Identifier: Apache-2.0
"""Compiled designs: built once for each header set, found again by content hash in every worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernels.designs import DESIGNS
from kernels.support import quant_model, write_sources
from vitforge.csim.build import build_shared
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import HEADER_SETS
from vitforge.design.design import Design


@pytest.fixture(params=sorted(DESIGNS))
def design(request: pytest.FixtureRequest) -> Design:
    return DESIGNS[request.param]


@pytest.fixture(params=sorted(HEADER_SETS))
def library(request: pytest.FixtureRequest, design: Design, tmp_path: Path) -> CsimLibrary:
    """The csim library of ``design`` with one header set."""
    hls = write_sources(design, quant_model(design, "random"), tmp_path)
    path = build_shared(
        [hls / "src" / "vitforge_vit.cpp", hls / "tb" / "csim_api.cpp"],
        headers=HEADER_SETS[request.param](),
        include_dirs=[hls / "include"],
        name=design.name,
    )
    return CsimLibrary(path)
