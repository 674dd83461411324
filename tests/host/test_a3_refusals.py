# SPDX-License-Identifier: Apache-2.0
"""What the A3 driver refuses, and with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.small_key import KEYS, QUERIES, OpenA3, is_right, load
from vitforge_host import (
    A3,
    ClosedError,
    IdentityError,
    InputError,
    OverlayError,
)
from vitforge_host.sim import SimDevice


# --- input -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keys", "values", "text"),
    [
        ((25, 8), (25, 8), "n is 25, and the overlay was built for at most 24"),
        ((10, 21), (10, 8), "d is 21, and the overlay was built for at most 20"),
        ((10, 8), (10, 21), "d is 21, and the overlay was built for at most 20"),
        ((0, 8), (0, 8), r"keys are \(0, 8\) and values \(0, 8\); there must be at least one row and column"),
        ((10, 0), (10, 8), "at least one row and column"),
        ((10, 8), (9, 8), r"keys are \(10, 8\) and values \(9, 8\); all but the last number must be the same"),
        ((10,), (10,), r"expected \(n, d\) and \(n, columns\)"),
        ((2, 10, 8), (10, 8), r"expected \(n, d\) and \(n, columns\)"),
        ((3, 10, 8), (3, 10, 8), "3 heads; this overlay holds one in each of its units, so exactly 2"),
    ],
)
def test_keys_and_values_of_the_wrong_size_are_refused(open_a3: OpenA3, keys: Any, values: Any, text: str) -> None:
    with load(open_a3()) as a3:
        with pytest.raises(InputError, match=text):
            a3.load(np.zeros(keys), np.zeros(values))
        assert is_right(a3)  # what was loaded before is still there


def test_numbers_that_are_none_are_refused(open_a3: OpenA3) -> None:
    bad = KEYS / 16
    bad[3, 5], bad[7, 0] = np.nan, -np.inf
    with load(open_a3()) as a3:
        with pytest.raises(
            InputError, match=r"keys have 2 of 80 elements that are no finite number, first at \(3, 5\)"
        ):
            a3.load(bad, KEYS / 16)
        with pytest.raises(InputError, match="values have 2 of 80"):
            a3.load(KEYS / 16, bad)
        with pytest.raises(InputError, match="queries have 2 of 80"):
            a3.queries(bad)
        for text in (["a"] * 8, [1j] * 8):
            with pytest.raises(InputError, match="queries are of type .*; they must be real numbers"):
                a3.query(text)
        for scale in (0.0, -1.0, 17.0, float("nan")):
            with pytest.raises(InputError, match="scale is"):
                a3.load(KEYS, KEYS, scale=scale)
        assert is_right(a3)


@pytest.mark.parametrize("shape", [(8,), (3, 7), (3, 9), (1, 3, 8), (0, 8)])
def test_queries_of_the_wrong_shape_are_refused(open_a3: OpenA3, shape: tuple[int, ...]) -> None:
    with load(open_a3()) as a3:
        for ask, dtype in ((a3.queries, float), (a3.codes, int)):
            with pytest.raises(InputError, match=r"queries are \([0-9, ]+\)(; expected \(N, 8\)|, which is none)"):
                ask(np.zeros(shape, dtype))
        with pytest.raises(InputError, match=r"queries are \(1, 3\); expected \(N, 8\)"):
            a3.query([1.0, 2.0, 3.0])
        assert is_right(a3)


def test_query_codes_must_be_codes(open_a3: OpenA3) -> None:
    with load(open_a3()) as a3:
        with pytest.raises(InputError, match="of type float64; they must be integers, queries.. takes real numbers"):
            a3.codes(np.zeros((2, 8)))
        with pytest.raises(InputError, match="query codes reach from -256 to 3; the overlay takes ±255"):
            a3.codes(np.array([[3] * 7 + [-256]]))


@pytest.mark.parametrize("value", [0, -1, 25, 2.0, True, "5"])
def test_m_must_be_a_number_of_iterations(open_a3: OpenA3, value: Any) -> None:
    with open_a3() as a3:
        a3.m = 24
        with pytest.raises(InputError, match=f"m is {value!r}; it must be a whole number from 1 to 24, or None"):
            a3.m = value
        assert a3.m == 24


@pytest.mark.parametrize("value", [0, -1.0, 100.1, float("nan"), True, "5"])
def test_t_must_be_a_percentage(open_a3: OpenA3, value: Any) -> None:
    with open_a3() as a3:
        a3.t = 100
        with pytest.raises(InputError, match=rf"t is {value!r}; it must lie in \(0, 100\] percent"):
            a3.t = value
        assert a3.t == 100


def test_an_overlay_without_selection_takes_no_m(open_a3: OpenA3) -> None:
    with load(open_a3(changes={"approximate": False})) as a3:
        with pytest.raises(InputError, match="m is 3, but this overlay has no candidate selection"):
            a3.m = 3
        a3.m = None
        assert a3.m_max == 0 and is_right(a3)


@pytest.mark.parametrize("options", [{"batch": 0}, {"batch": 2.5}, {"timeout_s": 0}, {"clock_mhz": 300}])
def test_bad_options_are_refused(open_a3: OpenA3, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        open_a3(**options)


def test_nothing_is_asked_before_a_load(open_a3: OpenA3) -> None:
    with open_a3() as a3:
        for ask in (lambda: a3.query(QUERIES[0]), lambda: a3.queries(QUERIES), lambda: a3.codes(QUERIES)):
            with pytest.raises(
                InputError, match=r"no keys and values are on the accelerator; call load\(keys, values\)"
            ):
                ask()


def test_a_batch_must_fit_the_dma(open_a3: OpenA3) -> None:
    with (
        open_a3(batch=1 << 22) as a3,
        pytest.raises(InputError, match="batches of 4194304 queries take 67108864 bytes"),
    ):
        load(a3)


# --- overlays --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("define", "text"), [("MAGIC", "magic 0x0000002a, not 0x56464133"), ("VERSION", "format version 42")]
)
def test_another_accelerator_is_refused(open_a3: OpenA3, define: str, text: str) -> None:
    with pytest.raises(IdentityError, match=text):
        open_a3({define: "42u"})


def test_a_description_of_another_design_is_refused(make_a3: Callable[..., Any], thread_device: SimDevice) -> None:
    bitfile, design = make_a3()
    path = Path(bitfile).with_suffix(".a3.json")
    content = json.loads(path.read_text())
    for place in (0, 15):  # a digit of either register
        digits = list(design.hash.hex())
        digits[place] = "0" if digits[place] != "0" else "1"
        path.write_text(json.dumps(content | {"design_hash": "".join(digits)}))
        with pytest.raises(IdentityError, match="built for design .*, the .a3.json beside it for design .* same gen"):
            A3(bitfile, device=thread_device)


def test_use_after_close_or_another_overlay_is_refused(open_a3: OpenA3) -> None:
    first = load(open_a3())
    with (
        open_a3(),
        pytest.raises(ClosedError, match=r"another overlay was loaded since; open the accelerator again with A3"),
    ):
        first.codes(QUERIES)
    first.close()
    first.close()
    for use in (lambda: first.codes(QUERIES), lambda: load(first), first.__enter__):
        with pytest.raises(ClosedError, match=r"is closed; open it again with A3"):
            use()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (None, "a3.json is missing; copy it"),
        ("{", r"does not describe an A3 overlay \(JSONDecodeError"),
        ({"n_max": "24"}, "does not describe an A3 overlay; copy"),
        ({"kernel": "vit"}, "does not describe an A3 overlay; copy"),
        ([], r"does not describe an A3 overlay \(TypeError"),
    ],
)
def test_a_description_that_is_none_is_refused(
    make_a3: Callable[..., Any], thread_device: SimDevice, change: Any, text: str
) -> None:
    bitfile, _ = make_a3()
    path = Path(bitfile).with_suffix(".a3.json")
    content = json.loads(path.read_text())
    if change is None:
        path.unlink()
    else:
        path.write_text(change if isinstance(change, str) else json.dumps(content | change if change else change))
    with pytest.raises(OverlayError, match=text):
        A3(bitfile, device=thread_device)


def test_overlays_of_another_kind_are_refused(
    make_a3: Callable[..., Any], make_overlay: Callable[..., str], thread_device: SimDevice
) -> None:
    bitfile, _ = make_a3()
    vit = Path(make_overlay())
    vit.with_suffix(".a3.json").write_bytes(Path(bitfile).with_suffix(".a3.json").read_bytes())
    with pytest.raises(
        OverlayError, match="must hold one IP of type vitforge:hls:vitforge_a3, but has 0 .*vitforge_vit"
    ):
        A3(vit, device=thread_device)
    handoff = Path(bitfile).with_suffix(".hwh")
    text = handoff.read_text()
    Path(bitfile).write_bytes(b"as if it were a real bitstream")
    handoff.write_text(text.replace('NAME="single_from"', 'NAME="singles"'))
    with pytest.raises(OverlayError, match="vitforge_a3_0 has no register single_from"):
        A3(bitfile, device=thread_device)
    handoff.write_text(text.replace('NAME="c_include_s2mm" VALUE="1"', 'NAME="c_include_s2mm" VALUE="0"'))
    with pytest.raises(OverlayError, match="axi_dma_0 must have a channel in each direction"):
        A3(bitfile, device=thread_device)
