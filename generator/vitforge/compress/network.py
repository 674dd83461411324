# SPDX-License-Identifier: Apache-2.0
"""A float ViT in PyTorch whose pruned weights stay zero, with the significance probe of TECS 2021 if it is wanted.

This module needs PyTorch; import it after `require_torch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vitforge.compress.masked import prune_float
from vitforge.model.keep import LAYERS, BlockKeep, kept_entries, kept_sides
from vitforge.model.vit import ViTModel

PROBED = ("q", "k", "v", "proj", "fc1", "fc2")  # weight layers behind each of which the probe puts a layer norm


class MaskedViT(nn.Module):
    """The tensors of a `ViTModel` as parameters; those of a block's linear layers are masked."""

    def __init__(self, model: ViTModel, *, probe: bool = False) -> None:
        super().__init__()
        self.model, self.shape = model, model.shape
        self.values = nn.ParameterDict(
            {_key(name): nn.Parameter(torch.from_numpy(value.copy())) for name, value in model.tensors.items()}
        )
        self.masks: dict[str, torch.Tensor] = {}
        if model.keep:
            self.set_keep(model.keep)
        self.probes = nn.ModuleDict(self._probes() if probe else {})
        self.register_buffer("mean", torch.tensor(model.mean).reshape(1, -1, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(model.std).reshape(1, -1, 1, 1) * 255)

    def _probes(self) -> dict[str, nn.Module]:
        sizes = dict.fromkeys(PROBED, self.shape.embed_dim) | {"fc1": self.shape.hidden_dim}
        return {f"{i}_{name}": nn.LayerNorm(sizes[name]) for i in range(self.shape.depth) for name in PROBED}

    def set_keep(self, keep: Sequence[BlockKeep]) -> None:
        """From here on weights and biases outside of ``keep`` count as zero."""
        for block, masks in enumerate(keep):
            for layer in LAYERS:
                name = f"blocks.{block}.{layer}"
                self.masks[f"{name}.weight"] = torch.from_numpy(kept_entries(masks, layer).astype(np.float32))
                self.masks[f"{name}.bias"] = torch.from_numpy(kept_sides(masks, layer)[0].astype(np.float32))

    def set_sparsity(self, model: ViTModel) -> None:
        """From here on weights that are zero in ``model`` stay zero."""
        for name in self.masks:
            if name.endswith("weight"):
                self.masks[name] = torch.from_numpy((model.tensors[name] != 0).astype(np.float32))

    def tensor(self, name: str) -> torch.Tensor:
        value: torch.Tensor = self.values[_key(name)]
        return value * self.masks[name] if name in self.masks else value

    def gammas(self) -> dict[str, np.ndarray]:
        """|gamma| of each probe, by block and layer."""
        return {name: probe.weight.detach().abs().numpy() for name, probe in self.probes.items()}

    def penalty(self) -> torch.Tensor:
        """Sum of |gamma| of all probes."""
        return torch.stack([probe.weight.abs().sum() for probe in self.probes.values()]).sum()

    def export(self, keep: tuple[BlockKeep, ...] = (), sparsity: str = "dense") -> ViTModel:
        """What was learned, as a model with these masks."""
        tensors = {name: self.tensor(name).detach().numpy().copy() for name in self.model.tensors}
        bare = replace(self.model, tensors=tensors, keep=(), sparsity=sparsity)
        return prune_float(bare, keep) if keep else bare

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """images (n, C, H, W) of 0 to 255 -> logits (n, classes)."""
        s, n = self.shape, len(images)
        pixels = (images - self.mean) / self.std
        patches = functional.unfold(pixels, s.patch_size, stride=s.patch_size).transpose(1, 2)
        x = functional.linear(patches, self.tensor("patch.weight"), self.tensor("patch.bias"))
        x = torch.cat([self.tensor("cls").expand(n, 1, -1), x], 1) + self.tensor("pos")
        for i in range(s.depth):
            x = x + self._attention(i, x)
            x = x + self._mlp(i, x)
        x = self._norm("norm", x[:, 0])
        return functional.linear(x, self.tensor("head.weight"), self.tensor("head.bias"))

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        return functional.layer_norm(x, x.shape[-1:], weight, bias, self.shape.norm_eps)

    def _linear(self, block: int, layer: str, x: torch.Tensor) -> torch.Tensor:
        name = f"blocks.{block}.{layer}"
        y = functional.linear(x, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))
        return self._probed(block, layer, y)

    def _probed(self, block: int, layer: str, y: torch.Tensor) -> torch.Tensor:
        key = f"{block}_{layer}"
        return self.probes[key](y) if key in self.probes else y

    def _attention(self, i: int, x: torch.Tensor) -> torch.Tensor:
        n, tokens, dim = x.shape
        parts = self._linear(i, "qkv", self._norm(f"blocks.{i}.norm1", x)).split(dim, dim=-1)
        heads = [
            self._probed(i, name, part).reshape(n, tokens, self.shape.num_heads, -1).transpose(1, 2)
            for name, part in zip("qkv", parts, strict=True)
        ]
        mixed = functional.scaled_dot_product_attention(*heads)
        return self._linear(i, "proj", mixed.transpose(1, 2).reshape(n, tokens, dim))

    def _mlp(self, i: int, x: torch.Tensor) -> torch.Tensor:
        hidden = functional.gelu(self._linear(i, "fc1", self._norm(f"blocks.{i}.norm2", x)))
        return self._linear(i, "fc2", hidden)


def _key(name: str) -> str:
    """A parameter's name has no dots."""
    return name.replace(".", "/")
