# SPDX-License-Identifier: Apache-2.0
"""A picture of some images with what the accelerator said about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_CELL, _CAPTION, _MARGIN = 96, 40, 12  # pixels
_COLUMNS, _ROWS = 8, 3
_BACKGROUND, _INK, _GOOD, _BAD = (250, 250, 248), (40, 40, 44), (28, 122, 70), (190, 40, 40)


def _choose(labels: NDArray, predicted: NDArray, count: int) -> NDArray[np.intp]:
    """Mostly the first images of each class in turn, then some mistakes: both belong in an honest picture."""
    wrong = np.flatnonzero(labels != predicted)[: count // 6]
    right = np.flatnonzero(labels == predicted)
    turn = np.array([np.count_nonzero(labels[right[:i]] == labels[right[i]]) for i in range(min(len(right), 400))])
    order = right[: len(turn)][np.lexsort((labels[right[: len(turn)]], turn))]
    return np.concatenate([order[: count - len(wrong)], wrong])


def draw_predictions(
    path: Path, images: NDArray[np.uint8], labels: NDArray, logits: NDArray[np.int32], names: tuple[str, ...]
) -> None:
    """Saves a PNG: images (n, H, W, C) uint8, true ``labels`` (n,), ``logits`` (n, classes), class ``names``."""
    predicted = logits.argmax(axis=1)
    chosen = _choose(np.asarray(labels, np.int64), predicted, min(_COLUMNS * _ROWS, len(images)))
    pitch_x, pitch_y = _CELL + _MARGIN, _CELL + _CAPTION
    rows = -(-len(chosen) // _COLUMNS)
    canvas = Image.new("RGB", (_MARGIN + _COLUMNS * pitch_x, _MARGIN + rows * pitch_y + 28), _BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    font, small = ImageFont.load_default(size=20), ImageFont.load_default(size=13)
    for place, index in enumerate(chosen):
        left = _MARGIN + place % _COLUMNS * pitch_x
        top = _MARGIN + place // _COLUMNS * pitch_y
        pixels = images[index]
        pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        canvas.paste(Image.fromarray(pixels).resize((_CELL, _CELL), Image.Resampling.NEAREST), (left, top))
        good = predicted[index] == labels[index]
        text = names[predicted[index]] if good else f"{names[predicted[index]]} (is {names[int(labels[index])]})"
        draw.text((left + 2, top + _CELL + 4), text, fill=_GOOD if good else _BAD, font=font)
    right = int(np.count_nonzero(predicted == labels))
    caption = f"{right} of {len(labels)} held-out digits right, INT8 on the simulated board"
    draw.text((_MARGIN, canvas.height - 24), caption, fill=_INK, font=small)
    canvas.save(path, optimize=True)
