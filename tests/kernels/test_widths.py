# SPDX-License-Identifier: Apache-2.0
"""The widths that the kernels declare suffice: csim with integers of exactly those widths gives the same bits.

Otherwise csim runs on native integers, and a width that is too small would only show in hardware.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kernels.designs import DESIGNS
from kernels.support import images, quant_model, write_sources
from vitforge.csim.arithmetic import ARITHMETIC
from vitforge.csim.build import build_shared
from vitforge.csim.checks import KernelCheck
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.headers import find_amd_headers
from vitforge.csim.model_run import run_model
from vitforge.golden.vit import forward
from vitforge.quantize.blob import build_blob


@pytest.mark.parametrize("name", ["ragged", "one-head", "backbone"])
def test_declared_widths_suffice(name: str, tmp_path: Path) -> None:
    design = DESIGNS[name]
    hls = write_sources(design, quant_model(design, "random"), tmp_path)
    path = build_shared(
        [hls / "src" / "vitforge_vit.cpp", hls / "tb" / "csim_api.cpp"],
        headers=find_amd_headers(),
        include_dirs=[hls / "include"],
        name=f"{name}-widths",
        defines=["VITFORGE_DECLARED_WIDTHS"],
    )
    library = CsimLibrary(path)
    for kernel, run in ARITHMETIC.items():
        check = KernelCheck(name=kernel)
        run(library, design, check)
        assert check.mismatches == 0, str(check.first)
    pictures = images(design, 3)
    for kind in ("random", "extreme"):
        model = quant_model(design, kind)
        got = run_model(library, design, build_blob(design, model), pictures)
        assert (got == forward(model, pictures)).all(), kind
