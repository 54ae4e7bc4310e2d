"""A transformer of torch whose weights stay, beside low-rank changes that can be trained. Imports torch; nothing that serves does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from papers.encoding.adapter import Change

ADAPTED = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense")  # fmt: skip


class LowRank(nn.Module):
    """A linear layer that stays, and a product of two thin matrices that is added to it."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) / math.sqrt(layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, states: Tensor) -> Tensor:
        found: Tensor = self.layer(states) + (states @ self.down.T) @ self.up.T
        return found


def make_low_rank(model: Any, rank: int) -> dict[str, LowRank]:
    """Holds every weight of the model and puts the layers that are adapted in place, by the names of their modules."""
    model.requires_grad_(False)
    found = {}
    for number in range(len(model.encoder.layer)):
        for path in ADAPTED:
            name = f"encoder.layer.{number}.{path}"
            parent, _, own = name.rpartition(".")
            found[name] = LowRank(model.get_submodule(name), rank)
            setattr(model.get_submodule(parent), own, found[name])
    return found


class Averaged:
    """The mean of weights over the last steps, which lies nearer to what all of them agree in than the last one does."""

    def __init__(self, weights: Sequence[nn.Parameter], share: float) -> None:
        self._weights, self._share = weights, share
        self._means = [weight.detach().clone() for weight in weights]

    def add(self) -> None:
        for mean, weight in zip(self._means, self._weights, strict=True):
            mean.lerp_(weight.detach(), self._share)

    def settle(self) -> None:
        """Puts the means in the place of the weights."""
        with torch.no_grad():
            for mean, weight in zip(self._means, self._weights, strict=True):
                weight.copy_(mean)


def trainable(layers: Mapping[str, LowRank]) -> list[nn.Parameter]:
    return [weight for layer in layers.values() for weight in (layer.down, layer.up)]


def changes_of(layers: Mapping[str, LowRank]) -> dict[str, Change]:
    return {name: (one.up.detach().numpy(), one.down.detach().numpy()) for name, one in layers.items()}
