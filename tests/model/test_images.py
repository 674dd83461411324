# SPDX-License-Identifier: Apache-2.0
"""Images from files."""

from __future__ import annotations

import numpy as np
import pytest

from model.support import SHAPE, random_images
from vitforge.errors import ModelError
from vitforge.model.images import load_images


def test_npy_and_npz(tmp_path):
    images = random_images(3)
    np.save(tmp_path / "a.npy", images)
    np.savez_compressed(tmp_path / "b.npz", labels=np.arange(3), images=images)
    for name in ("a.npy", "b.npz"):
        np.testing.assert_array_equal(load_images(tmp_path / name, SHAPE), images, strict=True)


def test_grey_images_need_no_channel_axis(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((5, 6, 9), np.uint8))
    assert load_images(tmp_path / "a.npy").shape == (5, 6, 9, 1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            np.zeros((3, 6, 9, 2), np.float32),
            r"images are \(3, 6, 9, 2\) float32, expected \(n, height, width, channels",
        ),
        (np.zeros((6, 9), np.uint8), r"images are \(6, 9\) uint8"),
        (np.zeros((0, 6, 9, 2), np.uint8), "with n at least 1"),
        (np.zeros((3, 9, 6, 2), np.uint8), r"the model takes uint8 of shape \(n, 6, 9, 2\)"),
        (np.zeros((3, 6, 9), np.uint8), r"the model takes uint8 of shape \(n, 6, 9, 2\)"),
    ],
    ids=["float", "one picture", "none", "transposed", "grey"],
)
def test_wrong_images(tmp_path, images, message):
    np.save(tmp_path / "a.npy", images)
    with pytest.raises(ModelError, match=message) as caught:
        load_images(tmp_path / "a.npy", SHAPE)
    assert str(caught.value).startswith(str(tmp_path / "a.npy"))


def test_npz_without_images(tmp_path):
    np.savez(tmp_path / "a.npz", pictures=random_images(1))
    with pytest.raises(ModelError, match=r"has no array 'images' \(it has 'pictures'\)"):
        load_images(tmp_path / "a.npz")


def test_pickles_are_not_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match="is not a .npy or .npz file of numbers"):
        load_images(tmp_path / "a.npy")


def test_pickles_in_npz_are_not_run(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelError, match="is not a .npy or .npz file of numbers"):
        load_images(tmp_path / "a.npz")


@pytest.mark.parametrize("part", [0, 3, 40, 200, -30])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_truncated(tmp_path, name, part):
    path = tmp_path / name
    if name.endswith("y"):
        np.save(path, random_images(3))
    else:
        np.savez_compressed(path, images=random_images(3))
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ModelError, match="is not a .npy or .npz file of numbers"):
        load_images(path)


def test_damaged_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=random_images(30))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a .npy or .npz file of numbers"):
        load_images(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of escapes in a damaged header
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_flipped_bytes_give_images_or_one_sentence(tmp_path, name):
    path, rng = tmp_path / name, np.random.default_rng(5)
    if name.endswith("y"):
        np.save(path, random_images(20))
    else:
        np.savez_compressed(path, images=random_images(20))
    whole, refused = path.read_bytes(), 0
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, 140, 2):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            assert load_images(path).dtype == np.uint8
        except ModelError as error:
            refused += str(path) in str(error)
    assert refused > 100


def test_not_images_at_all(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(ModelError, match="is not a .npy or .npz file of numbers"):
        load_images(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["missing.npz", "."])
def test_unreadable(tmp_path, name):
    with pytest.raises(ModelError, match="cannot be read"):
        load_images(tmp_path / name)
