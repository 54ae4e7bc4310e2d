"""Small trainings within a subject's set-up, such as calibration: Adam on a few tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from runners.blocks.optimizers import Adam


@torch.enable_grad()
def minimise(
    parameters: Sequence[tuple[Tensor, float]], loss: Callable[[float], Tensor], steps: int, *, rates_fall: bool
) -> None:
    """Changes leaf tensors in place, each at its own learning rate; rates fall along a cosine or stay.

    `loss` takes the share of steps done. Not torch.optim, which imports PyTorch's compiler: a second for each process.
    """
    leaves = [leaf for leaf, _ in parameters]
    rules = [Adam(leaf.detach()) for leaf in leaves]
    for step in range(steps):
        left = (1 + math.cos(math.pi * step / steps)) / 2 if rates_fall else 1.0
        gradients = torch.autograd.grad(loss(step / steps), leaves)
        with torch.no_grad():
            for (leaf, rate), rule, gradient in zip(parameters, rules, gradients, strict=True):
                leaf.sub_(rate * left * rule.direction(gradient))
