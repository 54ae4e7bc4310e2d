"""An honest pair: one matrix product for what the baseline scales and adds in two passes. Each cheat changes a line."""

import torch

from runners.blocks.rand import Rand


def weights(axes: dict[str, int], rand: Rand) -> dict[str, torch.Tensor]:
    return {"scale": rand.gaussian(axes["cols"])}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[torch.Tensor, ...]:
    return (rand.normal(axes["rows"], axes["cols"]),)


class Subject:
    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        self.scale = weights["scale"]


class Technique(Subject):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.scale


class Eager(Subject):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.scale).sum(-1)


class Twice(Eager):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return (super().__call__(x) + super().__call__(x)) / 2


SUBJECTS = {
    "technique": lambda axes, weights: Technique(weights),
    "eager": lambda axes, weights: Eager(weights),
    "twice": lambda axes, weights: Twice(weights),
}
