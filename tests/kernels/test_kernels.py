# SPDX-License-Identifier: Apache-2.0
"""Every kernel equals its golden twin bit for bit, on both header sets, over ragged shapes and extremes."""

from __future__ import annotations

import pytest

from kernels.support import MODELS, images, quant_model
from vitforge.csim.arithmetic import ARITHMETIC
from vitforge.csim.checks import KernelCheck
from vitforge.csim.compiled import CsimLibrary
from vitforge.csim.kernels import check_patch_embedding, datapath_checks
from vitforge.csim.model_run import run_model
from vitforge.csim.observe import golden_tensors
from vitforge.csim.units import UnitBench
from vitforge.design.design import Design
from vitforge.golden.vit import forward
from vitforge.quantize.blob import build_blob, build_sections


def assert_exact(check: KernelCheck) -> None:
    assert check.elements > 0
    assert check.mismatches == 0, str(check.first)


@pytest.mark.parametrize("kernel", sorted(ARITHMETIC))
def test_arithmetic_kernel(design: Design, library: CsimLibrary, kernel: str) -> None:
    check = KernelCheck(name=kernel)
    ARITHMETIC[kernel](library, design, check)
    assert_exact(check)


@pytest.mark.parametrize("kind", MODELS)
def test_datapath_kernels(design: Design, library: CsimLibrary, kind: str) -> None:
    model = quant_model(design, kind)
    pictures = images(design, 3)
    tensors = golden_tensors(model, pictures)
    bench = UnitBench(csim=library, design=design, sections=build_sections(design, model))
    checks = datapath_checks(model)
    assert ("class_head" in checks) == (design.shape.num_classes > 0)
    for kernel, run in checks.items():
        check = KernelCheck(name=kernel)
        run(bench, model, tensors, check)
        assert_exact(check)
    check = KernelCheck(name="patch_embedding")
    check_patch_embedding(bench, tensors, build_blob(design, model), pictures, check)
    assert_exact(check)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_whole_model(design: Design, library: CsimLibrary, kind: str, count: int) -> None:
    model = quant_model(design, kind)
    pictures = images(design, count)
    check = KernelCheck(name="model")
    got = run_model(library, design, build_blob(design, model), pictures)
    check.compare("logits", forward(model, pictures), got)
    assert_exact(check)


def test_images_in_flight_do_not_mix(design: Design, library: CsimLibrary) -> None:
    """An image gets the same logits alone, first, last and between others."""
    model = quant_model(design, "random")
    blob = build_blob(design, model)
    pictures = images(design, 6)
    together = run_model(library, design, blob, pictures)
    for i in range(len(pictures)):
        alone = run_model(library, design, blob, pictures[i : i + 1])
        assert (alone[0] == together[i]).all()


@pytest.mark.parametrize("at_once", [1, 3, 6])
def test_launches_do_not_mix(design: Design, library: CsimLibrary, at_once: int) -> None:
    """Results are those of their images however a batch is cut, whole groups of class heads or not."""
    model = quant_model(design, "random")
    blob = build_blob(design, model)
    pictures = images(design, 7)
    expected = forward(model, pictures)
    assert (run_model(library, design, blob, pictures, at_once=at_once) == expected).all()
