# SPDX-License-Identifier: Apache-2.0
"""The A3 driver with the real kernel: packets, registers, scale and threshold against the golden model, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitforge.codegen.a3 import a3_hls_files
from vitforge.csim.build import build_shared
from vitforge.csim.headers import own_headers
from vitforge.deploy.a3_overlay import write_a3_overlay
from vitforge.design.a3 import A3Design
from vitforge.golden.a3 import attend, attend_float
from vitforge_host import A3, InputError, TransferError
from vitforge_host.sim import SimDevice


@pytest.fixture(scope="module")
def overlay(a3_design: A3Design, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, A3Design]:
    """Of a design with two units; keys of up to 40 rows."""
    design, directory = replace(a3_design, n_max=40, d_max=24), tmp_path_factory.mktemp("a3")
    for name, content in a3_hls_files(design).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    hls = directory / "hls"
    library = build_shared(
        [hls / "src" / "vitforge_a3.cpp", hls / "tb" / "csim_api.cpp"],
        headers=own_headers(),
        include_dirs=[hls / "include"],
        name=design.name,
    )
    write_a3_overlay(directory / "overlay", design, library=library)
    return directory / "overlay" / "vitforge.bit", design


@pytest.fixture
def opened(overlay: tuple[Path, A3Design]) -> Callable[..., A3]:
    return lambda **options: A3(overlay[0], device=SimDevice(ddr_bytes=1 << 26, **options), batch=6)


def normal(*shape: int) -> np.ndarray:
    """Codes of about unit variance."""
    return np.clip(np.rint(np.random.default_rng(sum(shape)).normal(scale=16, size=shape)), -255, 255).astype(int)


@pytest.mark.parametrize("run_mode", ["sync", "thread"])
def test_results_and_counts_equal_golden(opened: Callable[..., A3], overlay: Any, run_mode: str) -> None:
    numbers = overlay[1].numbers
    with opened(run_mode=run_mode) as a3:
        for n, d, columns, count in ((40, 24, 24, 13), (1, 1, 2, 1), (33, 17, 9, 8)):
            keys, values, queries = normal(n, d), normal(n, columns), normal(count, d)
            a3.load(keys / 16, values / 16)
            for m, t in ((None, None), (max(1, n // 2), 5.0), (max(1, n // 8), 10.0), (None, 2.5), (n, None)):
                a3.m, a3.t = m, t
                golden = attend(keys, values, queries, numbers=numbers, scale=d**-0.5, m=m, t=t)
                assert (a3.codes(queries) == golden.result).all()
                found = a3.statistics
                assert (found.candidates, found.kept) == (golden.candidates.sum(), golden.kept.sum())
                assert found.queries == count and found.cycles > 0


def test_each_unit_attends_to_its_head(opened: Callable[..., A3], overlay: Any) -> None:
    keys, values, queries = normal(2, 31, 10), normal(2, 31, 24), normal(9, 2, 10)
    with opened() as a3:
        a3.load(keys / 16, values / 16, scale=0.5)
        a3.m, a3.t = 12, 5.0
        found = a3.codes(queries)
        for head in range(2):
            golden = attend(
                keys[head], values[head], queries[:, head], numbers=overlay[1].numbers, scale=0.5, m=12, t=5.0
            )
            assert (found[:, head] == golden.result).all()


def test_reals_come_close_to_attention_of_reals(opened: Callable[..., A3]) -> None:
    rng = np.random.default_rng(2)
    keys, values, queries = rng.normal(size=(40, 24)), rng.normal(size=(40, 24)), rng.normal(size=(12, 24))
    with opened() as a3:
        a3.load(keys, values)
        found, expected = a3.queries(queries), attend_float(keys, values, queries, 24**-0.5)
    assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)


def test_centred_keys_are_the_same_to_softmax_and_better_to_selection(opened: Callable[..., A3]) -> None:
    rng = np.random.default_rng(5)
    keys, values, queries = (rng.normal(size=(rows, 24)) for rows in (40, 40, 32))
    keys += 2 * rng.normal(size=24)  # what all rows have in common tells none from another
    errors = {}
    with opened() as a3:
        for centre in (False, True):
            a3.load(keys, values, centre=centre)
            for a3.m in (None, 20):
                wanted = attend_float(keys, values, queries, 24**-0.5)
                errors[centre, a3.m] = np.linalg.norm(a3.queries(queries) - wanted) / np.linalg.norm(wanted)
    assert errors[True, None] < 0.06
    assert errors[True, 20] < errors[False, 20]


def test_a_cut_transfer_spoils_nothing_after_it(opened: Callable[..., A3], overlay: Any) -> None:
    keys, values, queries = normal(20, 24), normal(20, 24), normal(5, 24)
    golden = attend(keys, values, queries, numbers=overlay[1].numbers, scale=24**-0.5).result
    with opened() as a3:
        a3.load(keys / 16, values / 16)
        channel = a3._dma._dma.sendchannel
        whole = channel.transfer
        for wrong in (-16, 32):
            channel.transfer = lambda buffer, nbytes, wrong=wrong: whole(buffer, 0, nbytes + wrong)
            with pytest.raises(TransferError, match="too short" if wrong < 0 else "too long"):
                a3.codes(queries)
            channel.transfer = whole
            assert (a3.codes(queries) == golden).all()
        channel.transfer = lambda buffer, nbytes: whole(buffer, 0, 48)
        with pytest.raises(TransferError, match="too short"):
            a3.load(values / 16, keys / 16)
        channel.transfer = whole
        with pytest.raises(InputError, match="call load"):
            a3.codes(queries)
        a3.load(keys / 16, values / 16)
        assert (a3.codes(queries) == golden).all()
