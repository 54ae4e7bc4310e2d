"""Random tensors for weights and inputs, reproducible from a seed and following the distribution under test."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Distribution = Literal["normal", "uniform"]
DISTRIBUTIONS: tuple[str, ...] = get_args(Distribution)

UNIFORM_LOW, UNIFORM_HIGH = -1.0, 2.0


class Rand:
    """A source of random tensors on one device, in one dtype.

    Values are drawn in float32 and then cast: the same seed gives the same numbers, up to rounding, in every dtype.

    `distribution` shapes `normal` only:
      * "normal": mean 0, standard deviation 1;
      * "uniform": even on [-1, 2), thus mean 0.5 and standard deviation 0.87. The mean is off zero on purpose: code
        that is right only because signs cancel, or that assumes centred inputs, is found out.
    """

    def __init__(
        self,
        seed: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        distribution: str = "normal",
    ) -> None:
        if distribution not in DISTRIBUTIONS:
            raise ValueError(f"distribution: {distribution!r} is unknown; one of {', '.join(DISTRIBUTIONS)}")
        self.dtype = dtype
        self.device = torch.device(device)
        self.distribution = distribution
        self.generator = torch.Generator(device=self.device)
        self.generator.manual_seed(seed % 2**63)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Floats of `shape` that follow the distribution under test, times `scale`: for inputs."""
        if self.distribution == "uniform":
            drawn = self._uniform(shape).mul_(UNIFORM_HIGH - UNIFORM_LOW).add_(UNIFORM_LOW)
        else:
            drawn = self._gaussian(shape)
        return drawn.mul_(scale).to(self.dtype)

    def gaussian(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Normal floats of `shape` whatever the distribution under test, times `scale`: for weights."""
        return self._gaussian(shape).mul_(scale).to(self.dtype)

    def uniform(self, *shape: int) -> Tensor:
        """Floats of `shape`, even on [0, 1); rounding to a short dtype may give 1 itself."""
        return self._uniform(shape).to(self.dtype)

    def integers(self, high: int, *shape: int) -> Tensor:
        """int64 values of `shape` in 0 .. high - 1."""
        return torch.randint(high, shape, generator=self.generator, device=self.device)

    def permutation(self, count: int) -> Tensor:
        """int64 values 0 .. count - 1 in random order, shape (count,)."""
        return torch.randperm(count, generator=self.generator, device=self.device)

    def _gaussian(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device, dtype=torch.float32)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device, dtype=torch.float32)
