"""GaLore: Adam on gradients that are projected onto a low-rank basis, all weights still trained.

Source: "GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection" (2024), section 3 and algorithm 2.

For a weight W (m, n) with m <= n and gradient G, every `refresh_every` steps and at first:
    P = the `rank` leading left singular vectors of G                    (m, rank)
and every step, with Adam's moments of shape (rank, n):
    W -= learning rate * SCALE * P Adam(P^T G)
For m > n the right singular vectors project from the other side. Embedding, head and norms keep plain Adam, as in the paper.

State for a projected matrix: 2 rank n + rank m numbers instead of 2 m n. For the MLP matrices of a LLaMA of 1 billion
parameters (2048 by 5461, rank 512) that is 30 %, over all its parameters with embedding and head 39 %. With `state_bits = 8`
the moments are one byte each (runners/blocks/quantization.py) while the basis keeps 16 bits: 21 % of Adam in bf16 for the
7-billion model at rank 1024. To measure a model's ratio without the whole model, a workload is a slice: one block and
the block's share of embedding and head.

What it costs in time: two multiplications per matrix, which Adam does not need. In the slice of the 1-billion model they are
0.10 TFLOP, 0.13 ms on an H200 at 790 TFLOP/s; reading gradients and updating weights is 0.06 ms at 4.8 TB/s, moments and
directions in the subspace another 0.06 ms, embedding and head 0.02 ms. Fused Adam moves 14 bytes per value, 0.16 ms. So GaLore
should take 0.27 ms, about 1.7 times as long as the fused step, and win in memory alone. It forms no full-size update:
the multiplication back adds to the weights as it writes.

Refresh: a full singular value decomposition takes seconds per matrix. The technique finds the basis by subspace iteration from
a random sketch (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithms 4.4 and 5.1), which is
multiplications, QR of tall matrices and an eigenproblem of rank + OVERSAMPLING rows, and agrees with the full
decomposition where the spectrum falls off after `rank`. One step in `refresh_every` pays for it, which a median over
steps does not show; a workload with a refresh in each step does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.optimizers import LEARNING_RATE, Adam, Adam8bit, FusedAdam, OptimizerSubject, Rule, TorchAdamSubject
from runners.blocks.rand import Rand

SCALE = 0.25
OVERSAMPLING = 16
ITERATIONS = 2
WEAKEST_DIRECTION, NOISE = 0.3, 1e-3

FindBasis = Callable[[Tensor, int], Tensor]


def shapes(axes: dict[str, int]) -> list[tuple[int, ...]]:
    """One Transformer block of LLaMA and a share of embedding and head."""
    hidden, intermediate, vocab = axes["hidden"], axes["intermediate"], axes["vocab"]
    attention, mlp = [(hidden, hidden)] * 4, [(intermediate, hidden)] * 2 + [(hidden, intermediate)]
    return [*attention, *mlp, (vocab, hidden), (vocab, hidden), (hidden,), (hidden,)]


PROJECTED = 7
"""The first matrices of `shapes`: what GaLore applies to."""


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Parameters at zero, so that the result of the steps is the update itself."""
    return {
        f"parameter.{index}": torch.zeros(shape, dtype=rand.dtype, device=rand.device)
        for index, shape in enumerate(shapes(axes))
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """One gradient per parameter; those of matrices are of low rank, as the paper finds, in a subspace that lasts.

    `rank` directions with strengths falling evenly from 1 to WEAKEST_DIRECTION, and NOISE of full rank.
    """
    made = []
    for shape in shapes(axes):
        if len(shape) == 1:
            made.append(rand.normal(*shape))
            continue
        rank = min(axes["rank"], *shape)
        strengths = torch.linspace(1.0, WEAKEST_DIRECTION, rank, device=rand.device).to(rand.dtype)
        directions, rows = cosine_basis(min(shape), rank, rand), rand.normal(rank, max(shape))
        gradient = (directions * strengths) @ rows + rand.gaussian(min(shape), max(shape), scale=NOISE)
        made.append(gradient if shape[0] <= shape[1] else gradient.t().contiguous())
    return tuple(made)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Two products a projected matrix, and the sketch's in float32 where each step refreshes; each gradient once, each
    parameter, moment and basis as often as a step must."""
    operations, moved = Counter({dtype: 0}), 0.0
    moment = 1 if axes["state_bits"] == 8 else BYTES[dtype]
    for index, shape in enumerate(shapes(axes)):
        values, rank = math.prod(shape), axes["rank"]
        moved += 3 * BYTES[dtype] * values
        if index >= PROJECTED or rank >= min(shape):
            moved += 4 * moment * values
            continue
        operations[dtype] += 4 * rank * values
        moved += 4 * moment * rank * max(shape) + BYTES[dtype] * rank * min(shape)
        if axes["refresh_every"] == 1:
            operations["float32"] += 4 * (1 + ITERATIONS) * values * min(rank + OVERSAMPLING, *shape)
    return LeastWork(operations, moved)


def cosine_basis(size: int, rank: int, rand: Rand) -> Tensor:
    """(size, rank) with orthonormal columns: the first vectors of the discrete cosine transform but the constant one."""
    places = (torch.arange(size, device=rand.device, dtype=torch.float64) + 0.5) / size
    waves = torch.cos(torch.pi * places[:, None] * torch.arange(1, rank + 1, device=rand.device))
    return (waves * (2 / size) ** 0.5).to(rand.dtype)


class Galore:
    """The rule for one matrix: `find_basis` finds singular vectors, `inner` keeps moments and gives directions."""

    def __init__(
        self, like: Tensor, rank: int, refresh_every: int, make_inner: Callable[[Tensor], Rule], find_basis: FindBasis
    ) -> None:
        rows, columns = like.shape
        self.from_left = rows <= columns
        self.refresh_every, self.rank, self.find_basis = refresh_every, rank, find_basis
        self.basis = like.new_zeros(min(rows, columns), rank)
        self.inner = make_inner(like.new_zeros((rank, columns) if self.from_left else (rows, rank)))
        self.step = 0

    def direction(self, gradient: Tensor) -> Tensor:
        self._refresh(gradient)
        inner = self._inner_direction(gradient)
        return SCALE * (self.basis @ inner if self.from_left else inner @ self.basis.t())

    def apply_(self, parameter: Tensor, gradient: Tensor) -> None:
        self._refresh(gradient)
        inner = self._inner_direction(gradient)
        # The multiplication adds to the parameter as it writes: no full-size temporary.
        left, right = (self.basis, inner) if self.from_left else (inner, self.basis.t())
        parameter.addmm_(left, right, alpha=-LEARNING_RATE * SCALE)

    def _inner_direction(self, gradient: Tensor) -> Tensor:
        return self.inner.direction(self.basis.t() @ gradient if self.from_left else gradient @ self.basis)

    def _refresh(self, gradient: Tensor) -> None:
        if self.step % self.refresh_every == 0:
            exact = gradient.double() if gradient.dtype == torch.float64 else gradient.float()
            found = self.find_basis(exact if self.from_left else exact.t(), self.rank)
            # A decomposition leaves signs open; the moments were kept in the signs of the basis before.
            signs = torch.where((found * self.basis).sum(0) < 0, -1.0, 1.0).to(found.dtype)
            self.basis.copy_(found * signs)
        self.step += 1

    def tensors(self) -> tuple[Tensor, ...]:
        return self.basis, *self.inner.tensors()


class PlainGalore(Galore):
    """Algorithm 2 line by line: a full-size update is formed and then applied."""

    def apply_(self, parameter: Tensor, gradient: Tensor) -> None:
        parameter.sub_(LEARNING_RATE * self.direction(gradient))


def full_basis(gradient: Tensor, rank: int) -> Tensor:
    """The leading left singular vectors of (m, n), as eigenvectors of G G^T, in float64 since that squares the spectrum."""
    exact = gradient.double()
    _, vectors = torch.linalg.eigh(exact @ exact.t())
    return vectors[:, -rank:].flip(1).to(gradient.dtype)


def sketched_basis(gradient: Tensor, rank: int) -> Tensor:
    """The leading left singular vectors of (m, n), m <= n, by subspace iteration from a random sketch."""
    rows, columns = gradient.shape
    generator = torch.Generator(gradient.device).manual_seed(0)
    width = min(rank + OVERSAMPLING, rows)
    sketch = torch.randn(columns, width, generator=generator, device=gradient.device, dtype=gradient.dtype)
    span = torch.linalg.qr(gradient @ sketch).Q
    for _ in range(ITERATIONS):
        span = torch.linalg.qr(gradient @ (gradient.t() @ span)).Q
    return span @ full_basis(span.t() @ gradient, rank)


def make_rules(
    axes: dict[str, int],
    make_galore: Callable[..., Galore],
    make_inner: Callable[[Tensor], Rule],
    find_basis: FindBasis,
) -> Callable[[int, Tensor], Rule]:
    """Which rule each parameter gets, by its position in `shapes`."""

    def make_rule(index: int, like: Tensor) -> Rule:
        if index >= PROJECTED or axes["rank"] >= min(like.shape):
            return make_inner(like)
        return make_galore(like, axes["rank"], axes["refresh_every"], make_inner, find_basis)

    return make_rule


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> OptimizerSubject:
    make_inner = Adam8bit if axes["state_bits"] == 8 else FusedAdam
    return OptimizerSubject(list(weights.values()), make_rules(axes, Galore, make_inner, sketched_basis))


def make_plain(axes: dict[str, int], weights: dict[str, Tensor]) -> OptimizerSubject:
    return OptimizerSubject(list(weights.values()), make_rules(axes, PlainGalore, Adam, full_basis))


def make_adam(axes: dict[str, int], weights: dict[str, Tensor]) -> OptimizerSubject:
    return OptimizerSubject(list(weights.values()), lambda _, like: Adam(like))


def make_fused_adam(axes: dict[str, int], weights: dict[str, Tensor]) -> TorchAdamSubject:
    return TorchAdamSubject(list(weights.values()), fused=True)


SUBJECTS = {
    "technique": make_technique,
    "plain": make_plain,
    "paper": make_adam,
    "library": make_fused_adam,
    "compiled": compiled(make_adam),
}
