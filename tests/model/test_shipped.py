# SPDX-License-Identifier: Apache-2.0
"""The model that ships: what its card promises."""

from __future__ import annotations

import numpy as np

from vitforge.model.float_vit import forward
from vitforge.model.images import load_images
from vitforge.model.shipped import shipped_calibration, shipped_heldout, shipped_model, shipped_model_path
from vitforge.resources import data_dir


def test_accuracy_on_the_held_out_images():
    images, labels = shipped_heldout()
    right = int((forward(shipped_model(), images).argmax(axis=1) == labels).sum())
    assert right >= 970
    # The card states the figure; a rounding of another processor may turn a close call.
    card = (data_dir("models") / "mnist_vit" / "README.md").read_text()
    assert any(f"({count} of the 1,000 held-out images)" in card for count in range(right - 2, right + 3))


def test_shape_is_that_of_the_card():
    shape = shipped_model().shape
    assert (shape.image_size, shape.channels, shape.patch_size, shape.seq_len) == ((28, 28), 1, 4, 50)
    assert (shape.embed_dim, shape.depth, shape.num_heads, shape.hidden_dim) == (64, 6, 4, 256)
    assert sum(value.size for value in shipped_model().tensors.values()) == 305_034
    assert shipped_model().labels == tuple("0123456789")


def test_images_travel_with_it():
    images, labels = shipped_heldout()
    calibration = shipped_calibration()
    assert (images.shape, images.dtype, labels.shape) == ((1000, 28, 28, 1), np.uint8, (1000,))
    assert (calibration.shape, calibration.dtype) == ((256, 28, 28, 1), np.uint8)
    assert np.bincount(labels).tolist() == [100] * 10
    # No image is there twice, neither in one set nor in both.
    assert len({image.tobytes() for image in [*images, *calibration]}) == 1256


def test_files_are_small_and_users_can_read_them():
    directory = shipped_model_path().parent
    assert shipped_model_path().stat().st_size < 1_500_000
    for name, count in (("heldout.npz", 1000), ("calibration.npz", 256)):
        assert (directory / name).stat().st_size < 300_000
        assert len(load_images(directory / name, shipped_model().shape)) == count
