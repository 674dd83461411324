# SPDX-License-Identifier: Apache-2.0
"""Images as users have them (arrays, PIL pictures, lists of either) as the uint8 batch that a model takes.

A PIL picture is turned upright as its EXIF data says, converted to RGB (or to grey for a model of one channel;
transparency is dropped), scaled by the same factor on both sides until it covers the model's size (bicubic), and
cropped in the middle. One that has the model's size is taken pixel by pixel.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge_host.errors import InputError

ImageShape = tuple[int, int, int]  # (height, width, channels)
PIL_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")  # 8 bits a channel or fewer
_TARGETS = {1: "L", 3: "RGB"}  # channels of the model -> PIL mode
_FRACTIONS = "; scale pixels to 0 to 255, round them, and use .astype(numpy.uint8)"


def as_batch(images: Any, shape: ImageShape) -> NDArray[np.uint8]:
    """(n, H, W, C) uint8 of ``images``, for a model that takes ``shape`` = (H, W, C).

    Parameters
    ----------
    images : array, PIL image, or list or tuple of either
        Arrays are uint8: (n, H, W, C), or (H, W, C) for a single image; a model of one channel takes them without C
        too. Arrays of a list are single images.
    shape : tuple of int

    Raises
    ------
    InputError
        Names the first image that has another type, size or mode, or that cannot be decoded. All are looked at before
        the first is decoded.
    """
    if isinstance(images, np.ndarray):
        return _array(images, shape)
    if not isinstance(images, (list, tuple)):
        if not _is_pil(images):
            raise InputError(f"images are of type {type(images).__name__}; expected {_expected(shape)}")
        _check_picture(images, shape, "the image")
        return _picture(images, shape, "the image")[np.newaxis]
    if not images:
        raise InputError(f"the list of images is empty; expected {_expected(shape)}")
    for index, image in enumerate(images):
        _check_entry(image, shape, f"images[{index}]")
    return np.stack([_single(image, shape, f"images[{index}]") for index, image in enumerate(images)])


def _array(images: NDArray, shape: ImageShape) -> NDArray[np.uint8]:
    found = f"{images.shape} {images.dtype}"
    if images.dtype != np.uint8:
        hint = _FRACTIONS if images.dtype.kind == "f" else ""
        raise InputError(f"images are {found}; expected (n, {', '.join(map(str, shape))}) uint8{hint}")
    batch = _with_axes(images, shape)
    if batch is None:
        raise InputError(f"images are {found}; expected {_expected(shape)}")
    if len(batch) == 0:
        raise InputError(f"images are {found}, which is none; expected {_expected(shape)} with n at least 1")
    return batch


def _with_axes(images: NDArray, shape: ImageShape) -> NDArray | None:
    """Such an array as (n, H, W, C), None if it is of another shape."""
    if images.shape == shape or (shape[2] == 1 and images.shape == shape[:2]):
        return images.reshape(1, *shape)
    if images.ndim == 4 and images.shape[1:] == shape:
        return images
    if images.ndim == 3 and shape[2] == 1 and images.shape[1:] == shape[:2]:
        return images[..., np.newaxis]
    return None


def _check_entry(image: Any, shape: ImageShape, name: str) -> None:
    if _is_pil(image):
        _check_picture(image, shape, name)
        return
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} is of type {type(image).__name__}; expected a numpy array or a PIL image")
    single = _with_axes(image, shape) if image.dtype == np.uint8 else None
    if single is None or len(single) != 1 or image.ndim == 4:
        hint = _FRACTIONS if image.dtype.kind == "f" else ""
        raise InputError(f"{name} is {image.shape} {image.dtype}; expected {shape} uint8{hint}")


def _single(image: Any, shape: ImageShape, name: str) -> NDArray[np.uint8]:
    return image.reshape(shape) if isinstance(image, np.ndarray) else _picture(image, shape, name)


def _check_picture(picture: Any, shape: ImageShape, name: str) -> None:
    if shape[2] not in _TARGETS:
        raise InputError(f"{name} is a PIL image; this model takes {shape[2]} channels, so give {_expected(shape)}")
    if picture.mode not in PIL_MODES:
        modes = ", ".join(PIL_MODES)
        raise InputError(f"{name} has PIL mode {picture.mode!r}, not one of {modes}; bring its pixels to 8 bits first")
    if 0 in picture.size:
        raise InputError(f"{name} has a size of {picture.width} x {picture.height} pixels; expected at least 1 x 1")


def _picture(picture: Any, shape: ImageShape, name: str) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    height, width, channels = shape
    try:
        upright = ImageOps.exif_transpose(picture)
        converted = (picture if upright is None else upright).convert(_TARGETS[channels])
    except (OSError, SyntaxError, ValueError) as error:  # cut off or damaged
        raise InputError(f"{name} cannot be decoded ({error}); check its file") from None
    if converted.size != (width, height):
        converted = ImageOps.fit(converted, (width, height), method=Image.Resampling.BICUBIC)
    return np.asarray(converted, np.uint8).reshape(shape)


def _is_pil(image: Any) -> bool:
    """Whether ``image`` is a PIL picture; nobody has one before PIL is imported, and the board may lack it."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def _expected(shape: ImageShape) -> str:
    size = ", ".join(map(str, shape))
    return f"(n, {size}) uint8, one image ({size}) uint8, a PIL image, or a list of images"
