# SPDX-License-Identifier: Apache-2.0
"""What the driver refuses, and with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pynq
import pytest

from vitforge_host import (
    BlobError,
    ClosedError,
    HostError,
    IdentityError,
    InputError,
    OverlayError,
    VitAccelerator,
)
from vitforge_host.blob import read_blob

MakeOverlay = Callable[..., str]


@pytest.mark.parametrize(
    ("shape", "dtype", "got"),
    [
        ((2, 8, 12, 3), np.uint8, r"\(2, 8, 12, 3\) uint8"),
        ((2, 12, 8, 2), np.uint8, r"\(2, 12, 8, 2\) uint8"),
        ((8, 12), np.uint8, r"\(8, 12\) uint8"),
        ((2, 8, 12, 2), np.float32, r"\(2, 8, 12, 2\) float32"),
        ((2, 8, 12, 2), np.int8, r"\(2, 8, 12, 2\) int8"),
        ((0, 8, 12, 2), np.uint8, r"\(0, 8, 12, 2\) uint8"),
    ],
)
def test_images_of_the_wrong_kind_are_refused_and_nothing_is_lost(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any, shape: Any, dtype: Any, got: str
) -> None:
    with opened() as accelerator:
        with pytest.raises(InputError, match=rf"images are {got}.*expected \(n, 8, 12, 2\) uint8") as caught:
            accelerator.classify(np.zeros(shape, dtype))
        assert isinstance(caught.value, ValueError) and isinstance(caught.value, HostError)
        assert (accelerator.logits(images) == expected.logits(images)).all()


def test_a_list_is_no_array(opened: Callable[..., VitAccelerator]) -> None:
    with opened() as accelerator, pytest.raises(InputError, match="of type list; expected a numpy array"):
        accelerator.classify([[0]])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"batch": 2.5}, {"batch": True}, {"timeout_s": 0}, {"timeout_s": "1"}]
)
def test_bad_options_are_refused(opened: Callable[..., VitAccelerator], options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        opened(**options)


@pytest.mark.parametrize("where", ["magic", "header", "manifest", "weights", "tail"])
def test_a_damaged_blob_is_refused(
    make_overlay: MakeOverlay, blob_path: Path, thread_device: Any, tmp_path: Path, where: str
) -> None:
    content = bytearray(blob_path.read_bytes())
    manifest = read_blob(bytes(content)).manifest
    weights = manifest["sections"]["nmp.1"]["offset_beats"] * manifest["beat_bytes"] + 100
    if where == "tail":
        del content[-1:]
    else:
        content[{"magic": 3, "header": 40, "manifest": 70, "weights": weights}[where]] ^= 0x10
    damaged = tmp_path / "damaged.blob"
    damaged.write_bytes(content)
    with pytest.raises(BlobError, match="damaged.blob: the weight blob ") as caught:
        VitAccelerator(make_overlay(), damaged, device=thread_device)
    assert isinstance(caught.value, HostError)


def test_a_missing_blob_is_named(make_overlay: MakeOverlay, thread_device: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent.blob cannot be read: No such file"):
        VitAccelerator(make_overlay(), tmp_path / "absent.blob", device=thread_device)


@pytest.mark.parametrize("word", ["HASH_LO", "HASH_HI"])
def test_overlay_and_blob_of_different_designs_are_refused(
    opened: Callable[..., VitAccelerator], thread_device: Any, word: str
) -> None:
    different = "overlay was built for design .* the weight blob for design .* same generated project"
    with pytest.raises(IdentityError, match=different) as caught:
        opened({word: "0x12345678u"})
    assert caught.traceback  # keeps the half-open driver alive: it must have given its memory back by itself
    assert thread_device.default_memory.live_allocations == 0


@pytest.mark.parametrize(("define", "text"), [("MAGIC", "magic 0x0000002a"), ("VERSION", "format version 42")])
def test_another_accelerator_is_refused(opened: Callable[..., VitAccelerator], define: str, text: str) -> None:
    with pytest.raises(IdentityError, match=text):
        opened({define: "42u"})


def test_use_after_close_is_refused(opened: Callable[..., VitAccelerator], images: np.ndarray) -> None:
    accelerator = opened()
    accelerator.close()
    accelerator.close()
    for use in (lambda: accelerator.logits(images), accelerator.__enter__):
        with pytest.raises(ClosedError, match=r"is closed; open it again with VitAccelerator"):
            use()


def test_use_after_another_overlay_is_refused(opened: Callable[..., VitAccelerator], images: np.ndarray) -> None:
    with opened() as first, opened() as second:
        second.logits(images)
        with pytest.raises(ClosedError, match="another overlay was loaded"):
            first.logits(images)


def test_overlays_that_are_not_ours_are_refused(
    make_overlay: MakeOverlay, blob_path: Path, thread_device: Any, tmp_path: Path
) -> None:
    with pytest.raises(OverlayError, match="absent.bit cannot be loaded"):
        VitAccelerator(tmp_path / "absent.bit", blob_path, device=thread_device)
    bitfile = Path(make_overlay())
    handoff = bitfile.with_suffix(".hwh")
    text = handoff.read_text()
    bitfile.write_bytes(b"as if it were a real bitstream")
    handoff.write_text(text[:1000])
    with pytest.raises(OverlayError, match="vitforge.bit cannot be loaded: "):
        VitAccelerator(bitfile, blob_path, device=thread_device)
    handoff.write_text(text.replace("vitforge:hls:vitforge_vit", "xilinx.com:hls:resize"))
    with pytest.raises(OverlayError, match="has 0 .found: xilinx.com:hls:resize:1.0, xilinx.com:ip:axi_intc"):
        VitAccelerator(bitfile, blob_path, device=thread_device)
    handoff.write_text(text.replace('NAME="n_images"', 'NAME="n_pictures"'))
    with pytest.raises(OverlayError, match="vitforge_vit_0 has no register n_images"):
        VitAccelerator(bitfile, blob_path, device=thread_device)


def test_a_stub_is_not_put_on_a_real_board(make_overlay: MakeOverlay, blob_path: Path) -> None:
    class Board:
        name = "ZCU104"

    with pytest.raises(OverlayError, match="stub for simulation; build the bitstream"):
        VitAccelerator(make_overlay(), blob_path, device=Board())


def test_without_a_device_it_says_what_to_do(
    make_overlay: MakeOverlay, blob_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VITFORGE_SIM", raising=False)
    monkeypatch.setattr(pynq.Device, "_devices", [], raising=False)
    with pytest.raises(OverlayError, match="finds no device.*VITFORGE_SIM=1"):
        VitAccelerator(make_overlay(), blob_path)
