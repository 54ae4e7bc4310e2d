"""Orthogonal bases of which any number of leading columns serves, trained for products, and a search for how many each needs.

Leading axes of all tensors are free: layers, heads, kinds of cache. Columns are counted in LEVELS steps up to the whole basis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.training import minimise

LEVELS = 8
RATE = 0.03
# Shares of error that are not worth lowering.
FLOOR = 1e-6


def widths(dim: int) -> Tensor:
    """(LEVELS,), from the narrowest to the whole."""
    return torch.tensor([max(1, dim * level // LEVELS) for level in range(1, LEVELS + 1)])


def moment(vectors: Tensor) -> Tensor:
    """(..., count, dim) to (..., dim, dim), in float32 at least."""
    wide = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    return wide.transpose(-1, -2) @ wide / wide.shape[-2]


def principal_bases(held: Tensor) -> Tensor:
    """Columns (..., dim, dim) are principal components, the largest first, of what has the second moments `held`."""
    return torch.linalg.eigh(held).eigenvectors.flip(-1)


def cayley(free: Tensor) -> Tensor:
    """Orthogonal matrices from any (..., dim, dim), the identity from zeros."""
    skew = free - free.transpose(-1, -2)
    identity = torch.eye(free.shape[-1], dtype=free.dtype, device=free.device)
    return torch.linalg.solve(identity + skew, identity - skew)


def cut_errors(readers: Tensor, held: Tensor, bases: Tensor) -> Tensor:
    """(..., LEVELS - 1): mean squared error of products q . k at each narrower width, as a share of their mean square.

    readers and held are second moments Q and K of q and k. With dropped columns D of a basis U: E (q D D^T k)^2 is the sum
    over D's columns i and j of (U^T Q U)_ij (U^T K U)_ij.
    """
    product = (bases.transpose(-1, -2) @ readers @ bases) * (bases.transpose(-1, -2) @ held @ bases)
    places = torch.arange(bases.shape[-1], device=bases.device)
    dropped = (places >= widths(bases.shape[-1]).to(places.device)[:-1, None]).to(bases.dtype)
    errors = ((product @ dropped.T) * dropped.T).sum(-2)
    return errors / (readers * held).sum((-1, -2))[..., None]


def trained_bases(readers: Tensor, held: Tensor, steps: int) -> Tensor:
    """Principal bases of `held`, turned so that all products lose little at every width."""
    start = principal_bases(held)
    free = torch.zeros_like(start).requires_grad_()

    def loss(_: float) -> Tensor:
        # Logarithms, since otherwise the narrowest widths, whose errors are largest, would be all that counts.
        return cut_errors(readers, held, start @ cayley(free)).clamp_min(FLOOR).log().sum()

    minimise([(free, RATE)], loss, steps, rates_fall=True)
    return (start @ cayley(free)).detach()


def searched_widths(errors: Tensor, dim: int, budget: int) -> Tensor:
    """Widths (...) on the CPU, `budget` at most together, or the narrowest for all; errors (..., LEVELS) of each width.

    From whole bases on, the one whose next narrower width costs least error a column goes first.
    """
    steps = widths(dim)
    rises = (errors[..., :-1] - errors[..., 1:]).cpu().double() / steps.diff().clamp_min(1)
    flat, level = rises.flatten(0, -2), torch.full((errors[..., 0].numel(),), LEVELS - 1)
    cost, total = flat[:, -1].clone(), dim * len(level)
    while total > budget and level.max() > 0:
        chosen = int(cost.argmin())
        now = int(level[chosen])
        total -= int(steps[now] - steps[now - 1])
        level[chosen] = now - 1
        cost[chosen] = flat[chosen, now - 2] if now > 1 else math.inf
    return steps[level].view(errors.shape[:-1])
