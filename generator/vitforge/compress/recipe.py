# SPDX-License-Identifier: Apache-2.0
"""Pruning with training: significance probe, column pruning, fine-tuning, and a dense control trained as long.

This module needs PyTorch; import it after `require_torch`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from vitforge.compress import probe
from vitforge.compress.magnitude import Sizes, Weights, block_weights
from vitforge.compress.masked import sparsify
from vitforge.compress.network import MaskedViT
from vitforge.compress.training import VALIDATION_SHARE, Pictures, Progress, accuracy, train
from vitforge.model.keep import TWO_OF_FOUR, BlockKeep
from vitforge.model.vit import ViTModel

PROBE_EPOCHS = 2
STEP_EPOCHS = 3  # of a step of column pruning, at most
RATE, PENALTY = 1e-3, 2e-5


@dataclass(frozen=True, kw_only=True)
class Options:
    """target : share of the linear weights to keep; tolerance : of accuracy, a fraction; epochs : of fine-tuning"""

    target: float
    sparsity: str
    tile: int
    tolerance: float
    epochs: int
    seed: int


@dataclass(frozen=True)
class Pruned:
    """What comes out; ``epochs`` of training went into each of the two models."""

    pruned: ViTModel
    control: ViTModel
    epochs: int
    steps: list[probe.Step]


class Recipe:
    """One run. Both models follow the labels and the dense model they began as.

    Accuracy that decides is that on a part of ``data`` that is not trained on meanwhile. The floor below which a step
    is undone lies ``tolerance`` under the accuracy of the dense model on ``held``, images that it has never seen; no
    other figure of these has a part in a decision.
    """

    def __init__(
        self, model: ViTModel, data: Pictures, held: Pictures | None, options: Options, progress: Progress
    ) -> None:
        self._model, self._data, self._options, self._progress = model, data, options, progress
        self._training, self._validation = data.split(VALIDATION_SHARE, options.seed)
        self._network, self._teacher = MaskedViT(model), MaskedViT(model)
        self._floor = accuracy(self._network, held or self._validation) - options.tolerance
        self._before = copy.deepcopy(self._network.state_dict())
        self._trained = 0

    def run(self) -> Pruned:
        """All steps, in order."""
        options, shape = self._options, self._model.shape
        weights, sizes = self._significance()
        sizes, steps = probe.prune_columns(
            shape,
            weights,
            sizes,
            target=options.target,
            floor=self._floor,
            tile=options.tile,
            measure=self._measure,
            undo=lambda: self._network.load_state_dict(self._before),
        )
        keep = probe.masks_of(shape, weights, sizes, options.tile)
        self._network.set_keep(keep)
        if options.sparsity == TWO_OF_FOUR:
            self._network.set_sparsity(sparsify(self._network.export(keep)))
        self._learn(self._network, self._data, options.epochs, options.seed, "fine-tune")
        control, epochs = MaskedViT(self._model), self._trained + options.epochs
        self._learn(control, self._data, epochs, options.seed, "dense control")
        return Pruned(self._network.export(keep, options.sparsity), control.export(), epochs, steps)

    def _significance(self) -> tuple[list[Weights], Sizes]:
        """Weights by which rows and columns are ranked, and the sizes at which column pruning begins."""
        options, shape = self._options, self._model.shape
        if options.target >= 1:
            return list(block_weights(self._model)), Sizes(shape.embed_dim, shape.head_dim, shape.hidden_dim)
        probed = MaskedViT(self._model, probe=True)
        notify = self._told("significance probe")
        train(probed, self._training, PROBE_EPOCHS, rate=RATE, seed=options.seed, penalty=PENALTY, notify=notify)
        gammas = probed.gammas()
        sizes = probe.first_sizes(shape, probe.row_shares(gammas), options.tile)
        return probe.significant_weights(self._model, gammas), sizes

    def _measure(self, keep: tuple[BlockKeep, ...]) -> float:
        """Validation accuracy with masks, after as many epochs as it takes to reach the floor, but only a few."""
        self._before = copy.deepcopy(self._network.state_dict())
        self._network.set_keep(keep)
        reached = 0.0
        for _ in range(STEP_EPOCHS):
            self._learn(self._network, self._training, 1, self._options.seed + self._trained, "column pruning")
            self._trained += 1
            reached = accuracy(self._network, self._validation)
            if reached >= self._floor:
                break
        return reached

    def _learn(self, network: MaskedViT, data: Pictures, epochs: int, seed: int, what: str) -> None:
        train(network, data, epochs, rate=RATE, seed=seed, teacher=self._teacher, notify=self._told(what))

    def _told(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress(what, done, total)
