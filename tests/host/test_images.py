# SPDX-License-Identifier: Apache-2.0
"""Images as users have them: what comes out, pixel by pixel, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitforge_host import InputError, VitAccelerator
from vitforge_host.images import as_batch

RGB = (8, 12, 3)
GREY = (8, 12, 1)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, *RGB), dtype=np.uint8)


def test_every_way_to_give_the_same_images_gives_the_same_batch(pixels: np.ndarray) -> None:
    ways = [pixels, list(pixels), tuple(pixels), [Image.fromarray(image) for image in pixels]]
    for way in ways:
        assert (as_batch(way, RGB) == pixels).all()
    for one in (pixels[0], Image.fromarray(pixels[0]), [pixels[0]]):
        assert (as_batch(one, RGB) == pixels[:1]).all()
    mixed = as_batch([pixels[0], Image.fromarray(pixels[1])], RGB)
    assert mixed.dtype == np.uint8 and (mixed == pixels[:2]).all()


def test_grey_images_may_come_without_their_channel(pixels: np.ndarray) -> None:
    grey = pixels[..., 0]
    for way in (grey, grey[..., None], list(grey), [Image.fromarray(image) for image in grey]):
        assert (as_batch(way, GREY) == grey[..., None]).all()
    assert as_batch(grey[0], GREY).shape == (1, *GREY)


def test_a_picture_is_scaled_to_cover_and_cropped_in_the_middle() -> None:
    """24 x 8 in three stripes for 12 x 8: the middle remains; sides stay in proportion."""
    stripes = np.zeros((8, 24, 3), np.uint8)
    stripes[:, 6:18, 1] = 200
    assert (as_batch(Image.fromarray(stripes), RGB)[0] == stripes[:, 6:18]).all()
    tall = Image.new("RGB", (120, 400), (10, 20, 30))
    tall.paste((200, 100, 50), (0, 130, 120, 270))  # the 120 x 80 that remain, and what scaling sees around
    assert (as_batch(tall, RGB) == (200, 100, 50)).all()


def test_a_picture_is_turned_upright() -> None:
    upright = np.random.default_rng(1).integers(0, 256, RGB, dtype=np.uint8)
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(np.rot90(upright)).save(file, "PNG", exif=exif)
    assert (as_batch(Image.open(file), RGB)[0] == upright).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_pictures_of_usual_modes_are_converted(mode: str, pixels: np.ndarray) -> None:
    picture = Image.fromarray(pixels[0]).convert(mode)
    assert (as_batch(picture, RGB)[0] == np.asarray(picture.convert("RGB"))).all()
    assert (as_batch(picture, GREY)[0, :, :, 0] == np.asarray(picture.convert("L"))).all()


@pytest.mark.parametrize("mode", ["I", "F", "I;16", "LAB"])
def test_pictures_of_odd_modes_are_refused(mode: str) -> None:
    with pytest.raises(InputError, match=rf"images\[1\] has PIL mode '{mode}', not one of 1, L, "):
        as_batch([Image.new("L", (12, 8)), Image.new(mode, (12, 8))], RGB)


def test_a_damaged_file_is_named() -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file, "PNG")
    cut = Image.open(io.BytesIO(file.getvalue()[:4000]))
    with pytest.raises(InputError, match=r"images\[1\] cannot be decoded \(.*check its file"):
        as_batch([Image.new("RGB", (12, 8)), cut], RGB)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.full((2, *RGB), np.nan), r"\(2, 8, 12, 3\) float64; expected .* uint8; scale pixels to 0 to 255"),
        (np.zeros((2, *RGB), np.int16), r"\(2, 8, 12, 3\) int16; expected"),
        (np.zeros((12, 8, 3), np.uint8), r"\(12, 8, 3\) uint8; expected"),
        (np.zeros((0, *RGB), np.uint8), "which is none"),
        ([], "list of images is empty"),
        ([[0]], r"images\[0\] is of type list"),
        ([np.zeros(RGB, np.uint8), np.zeros((8, 12), np.uint8)], r"images\[1\] is \(8, 12\) uint8; expected \(8, 12"),
        ([np.full(RGB, np.nan, np.float32)], r"images\[0\] is \(8, 12, 3\) float32; .* scale pixels"),
        ([np.zeros((1, *RGB), np.uint8)], r"images\[0\] is \(1, 8, 12, 3\) uint8; expected \(8, 12, 3\) uint8"),
        ("cat.jpg", "of type str; expected"),
        (None, "of type NoneType; expected"),
        (Image.new("RGB", (0, 8)), "0 x 8 pixels"),
    ],
)
def test_anything_else_is_refused(images: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        as_batch(images, RGB)


def test_pictures_are_not_for_models_of_other_channels(
    opened: Callable[..., VitAccelerator], images: np.ndarray, expected: Any
) -> None:
    with opened() as accelerator:
        with pytest.raises(InputError, match="takes 2 channels"):
            accelerator.logits(Image.new("RGB", (12, 8)))
        assert (accelerator.logits(list(images)) == expected.logits(images)).all()
        assert (accelerator.classify(images[0]) == expected.logits(images[:1]).argmax(axis=1)).all()
